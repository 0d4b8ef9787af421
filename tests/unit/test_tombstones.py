"""What is remembered of deleted environments: a week, and never more than so many."""

import os
import time
from pathlib import Path

import pytest

from runtime import known
from runtime.node import Node, default_settings

NOW = time.time()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(home=tmp_path, settings=default_settings(tmp_path))
    (made.root / "tombstones").mkdir(parents=True)
    (made.run / "locks").mkdir(parents=True)
    return made


def _bury(node: Node, name: str, age_s: float) -> None:
    file = node.root / "tombstones" / name
    file.write_text("3")
    os.utime(file, (NOW - age_s, NOW - age_s))
    (node.run / "locks" / f"{name}.apply").touch()


def _left(node: Node) -> set[str]:
    locks = {one.stem for one in (node.run / "locks").iterdir()}
    tombstones = {one.name for one in (node.root / "tombstones").iterdir()}
    assert locks == tombstones
    return tombstones


def test_old_ones_go(node: Node) -> None:
    _bury(node, "old", known.TOMBSTONE_S + 60)
    _bury(node, "young", 60)
    known.sweep_tombstones(node)
    assert _left(node) == {"young"}


def test_of_too_many_the_oldest_go(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MOST_TOMBSTONES", 3)
    for age in range(6):
        _bury(node, f"t{age}", 100 + age)
    known.sweep_tombstones(node)
    assert _left(node) == {"t0", "t1", "t2"}
