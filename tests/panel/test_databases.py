"""A test runs on one database alone only where none could change its outcome."""

from types import SimpleNamespace
from typing import cast

import pytest

from tests.panel.support.databases import ANY, BOTH, HERE, leave_out_what_needs_one, needs_one

#: What a database does differently: nothing of it is ever left to one alone.
_ALWAYS_BOTH: tuple[str, ...] = (
    "audit/",
    "quotas/",
    "tenants/",
    "access/",
    "operations/",
    "reliability/",
    "upkeep/",
    "test_migrations",
)
_ALWAYS_BOTH += (
    "api/",
    "security/test_gate",
    "security/test_api_fuzz",
    "security/test_fields",
    "security/test_names",
)


def _item(request: pytest.FixtureRequest) -> pytest.Item:
    assert isinstance(request.node, pytest.Item)
    return request.node


def test_who_is_let_to_no_database_needs_one(request: pytest.FixtureRequest) -> None:
    assert needs_one(_item(request))


@pytest.mark.django_db
def test_who_has_the_mark_needs_both(request: pytest.FixtureRequest) -> None:
    assert not needs_one(_item(request))


def test_who_has_a_fixture_that_opens_it_needs_both(request: pytest.FixtureRequest, db: None) -> None:
    assert not needs_one(_item(request))


def test_what_is_named_is_there_with_a_reason_and_is_not_about_rows() -> None:
    for name, reason in ANY.items():
        file, _, test = name.partition("::")
        assert not file.startswith(_ALWAYS_BOTH), name
        assert f"def {test}(" in (HERE / file).read_text() if test else (HERE / file).exists(), name
        assert len(reason.split()) > 5, name
    assert all((HERE / file).exists() for file in BOTH)


def test_on_the_second_database_they_are_left_out() -> None:
    said: list[pytest.Item] = []

    def deselected(items: list[pytest.Item]) -> None:
        said.extend(items)

    marked, plain = cast(pytest.Item, _Asked("marked")), cast(pytest.Item, _Asked("plain"))
    items = [marked, plain]
    config = SimpleNamespace(hook=SimpleNamespace(pytest_deselected=deselected))
    leave_out_what_needs_one(cast(pytest.Config, config), items)
    assert (items, said) == ([marked], [plain])


class _Asked:
    """As much of a test as is asked about."""

    def __init__(self, name: str) -> None:
        self.name, self.path, self.fixturenames = name, HERE / "test_x.py", list[str]()

    def get_closest_marker(self, name: str) -> bool | None:
        return True if self.name == "marked" else None
