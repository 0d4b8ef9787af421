"""Processor time of who answers: so much at once, and then a share."""

from collections.abc import Iterator

import pytest

from runtime.answers import answerer
from runtime.answers.answerer import Budget


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
