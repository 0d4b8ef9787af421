"""Processors of a node that are kept for some: pools by name, and who runs in which."""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from runtime.contract.base import NAME_PATTERN, Message, Name

#: Numbers of processors, as the kernel counts them from 0.
MOST_PROCESSORS, MOST_POOLS = 8192, 256

Numbers = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=MOST_PROCESSORS)], ...], Field(min_length=1, max_length=1024)
]


#: Empty: none.
PoolName = Annotated[str, StringConstraints(pattern=rf"{NAME_PATTERN}|^$", max_length=63)]


class CpuPool(Message):
    name: Name
    processors: Numbers

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if list(self.processors) != sorted(set(self.processors)):
            raise ValueError("processors: each once, and in their order")
        return self


class CpuPools(Message):
    """All pools of a node; a processor is in one at most."""

    revision: Annotated[int, Field(ge=0)] = 0
    """Counts up with every change; one that is older than what the node knows holds no more."""
    pools: Annotated[tuple[CpuPool, ...], Field(max_length=MOST_POOLS)] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        every = [number for pool in self.pools for number in pool.processors]
        if len(set(every)) < len(every) or len({pool.name for pool in self.pools}) < len(self.pools):
            raise ValueError("pools: a name once, and a processor in one pool at most")
        return self

    def of(self, name: str) -> tuple[int, ...]:
        """Empty of a pool that isn't there."""
        return next((pool.processors for pool in self.pools if pool.name == name), ())

    def others(self, processors: Sequence[int]) -> list[int]:
        """Of these, those that are in no pool."""
        taken = {number for pool in self.pools for number in pool.processors}
        return [number for number in processors if number not in taken]


def listed(numbers: Sequence[int]) -> str:
    """`0-2,5` of 0, 1, 2 and 5, which the kernel writes so as well."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)
