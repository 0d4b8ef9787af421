"""A test runs on one database alone only where none could change its outcome."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.panel.support.databases import ALWAYS_BOTH, ANY, BOTH, HERE, leave_out_what_needs_one, needs_one

#: None of them is named with a reason to be on one alone.
_ALWAYS_BOTH = (
    *ALWAYS_BOTH,
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


@pytest.mark.parametrize("is_written", [False, True])
def test_on_the_second_database_they_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_written: bool
) -> None:
    """Also those that ask nothing that another doesn't ask, where it is written down what they asked."""
    said: list[pytest.Item] = []

    def deselected(items: list[pytest.Item]) -> None:
        said.extend(items)

    marked = [
        cast(pytest.Item, _Asked(name, file))
        for name, file in (("more", "test_x.py"), ("less", "test_x.py"), ("less", "quotas/test_x.py"))
    ]
    plain = cast(pytest.Item, _Asked("plain", "test_x.py"))
    monkeypatch.setenv("TEST_STATEMENTS", str(tmp_path) if is_written else "")
    lines = (("more", "a\tb"), ("less", "a"))
    (tmp_path / "1.tsv").write_text("".join(f"test_x.py::{name}\t0.1\t{what}\n" for name, what in lines))
    items = [*marked, plain]
    config = SimpleNamespace(hook=SimpleNamespace(pytest_deselected=deselected))
    leave_out_what_needs_one(cast(pytest.Config, config), items)
    left_out = [marked[1]] if is_written else []
    assert items == [one for one in marked if one not in left_out]
    assert said == [*left_out, plain]


class _Asked:
    """As much of a test as is asked about."""

    def __init__(self, name: str, file: str) -> None:
        self.name, self.path, self.fixturenames = name, HERE / file, list[str]()
        self.nodeid = f"{file}::{name}"

    def get_closest_marker(self, name: str) -> SimpleNamespace | None:
        return None if self.name == "plain" else SimpleNamespace(kwargs={})
