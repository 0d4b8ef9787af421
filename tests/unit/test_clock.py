"""The order of reports outlives whatever is done to the wall clock."""

import time
from pathlib import Path

import pytest

from runtime import clock
from runtime.node import Node, default_settings

DAY_NS = 24 * 3600 * 10**9


@pytest.fixture
def node(tmp_path: Path) -> Node:
    (tmp_path / "node").mkdir()
    (tmp_path / "run").mkdir()
    return Node(tmp_path, default_settings(tmp_path))


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the kernel's boot id."""
    file = tmp_path / "boot_id"
    file.write_text("one\n")
    monkeypatch.setattr(clock, "_BOOT_ID", file)
    return file


def forget() -> None:
    """As in a new process."""
    clock._known.clear()


def test_it_grows_and_is_near_the_wall_clock(node: Node, boot: Path) -> None:
    first, second = clock.sequence(node), clock.sequence(node)
    assert first < second
    assert abs(second - time.time_ns()) < 60 * 10**9


@pytest.mark.parametrize("back_ns", [10**9, 400 * DAY_NS])
def test_a_wall_clock_that_is_set_back_changes_nothing(
    node: Node, boot: Path, monkeypatch: pytest.MonkeyPatch, back_ns: int
) -> None:
    before = clock.sequence(node)
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() - back_ns)
    assert clock.sequence(node) > before
    forget()
    assert clock.sequence(node) > before, "in another process"
    boot.write_text("two\n")
    forget()
    assert clock.sequence(node) > before, "after a reboot with the clock set back"


def test_another_process_goes_on_with_the_same_clock(node: Node, boot: Path) -> None:
    before = clock.sequence(node)
    forget()
    assert before < clock.sequence(node) < before + 60 * 10**9


@pytest.mark.parametrize("content", ["", "{", "\x00\x00", '{"boot": 1}'])
def test_a_damaged_file_is_made_anew(node: Node, boot: Path, content: str) -> None:
    (node.root / "clock.json").write_text(content)
    assert abs(clock.sequence(node) - time.time_ns()) < 60 * 10**9


def test_a_disk_that_takes_nothing_stops_no_report(
    node: Node, boot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(clock, "replace_file", full)
    assert clock.sequence(node) < clock.sequence(node)
