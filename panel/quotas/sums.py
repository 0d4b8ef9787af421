"""What one change of a sum means on every level of the tenants above. Pure: numbers in, numbers out.

A level with a limit takes that limit from the level above at once, so a change inside its limit ends
there; a level without one hands every change on. So the sum is right at every depth, and tenants with
limits of their own don't wait for each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID


@dataclass(frozen=True)
class Level:
    """One tenant's row for one resource, in stored units."""

    pk: int
    tenant_id: UUID
    resource: str
    limit: int | None
    reserved: int
    soft: int | None = None
    grace_s: int = 0
    soft_since: datetime | None = None
    overbook_percent: int = 100
    highest: int = 0

    @property
    def most(self) -> int | None:
        """How much may be reserved at most; None: not limited here."""
        return None if self.limit is None else self.limit * self.overbook_percent // 100

    def soft_is_over(self, now: datetime) -> bool:
        """Above the soft limit for longer than the grace time."""
        return self.soft_since is not None and now - self.soft_since > timedelta(seconds=self.grace_s)


@dataclass(frozen=True)
class Move:
    """What a row's `reserved` becomes."""

    level: Level
    reserved: int
    passed_on: int = 0
    """How much of the change goes on to the level above."""


@dataclass(frozen=True)
class Short:
    """The level that has no room, and what was asked of it."""

    level: Level
    asked: int
    by_soft: bool


def promised(limit: int | None, reserved: int, overbook_percent: int = 100) -> int:
    """What a level takes from the one above it. A limit that was set below what is held counts as held."""
    if limit is None:
        return reserved
    return max(limit, -(-reserved * 100 // overbook_percent))


def climb(
    levels: Sequence[Level], delta: int, now: datetime, *, even_above: bool = False
) -> tuple[list[Move], Short | None]:
    """Change the sum of the first of `levels` (a tenant, its parent, and so on) by `delta`.

    The moves of all levels that it reaches, and the first that has no room. `even_above`: there is
    room everywhere, since what is held is held.
    """
    moves: list[Move] = []
    short: Short | None = None
    for level in levels:
        if delta == 0:
            break
        new = max(level.reserved + delta, 0)
        if delta > 0 and not even_above and short is None:
            if level.most is not None and new > level.most:
                short = Short(level, delta, by_soft=False)
            elif level.soft is not None and new > level.soft and level.soft_is_over(now):
                short = Short(level, delta, by_soft=True)
        before = promised(level.limit, level.reserved, level.overbook_percent)
        delta = promised(level.limit, new, level.overbook_percent) - before
        moves.append(Move(level, new, delta))
    return moves, short
