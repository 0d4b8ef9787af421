"""Pages of a directory in a backup: each entry comes once, also where many are told by the same name."""

from base64 import b64decode
from typing import Any

import pytest

from runtime.backups.inside import looking


def _pages(names: list[str], most: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    top = {"name": "n", "path": "/disk/n", "type": "dir"}
    entries = [
        {"name": one, "type": "file", "mode": 0o644, "uid": number, "gid": 0, "mtime": ""}
        for number, one in enumerate(names)
    ]
    monkeypatch.setattr(looking, "nodes", lambda _: [top, *entries])
    found, after = list[str](), ""
    for _ in range(len(names) + 1):
        page: dict[str, Any] = looking.files({"after": after, "most": most})
        assert page["total"] == len(names)
        assert 0 < len(page["entries"]) <= most
        found += [f"{one['name']} {one['uid']}" for one in page["entries"]]
        if not page["next"]:
            return found
        after = b64decode(page["next"]).decode()
    raise AssertionError("there is no last page")


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_names_that_are_no_utf8_are_told_alike_and_each_of_them_comes(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a", *["\ufffd"] * 9, *["\ufffd\ufffd"] * 3, "b", "z"]
    found = _pages(names, most, monkeypatch)
    assert sorted(found) == sorted(f"{one} {number}" for number, one in enumerate(names))


def test_a_name_alone_begins_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looking.begin(["a", "b", "b", "c"], "b") == 3
    assert looking.begin(["a", "b", "b", "c"], "b/1") == 2
    assert looking.begin(["a", "c"], "b") == 1
    assert looking.begin(["a"], "") == 0
