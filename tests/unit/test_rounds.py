"""A look at one environment that doesn't come back holds up no look at another."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

from runtime.agent.rounds import Rounds, Stuck

ALL = [uuid4() for _ in range(6)]


class Looks:
    """Notes who was looked at; waits at those named `silent` until they are let go."""

    def __init__(self, *silent: UUID):
        self.silent = set(silent)
        self.seen: list[UUID] = []
        self.stuck: list[Stuck] = []
        self.told = threading.Semaphore(0)
        self.let_go = threading.Event()
        self.back = threading.Semaphore(0)
        self.rounds = Rounds(self.look, self.tell, patience_s=0.05)

    def look(self, one: UUID) -> None:
        self.seen.append(one)
        if one in self.silent:
            self.let_go.wait()
            self.back.release()

    def tell(self, stuck: Stuck) -> None:
        self.stuck.append(stuck)
        self.told.release()


@contextmanager
def looking(*silent: UUID) -> Iterator[Looks]:
    looks = Looks(*silent)
    try:
        yield looks
    finally:
        looks.let_go.set()


def test_all_are_looked_at_in_order() -> None:
    with looking() as looks:
        looks.rounds.go(ALL)
        assert (looks.seen, looks.stuck) == (ALL, [])


def test_those_behind_one_that_is_silent_are_looked_at() -> None:
    with looking(ALL[1], ALL[4]) as looks:
        looks.rounds.go(ALL)
        assert looks.seen == ALL
        assert looks.told.acquire(timeout=10)
        assert looks.told.acquire(timeout=10)
        assert {one.environment_id for one in looks.stuck} == {ALL[1], ALL[4]}
        assert looks.rounds.held == {ALL[1], ALL[4]}


def test_a_silent_one_is_left_alone_until_it_comes_back() -> None:
    with looking(ALL[2]) as looks:
        looks.rounds.go(ALL)
        looks.seen.clear()
        looks.rounds.go(ALL)
        assert looks.seen == [one for one in ALL if one != ALL[2]]
        looks.silent.clear()
        looks.let_go.set()
        assert looks.back.acquire(timeout=10)
        while looks.rounds.held:
            pass
        looks.seen.clear()
        looks.rounds.go(ALL)
        assert looks.seen == ALL


def test_a_look_that_fails_ends_no_round() -> None:
    seen = []

    def look(one: UUID) -> None:
        seen.append(one)
        raise OSError("gone")

    Rounds(look, lambda _: None).go(ALL)
    assert seen == ALL
