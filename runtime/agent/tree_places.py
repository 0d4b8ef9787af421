"""Places for work on trees, each a container: nobody keeps one for ten minutes while others wait."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

#: Who has waited for so long has the longest of those at work end, where that had its share.
WAITS_S = 2.0
SHARE_S = 30.0


class Place:
    """One work's."""

    def __init__(self) -> None:
        self.since = 0.0
        """By the monotonic clock; from when it has its place."""
        self.end: Callable[[], None] | None = None

    def begun(self, end: Callable[[], None]) -> None:
        """`end` has it end in a moment, whatever thread calls it, and however often."""
        self.end = end


class TreePlaces:
    def __init__(self, most: int, waits_s: float = WAITS_S, share_s: float = SHARE_S):
        self._free, self._waits_s, self._share_s = asyncio.Semaphore(most), waits_s, share_s
        self._taken: list[Place] = []

    @asynccontextmanager
    async def of(self, place: Place) -> AsyncIterator[None]:
        waiting = asyncio.ensure_future(self._free.acquire())
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=self._waits_s)
                if not waiting.done():
                    self._end_the_longest()
        except asyncio.CancelledError:
            if not waiting.cancel():  # it came meanwhile
                self._free.release()
            raise
        place.since = time.monotonic()
        self._taken.append(place)
        try:
            yield
        finally:
            self._taken.remove(place)
            self._free.release()

    def _end_the_longest(self) -> None:
        """A no-op where all have begun just now."""
        now = time.monotonic()
        ends = [(one.since, one.end) for one in self._taken if one.end is not None]
        since, end = min(ends, key=lambda one: one[0], default=(now, None))
        if end is not None and now - since >= self._share_s:
            end()
