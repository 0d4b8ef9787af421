"""A moment that two processes of one machine can compare, whatever is done to the wall clock."""

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

#: Cache key under which the beat notes that it goes on, as a `Moment`.
BEAT_KEY = "beat-seen"


@cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True)
class Moment:
    boot: str
    up_s: float
    """CLOCK_BOOTTIME: goes on in a suspended machine, and can't be set (clock_gettime(2))."""
    wall_s: float

    @classmethod
    def now(cls) -> Self:
        return cls(boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME), time.time())

    @property
    def offset_s(self) -> float:
        return self.wall_s - self.up_s

    def note(self) -> list[Any]:
        """Fit for a cache; `age_of` reads it."""
        return [self.boot, self.up_s, self.wall_s]


def age_of(note: Any) -> float | None:
    """Seconds since `Moment.note`; None: there is none. Of another machine, or of one that has started anew, by
    the wall clock, where a time that lies ahead is as old as it is far."""
    if not isinstance(note, list) or len(note) != 3:
        return None
    boot, up_s, wall_s = note
    now = Moment.now()
    return now.up_s - float(up_s) if boot == now.boot else abs(now.wall_s - float(wall_s))
