"""Whoever hangs in his turn holds up no other."""

import threading
import time
import uuid
from collections import Counter
from pathlib import Path

from runtime.agent.turns import Turn, Turns
from runtime.shipping.reading import Reader
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


def test_one_that_rests_takes_no_thread_and_has_its_turn_once_there_is_work() -> None:
    looked, has_work, done = [], threading.Event(), threading.Event()

    def rests(one: Turn) -> float | None:
        looked.append(one)
        return None if has_work.is_set() else 0.01

    def do(one: Turn) -> float:
        done.set()
        return 60.0

    turns = Turns[Turn]("rested", MOST, do, rests)
    with turns.lock:
        turns.put(uuid.uuid4(), Turn(tenant_id=uuid.uuid4(), due=0.0))
    turns.start()
    try:
        wait_until(lambda: len(looked) >= MOST, "looks at one that has nothing to do")
        assert not done.is_set()
        assert not turns._at_once
        has_work.set()
        assert done.wait(30)
    finally:
        turns.close()


def test_a_silent_app_has_no_turn_of_log_shipping(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    assert not reader.has_more()
    log = tmp_path / "log"
    log.touch()
    assert not reader.has_more()
    log.write_bytes(b"2026-11-30T00:00:00.000000000+00:00 stdout F said\n")
    assert reader.has_more()
    assert [one.text for one in reader.read()[0]] == [b"said"]
    reader.take(reader.read()[1])
    assert not reader.has_more()
    reader.close()
    assert Reader(log / "not a directory").has_more(), "the turn says what is wrong"


def test_what_a_tenant_has_computed_is_a_tenth_of_a_processor_and_shared_by_all_of_its_own() -> None:
    """Each of them always has more to do at once, as an app that writes without end."""
    spent, others = Counter[uuid.UUID](), list[float]()

    def do(one: Turn) -> float:
        if one.tenant_id == theirs:
            others.append(time.monotonic())
            return 0.1
        until = time.thread_time() + 0.01
        while time.thread_time() < until:
            pass
        spent[environments[id(one)]] += 1
        return 0.0

    mine, theirs = uuid.uuid4(), uuid.uuid4()
    turns = Turns[Turn]("test", MOST, do)
    environments = {}
    with turns.lock:
        for _ in range(8):
            environment, one = uuid.uuid4(), Turn(tenant_id=mine, due=0.0)
            environments[id(one)] = environment
            turns.put(environment, one)
        turns.put(uuid.uuid4(), Turn(tenant_id=theirs, due=0.0))
    turns.start()
    time.sleep(4)
    turns.close()
    assert len(spent) == 8, "none of them starves"
    assert sum(spent.values()) * 0.01 < 4 * 0.1 * 1.5 + 4 * 0.01
    assert len(others) > 15, "and nobody else rests for it"
