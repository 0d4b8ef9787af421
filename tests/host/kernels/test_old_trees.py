"""Trees of own kernels that earlier versions made go when nothing runs from them, and not before."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.sandboxes import old_trees as old
from runtime.sandboxes.own import tree


@pytest.fixture
def node(tmp_path: Path) -> Any:
    """As far as trees go: three of them, the last is shown."""
    made = SimpleNamespace(root=tmp_path, mounts=tmp_path / "mounts")
    made.mounts.mkdir()
    for name in ("own-a", "own-kernel-b", "own-kernel-c", "own-kernel-d.new", "own-kernel-e.old"):
        place = tmp_path / "kernels" / name / "bin"
        place.mkdir(parents=True)
        (place / "linux").write_text("x")
    tree.point(made).symlink_to(tmp_path / "kernels" / "own-kernel-c")
    return made


@pytest.fixture
def runs_from_b(node: Any) -> "Iterator[subprocess.Popen[bytes]]":
    """A process with that tree as a mount of its own namespace, as a container's."""
    words = f"mount --bind {node.root}/kernels/own-kernel-b /mnt && echo is there && exec cat"
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"is there\n"
    yield process
    process.kill()
    process.communicate(timeout=20)


def _left(node: Any) -> list[str]:
    return sorted(one.name for one in (node.root / "kernels").iterdir())


def test_what_runs_keeps_its_tree(
    node: Any, runs_from_b: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old, "SETTLED_S", -1.0)
    assert old.sweep(node, tree.NAME) == 2
    assert _left(node) == ["own-kernel-b", "own-kernel-c", "own-kernel-d.new"]
    runs_from_b.communicate(timeout=20)
    assert old.sweep(node, tree.NAME) == 1
    assert _left(node) == ["own-kernel-c", "own-kernel-d.new"]
    monkeypatch.setattr(old, "_MADE_WITHIN_S", -1.0)
    assert old.sweep(node, tree.NAME) == 1
    assert _left(node) == ["own-kernel-c"]


def test_nothing_goes_while_a_version_is_being_exchanged(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert old.sweep(node, tree.NAME) == 0, "all were made just now"
    monkeypatch.setattr(old, "SETTLED_S", -1.0)
    tree.point(node).unlink()
    assert old.sweep(node, tree.NAME) == 0, "none is shown"
    assert len(_left(node)) == 5
