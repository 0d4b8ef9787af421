"""Who asks for much at once rests for who asks for little, and for nobody else."""

import asyncio
import threading
from dataclasses import dataclass

import pytest

from panel.serving.fair_queue import Asker
from panel.serving.lane import Lane
from panel.serving.throttle import BETWEEN_PIECES_S, COMPANY_S, MOST_S, RESTS, Throttle
from tests.panel.serving.client import until


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rests(clock: Clock) -> Throttle:
    return Throttle(clock)


def crowd(rests: Throttle, tree: str, *, took_s: float = 0.1) -> None:
    rests.asked(tree)
    rests.ended(tree, took_s, has_more=True)


def test_a_crowd_rests_while_a_neighbour_asks(rests: Throttle, clock: Clock) -> None:
    rests.asked("neighbour")
    crowd(rests, "crowd")
    assert not rests.may_start("crowd") and rests.may_start("neighbour")
    assert rests.over_in_s(["crowd"]) == pytest.approx(RESTS * 0.1)
    assert rests.over_in_s(["neighbour"]) is None
    clock.now += RESTS * 0.1
    assert rests.over_in_s(["crowd"]) == 0, "who was refused a moment ago is asked again"
    assert rests.may_start("crowd") and rests.over_in_s(["crowd"]) is None


def test_nobody_rests_alone(rests: Throttle, clock: Clock) -> None:
    rests.asked("neighbour")
    clock.now += COMPANY_S + 0.1
    crowd(rests, "crowd")
    assert rests.may_start("crowd") and rests.before_piece_s("crowd") == 0


def test_who_waits_for_each_answer_never_rests(rests: Throttle) -> None:
    rests.asked("neighbour")
    for _ in range(100):
        rests.asked("busy")
        rests.ended("busy", 0.1, has_more=False)
    assert rests.may_start("busy")


def test_crowds_dont_rest_for_each_other(rests: Throttle) -> None:
    for _ in range(10):
        crowd(rests, "one")
        crowd(rests, "other")
    crowd(rests, "other")
    assert rests.may_start("other")


def test_a_neighbour_with_two_requests_at_once_doesnt_rest_for_the_crowd(rests: Throttle) -> None:
    for _ in range(20):
        crowd(rests, "crowd")
    crowd(rests, "neighbour", took_s=0.02)
    assert rests.may_start("neighbour")
    crowd(rests, "crowd")
    assert not rests.may_start("crowd")


def test_no_rest_is_longer_than_a_second(rests: Throttle) -> None:
    rests.asked("neighbour")
    crowd(rests, "crowd", took_s=30)
    assert rests.over_in_s(["crowd"]) == pytest.approx(MOST_S)


def test_what_was_used_is_forgotten(rests: Throttle, clock: Clock) -> None:
    for _ in range(20):
        crowd(rests, "crowd")
    clock.now += 60
    rests.asked("neighbour")
    assert list(rests._known) == ["neighbour"], "nothing is kept of who asks no more"
    rests.ended("neighbour", 0.1, has_more=False)
    crowd(rests, "crowd", took_s=0.1)
    assert rests.may_start("crowd")


def test_all_that_one_downloads_comes_piece_by_piece_while_others_ask(rests: Throttle, clock: Clock) -> None:
    rests.asked("neighbour")
    waits = [rests.before_piece_s("downloads") for _ in range(4)]
    assert waits == pytest.approx([number * BETWEEN_PIECES_S for number in range(4)])
    assert rests.before_piece_s("somebody else") == 0, "each has pieces of his own"


@pytest.mark.asyncio
async def test_the_next_of_a_crowd_begins_after_its_rest(clock: Clock) -> None:
    """In a lane, where the others' requests go on meanwhile."""
    rests = Throttle(clock)
    lane, ran, door = Lane("test", 3, throttle=rests), list[str](), threading.Event()
    crowd, neighbour = Asker("crowd", "c"), Asker("neighbour", "n")

    def work(name: str) -> None:
        ran.append(name)
        assert door.wait(20)

    await lane.run(neighbour, lambda: None)
    first = asyncio.ensure_future(lane.run(crowd, lambda: work("first")))
    second = asyncio.ensure_future(lane.run(crowd, lambda: work("second")))
    await until(lambda: ran == ["first"])
    clock.now += 0.2
    rests.asked("neighbour")
    rests.ended("crowd", 0.2, has_more=True)  # as if one had ended in another lane
    door.set()
    await first
    await lane.run(neighbour, lambda: ran.append("neighbour"))
    assert ran == ["first", "neighbour"] and not second.done()
    clock.now += RESTS * 0.2
    await asyncio.wait_for(second, 20)
    assert ran == ["first", "neighbour", "second"]
