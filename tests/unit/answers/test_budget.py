"""Processor time of who answers: so much at once, and then a share; no more is read than is wanted."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.answers import answerer
from runtime.answers.answerer import Budget
from runtime.answers.caller import _lines


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [100.0]
    monkeypatch.setattr(answerer.time, "monotonic", lambda: now[0])
    yield now


def test_what_is_spent_above_it_is_waited_for_and_no_more_is_saved_than_fits(clock: list[float]) -> None:
    budget = Budget(1.0, 0.1)
    budget.spend(0.9)
    assert budget.pause_s() == 0
    budget.spend(0.6)
    assert budget.pause_s() == pytest.approx(5.0)
    clock[0] += 5.0
    assert budget.pause_s() == pytest.approx(0.0)
    clock[0] += 1000.0
    assert budget.pause_s() == 0
    budget.spend(1.2)
    assert budget.pause_s() == pytest.approx(2.0)


def test_a_list_of_mounts_is_read_as_far_as_the_line_that_is_wanted(tmp_path: Path) -> None:
    """The kernel makes it while it is read, and needs milliseconds for 64 KiB of long names."""
    mounts = tmp_path / "mountinfo"
    mounts.write_bytes(b"".join(b"%d of many\n" % number for number in range(100_000)))
    fd = os.open(mounts, os.O_RDONLY)
    assert next(one for one in _lines(fd) if one.startswith(b"3 ")) == b"3 of many"
    assert os.lseek(fd, 0, os.SEEK_CUR) == 4096
    assert sum(1 for _ in _lines(fd)) < 10_000, "and never to its end"
    os.close(fd)
