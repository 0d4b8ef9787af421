"""Whoever asks most still waits his turn."""

import pytest

from panel.serving.fair_queue import Asker, Bounds, Turns

A, A2, B = Asker("a", "a1"), Asker("a", "a2"), Asker("b", "b1")


def order(turns: Turns[str]) -> list[str]:
    """What runs, one at a time."""
    found = []
    while (one := turns.next()) is not None:
        found.append(one[1])
        turns.done(one[0])
    return found


def test_a_crowd_of_one_tenant_is_passed_by_another() -> None:
    turns: Turns[str] = Turns()
    for number in range(40):
        assert turns.ask(A, f"a{number}")
    assert turns.ask(B, "b0") and turns.ask(B, "b1")
    assert order(turns)[:4] == ["a0", "b0", "a1", "b1"]


def test_many_people_of_a_tenant_are_one_tenant() -> None:
    turns: Turns[str] = Turns()
    for number in range(20):
        turns.ask(Asker("a", f"person {number}"), "a")
    turns.ask(B, "b0"), turns.ask(B, "b1")
    assert order(turns)[:4] == ["a", "b0", "a", "b1"]


def test_people_of_a_tenant_take_turns() -> None:
    turns: Turns[str] = Turns()
    for number in range(5):
        turns.ask(A, f"first {number}")
    turns.ask(A2, "second")
    assert order(turns)[:2] == ["first 0", "second"]


def test_a_thread_is_left_for_others() -> None:
    """With three threads: one person holds one of them, one tree two."""
    turns: Turns[str] = Turns()
    for asker in (A, A, A2, A2, Asker("a", "a3")):
        turns.ask(asker, asker.person)
    assert [turns.next(), turns.next(), turns.next()] == [(A, "a1"), (A2, "a2"), None]
    turns.ask(B, "b1")
    assert turns.next() == (B, "b1")
    turns.done(A)
    assert turns.next() == (Asker("a", "a3"), "a3"), "it hasn't had a turn"


@pytest.mark.parametrize(
    "bounds, fits",
    [(Bounds(waiting_of_person=3), 3), (Bounds(waiting_of_tree=2), 2), (Bounds(waiting=4), 4)],
    ids=["person", "tree", "all"],
)
def test_no_more_than_a_share_waits(bounds: Bounds, fits: int) -> None:
    turns: Turns[str] = Turns(bounds)
    assert [turns.ask(A, "x") for _ in range(6)] == [True] * fits + [False] * (6 - fits)
    assert turns.ask(A, "it was let in before", goes_on=True)
    assert turns.ask(B, "x") or bounds.waiting == 4
    order(turns)
    assert turns.ask(A, "again")


def test_nothing_is_kept_of_who_has_nothing() -> None:
    turns: Turns[str] = Turns()
    for number in range(10):
        turns.ask(Asker(f"t{number}", "p"), "x")
    assert len(order(turns)) == 10
    assert not turns._waiting and not turns._running and not turns._count


def test_what_nobody_waits_for_any_more_is_left_out() -> None:
    turns: Turns[str] = Turns()
    for word in ("gone", "gone", "here"):
        turns.ask(A, word)
    found = turns.next(is_wanted=lambda word: word == "here")
    assert found == (A, "here") and turns.next() is None
