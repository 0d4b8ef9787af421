"""An older database of the panel, restored over a node with newer environments."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import Installation

PASSWORD = "of the panel alone"


@pytest.fixture
def to(tmp_path: Path) -> list[str]:
    """Where its backups go, as words."""
    (tmp_path / "password").write_text(PASSWORD + "\n")
    return ["--repository", str(tmp_path / "repository"), "--password-file", str(tmp_path / "password")]


@pytest.fixture
def since(wadah: Installation) -> Iterator[list[str]]:
    """Environments that were made after the backup; gone after the test."""
    made: list[str] = []
    yield made
    for one in made:
        wadah.delete(one)


def _on_the_node(wadah: Installation) -> dict[str, Any]:
    rows = json.loads(wadah.wadah("node", "list", "--json").stdout)
    return {row["id"]: (row["state"], row["addresses"]) for row in rows}


def test_an_older_database_takes_nothing_from_the_node(
    wadah: Installation, environment: str, to: list[str], since: list[str]
) -> None:
    gone = wadah.create()
    wadah.wadah("backup", "panel", *to)
    # what happens until the day that it is needed
    since.append(wadah.create())
    snapshot = wadah.call("POST", f"/environments/{environment}/snapshots", {"name": "since"}).body["id"]
    wadah.call("PATCH", f"/environments/{environment}", {"limits": {"memory_mb": 80}})
    wadah.wait_state(environment, "running")
    wadah.delete(gone)
    for one in (environment, since[0]):
        wadah.sh(one, "echo kept > /root/note")
    started = {one: wadah.get(one)["started_at"] for one in (environment, since[0])}
    before = _on_the_node(wadah)

    said = wadah.wadah("backup", "panel", "--restore", "latest", *to).stdout
    assert "taken in" in said
    assert _on_the_node(wadah) == before
    for one in (environment, since[0]):
        seen = wadah.wait_state(one, "running")
        assert seen["started_at"] == started[one]
        assert wadah.sh(one, "cat /root/note") == "kept"
    assert wadah.get(environment)["limits"]["memory_mb"] == 80
    wadah.wait_gone(gone)
    kept = wadah.call("GET", f"/environments/{environment}/snapshots").body["items"]
    assert [one["id"] for one in kept if one["state"] == "ready"] == [snapshot]
    # changes reach it, its snapshot stays with them, and what is new gets what nobody has
    wadah.call("PATCH", f"/environments/{environment}", {"limits": {"memory_mb": 72}})
    wadah.wait_state(environment, "running")
    assert wadah.get(environment)["limits"]["memory_mb"] == 72
    assert [one["id"] for one in wadah.call("GET", f"/environments/{environment}/snapshots").body["items"]]
    since.append(wadah.create())
    given = [tuple(addresses) for _, addresses in _on_the_node(wadah).values()]
    assert len(set(given)) == len(given)


def test_what_is_wrong_is_said_and_nothing_is_changed(
    wadah: Installation, to: list[str], tmp_path: Path
) -> None:
    wadah.wadah("backup", "panel", *to)
    (tmp_path / "other").write_text("another password")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter").write_text("of somebody")
    where, password = to[:2], to[2:]
    tries = {
        "opens nothing": [*where, "--password-file", str(tmp_path / "other"), "--restore", "latest"],
        "there is no backup": [*to, "--restore", "0123456789"],
        "no repository": ["--repository", str(tmp_path / "none"), *password, "--restore", "latest"],
        "something else": ["--repository", str(tmp_path / "full"), *password],
        "can't be made": ["--repository", str(tmp_path / "none/below"), *password],
        "no time": [*to, "--daily", "25:00"],
        "letters": [*where, "--password-file", "/dev/null"],
        "is scheduled": ["--scheduled"],
    }
    pids = json.loads(wadah.wadah("status", "--json").stdout)
    for says, words in tries.items():
        done = wadah.wadah("backup", "panel", *words, check=False)
        assert done.returncode == 1, words
        assert says in done.stderr.lower(), f"{says}: {done.stderr}"
        assert "Traceback" not in done.stderr
    assert json.loads(wadah.wadah("status", "--json").stdout) == pids
    assert not (wadah.home / "panel-backup").exists()
