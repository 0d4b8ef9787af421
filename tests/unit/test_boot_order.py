"""A node that has started starts the highest order first, and each waits for as long as those before it say."""

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from runtime.agent.boot_order import BootOrder, Down, in_order
from runtime.contract.environment import Boot
from runtime.contract.said import Said

WHY = Said("it is gone")


def down(order: int, delay_s: float = 0.0) -> Down:
    return Down(uuid.uuid4(), WHY, Boot(order=order, delay_s=delay_s))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def test_the_highest_begins_and_one_order_stays_together() -> None:
    low, high, same, plain = down(1), down(9), down(9), down(0)
    assert list(in_order([plain, low, high, same])) == [[high, same], [low], [plain]]


def test_who_has_a_lower_order_waits_until_the_higher_have_started(pool: ThreadPoolExecutor) -> None:
    first, second, last = down(5), down(5), down(1)
    both = threading.Barrier(2, timeout=10)
    ends: list[uuid.UUID] = []

    def start(environment_id: uuid.UUID, because: Said) -> None:
        assert because == WHY
        if environment_id != last.environment_id:
            both.wait()  # both of the first order are begun before either has started
        ends.append(environment_id)

    order = BootOrder(start, pool)
    assert all(order.add(one) for one in (last, first, second))
    order.go()
    assert ends[-1] == last.environment_id
    assert set(ends) == {one.environment_id for one in (first, second, last)}


def test_the_delay_is_waited_for_and_the_end_of_the_agent_ends_it(pool: ThreadPoolExecutor) -> None:
    begun: list[uuid.UUID] = []
    started = threading.Event()

    def start(environment_id: uuid.UUID, _because: Said) -> None:
        begun.append(environment_id)
        started.set()

    first, second = down(5, delay_s=600), down(1)
    order = BootOrder(start, pool)
    assert order.add(second)
    assert order.add(first)
    going = threading.Thread(target=order.go)
    going.start()
    assert started.wait(10)
    assert begun == [first.environment_id]
    order.stop()
    going.join(10)
    assert not going.is_alive()
    assert begun == [first.environment_id]


def test_who_is_found_later_waits_for_nobody(pool: ThreadPoolExecutor) -> None:
    order = BootOrder(lambda *_: None, pool)
    order.go()
    assert not order.add(down(3))
