"""Environments that won't shut down keep threads of the slow worker waiting, and of one tenant only some."""

from contextlib import ExitStack
from uuid import UUID

from runtime.places import Places

OURS, OTHERS = UUID(int=1), UUID(int=2)


def test_a_tenant_with_hundreds_leaves_places_for_others() -> None:
    slow = Places(places=16, of_tenant=6)
    with ExitStack() as stack:
        got = [stack.enter_context(slow.place(OURS)) for _ in range(40)]
        assert got == [True] * 6 + [False] * 34
        assert stack.enter_context(slow.place(OTHERS))
    assert not slow._taken


def test_the_last_places_are_for_those_who_have_none() -> None:
    slow = Places(places=16, of_tenant=100)
    with ExitStack() as stack:
        got = [sum(stack.enter_context(slow.place(UUID(int=tenant))) for _ in range(40)) for tenant in range(4)]
        assert got == [8, 4, 2, 1]
