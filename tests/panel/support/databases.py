"""Which tests of the panel need one database alone: those whose outcome none can change. They run on SQLite.

A test that isn't let to the database (pytest-django refuses every statement then) is one of them by that.
Others are named here, each with its reason. What looks at rows, locks or refusals is on both.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]
#: Each of them opens the database to a test that has no mark; many other fixtures ask for one of them.
OPENS = frozenset({"db", "transactional_db", "django_db_reset_sequences", "django_db_setup", "live_server"})
#: A file or a test, and why no database can change its outcome.
ANY = {
    "security/test_walk.py::test_other_methods_are_refused": (
        "a route's declaration refuses them; who asks is read as in the rest of the walk, which is on both"
    ),
    "test_indonesian.py": "it looks for English words in pages, all of which the walk opens on both",
}
#: These have no mark, and a process of their own that reads the settings of the database.
BOTH = ("security/test_deploy.py",)


def needs_one(item: pytest.Item) -> bool:
    """Whether it has nothing to do on a second database. Not for tests of other directories."""
    if HERE not in item.path.parents:
        return False
    file = item.path.relative_to(HERE).as_posix()
    name = item.originalname if isinstance(item, pytest.Function) else item.name
    if file in BOTH:
        return False
    is_let = item.get_closest_marker("django_db") is not None or bool(
        OPENS.intersection(getattr(item, "fixturenames", ()))
    )
    return not is_let or file in ANY or f"{file}::{name}" in ANY


def leave_out_what_needs_one(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On the second database: these have run on the first."""
    left = [one for one in items if needs_one(one)]
    config.hook.pytest_deselected(items=left)
    items[:] = [one for one in items if one not in left]
