"""Environments that won't shut down keep threads of the slow worker waiting, and of one tenant only some."""

from contextlib import ExitStack
from uuid import UUID

from runtime.places import Places

OURS, OTHERS = UUID(int=1), UUID(int=2)


def test_a_tenant_with_hundreds_leaves_places_for_others() -> None:
    slow = Places(places=16, of_tenant=6)
    with ExitStack() as stack:
        got = [stack.enter_context(slow.place(OURS)) for _ in range(40)]
        assert [one is not None for one in got] == [True] * 6 + [False] * 34
        assert stack.enter_context(slow.place(OTHERS))
    assert not slow._taken


def test_the_last_places_are_for_those_who_have_none() -> None:
    slow = Places(places=16, of_tenant=100)
    with ExitStack() as stack:
        got = [[stack.enter_context(slow.place(UUID(int=tenant))) for _ in range(40)] for tenant in range(4)]
        assert [sum(one is not None for one in places) for places in got] == [8, 4, 2, 1]


def test_where_several_hold_all_who_has_none_gets_that_of_the_slowest() -> None:
    now = [0.0]
    places = Places(places=4, of_tenant=2, spared_s=300, clock=lambda: now[0])
    waiting = UUID(int=9)
    with ExitStack() as stack:
        slow, slower = (stack.enter_context(places.place(OURS)) for _ in range(2))
        others, last = (stack.enter_context(places.place(UUID(int=tenant))) for tenant in (2, 3))
        held = [one for one in (slow, slower, others, last) if one is not None]
        assert len(held) == 4
        for one, share in zip(held, (0.5, 0.1, 0.4, 0.6), strict=True):
            one.share = share
        assert stack.enter_context(places.place(waiting)) is None
        assert not any(one.is_wanted_back for one in held), "each has some minutes for itself"
        now[0] = 301.0
        assert stack.enter_context(places.place(OURS)) is None
        assert not any(one.is_wanted_back for one in held), "he has his share"
        for _ in range(3):
            assert stack.enter_context(places.place(waiting)) is None
        assert [one.is_wanted_back for one in held] == [False, True, False, False], "one, however often he asks"
