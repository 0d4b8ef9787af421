"""Which processors an environment may run on."""

import pytest

from runtime.contract import CpuPool, CpuPools
from runtime.contract.processors import listed
from runtime.cpu_pools import spread


@pytest.mark.parametrize(
    ("cpu", "slot", "offered", "found"),
    [
        (1, 0, [0, 1], "0"),
        (1, 1, [0, 1], "1"),
        (2, 5, [0, 1], "0-1"),
        (64, 5, [0, 1], "0-1"),
        (0.5, 3, [0, 1, 2, 5], "5"),
        (2, 1, [0, 1, 2, 5], "2,5"),
        (3, 1, [0, 1, 2, 3], "0-1,3"),
        (1, 7, [4], "4"),
    ],
)
def test_as_many_as_were_sold_spread_by_slot(cpu: float, slot: int, offered: list[int], found: str) -> None:
    assert spread(cpu, slot, offered) == found


def test_lists_are_written_as_the_kernel_does() -> None:
    assert listed([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"
    assert listed([]) == ""


@pytest.mark.parametrize(
    "pools",
    [
        [("a", (1,)), ("b", (1,))],
        [("a", (1,)), ("a", (2,))],
        [("a", (2, 1))],
        [("a", (1, 1))],
        [("a", ())],
    ],
)
def test_a_processor_is_in_one_pool_and_a_name_is_one(pools: list[tuple[str, tuple[int, ...]]]) -> None:
    with pytest.raises(ValueError, match=r"pools|processors"):
        CpuPools(pools=tuple(CpuPool(name=name, processors=numbers) for name, numbers in pools))
