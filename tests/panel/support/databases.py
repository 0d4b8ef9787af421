"""Which tests of the panel need one database alone. They run on SQLite.

Those whose outcome no database can change: a test that isn't let to the database (pytest-django refuses every
statement then) is one of them by that, others are named here, each with its reason. And of those that ask the
same of it, all but a few: `statements` says what they asked on SQLite. What commits, locks or has threads, and
what SQLite saw nothing of, is on both.
"""

from pathlib import Path

import pytest

from tests.panel.support import statements

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


#: What a database does differently, whatever the statement: of these nothing is left to one alone.
ALWAYS_BOTH = (
    "audit/",
    "quotas/",
    "tenants/",
    "access/",
    "operations/",
    "reliability/",
    "upkeep/",
    "test_migrations",
)


def _is_always_on_both(item: pytest.Item) -> bool:
    return item.path.relative_to(HERE).as_posix().startswith(ALWAYS_BOTH) or _commits(item)


def _commits(item: pytest.Item) -> bool:
    """Whether its statements are more than a sequence: others see what it commits, or wait for its locks."""
    marker = item.get_closest_marker("django_db")
    return bool(marker and marker.kwargs.get("transaction")) or bool(
        {"transactional_db", "live_server"}.intersection(getattr(item, "fixturenames", ()))
    )


def asks_something_new(
    items: list[pytest.Item], known: dict[str, tuple[float, frozenset[str]]]
) -> list[pytest.Item]:
    """Those about rows, those that commit, those that nothing is known of, and others that ask all the rest."""
    whole = [one for one in items if one.nodeid not in known or _is_always_on_both(one)]
    shown = frozenset[str]().union(*(known[one.nodeid][1] for one in whole if one.nodeid in known))
    kept = {one.nodeid for one in whole}
    kept |= statements.enough({one.nodeid: known[one.nodeid] for one in items if one.nodeid not in kept}, shown)
    return [one for one in items if one.nodeid in kept]


def leave_out_what_needs_one(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On the second database: these have run on the first, and what they ask is asked by others on both."""
    written = statements.directory()
    left = [one for one in items if not needs_one(one)]
    kept = asks_something_new(left, statements.read(written)) if written else left
    stays = {one.nodeid for one in kept}
    config.hook.pytest_deselected(items=[one for one in items if one.nodeid not in stays])
    items[:] = kept
