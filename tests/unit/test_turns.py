"""Whoever hangs in his turn holds up no other."""

import threading
import uuid

from runtime.agent.turns import Turn, Turns
from tests.host.support.waiting import wait_until

MOST = 4


def test_ones_that_hang_hold_up_no_other_tenant() -> None:
    begun, release, other = [], threading.Event(), threading.Event()

    def do(one: Turn) -> float:
        if one.tenant_id == mine:
            begun.append(one)
            release.wait(30)
        else:
            other.set()
        return 60.0

    mine, theirs = uuid.uuid4(), uuid.uuid4()
    turns = Turns[Turn]("test", MOST, do)
    with turns.lock:
        for tenant in [mine] * 20 + [theirs]:
            turns.put(uuid.uuid4(), Turn(tenant_id=tenant, due=0.0))
    turns.start()
    try:
        assert other.wait(30)
        wait_until(lambda: len(begun) >= MOST, "a tenant's share")
        assert len(begun) == MOST
    finally:
        release.set()
        turns.close()
    wait_until(lambda: not turns._at_once, "all of them to end")


def test_what_was_dropped_or_replaced_in_its_turn_is_not_what_is_known() -> None:
    turns = Turns[Turn]("test", MOST, lambda _: 60.0)
    one, other = Turn(tenant_id=uuid.uuid4(), due=0.0), Turn(tenant_id=uuid.uuid4(), due=0.0)
    environment = uuid.uuid4()
    with turns.lock:
        turns.put(environment, one)
        assert turns.has(environment, one)
        turns.put(environment, other)
        assert (turns.has(environment, one), turns.get(environment)) == (False, other)
        assert turns.drop(environment) is other
        assert turns.drop(environment) is None
