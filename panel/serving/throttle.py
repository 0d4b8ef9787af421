"""Who asks for much at once rests in between, while others ask.

Turns alone let a crowd's next request begin the moment its last one ended: a neighbour's then always shares
the processor and Python's lock with one of them. A rest leaves both to him. Nobody rests while nobody else
asks, nor who waits for each answer before he asks again.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

#: Who asked within so long counts as asking.
COMPANY_S = 2.0
#: Of what was used, a third counts after so long.
MEMORY_S = 2.0
#: Who used so many times as much as somebody else rests for him.
AS_MUCH = 2.0
#: A rest, in lengths of the request before; but no longer than this.
RESTS, MOST_S = 3.0, 1.0
#: Between two pieces of all that a tree downloads, while others ask: with 64 KiB each, 3 MB a second.
BETWEEN_PIECES_S = 0.02


@dataclass(slots=True)
class _Known:
    asked_at: float
    used_s: float = 0.0
    used_at: float = 0.0
    rests_until: float = 0.0
    next_piece_at: float = 0.0


class Throttle:
    """By tree, of those who asked a moment ago. For one thread, as `Turns`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        """Who asked last stands last."""

    def asked(self, tree: str) -> None:
        now = self._clock()
        known = self._known.get(tree)
        if known is None:
            self._known[tree] = _Known(now)
        else:
            known.asked_at = now
            self._known.move_to_end(tree)
        while (oldest := next(iter(self._known.values()))).asked_at < now - 10 * MEMORY_S:
            if oldest.rests_until > now:
                break
            self._known.popitem(last=False)

    def ended(self, tree: str, took_s: float, *, has_more: bool) -> None:
        """One of its requests held a thread so long. `has_more`: others of it run or wait."""
        known, now = self._known.get(tree), self._clock()
        if known is None:
            return
        known.used_s, known.used_at = _used_s(known, now) + took_s, now
        if has_more and self._has_lighter_company(tree, known.used_s, now):
            known.rests_until = max(known.rests_until, now + min(RESTS * took_s, MOST_S))

    def may_start(self, tree: str) -> bool:
        known = self._known.get(tree)
        if known is not None and known.rests_until <= self._clock():
            known.rests_until = 0.0
        return known is None or not known.rests_until

    def over_in_s(self, trees: Iterable[str]) -> float | None:
        """How soon the first of those that `may_start` refused has rested, 0 when it has by now; None when none
        was refused."""
        found = [known.rests_until for tree in trees if (known := self._known.get(tree)) and known.rests_until]
        return max(min(found) - self._clock(), 0.0) if found else None

    def before_piece_s(self, tree: str) -> float:
        """How long the next piece of something that it downloads waits; each is asked for once."""
        now = self._clock()
        known = self._known.get(tree)
        if known is None:
            known = self._known[tree] = _Known(now)
        if not self._has_lighter_company(tree, math.inf, now):
            return 0.0
        at = max(now, known.next_piece_at)
        known.next_piece_at = at + BETWEEN_PIECES_S
        return at - now

    def _has_lighter_company(self, tree: str, used_s: float, now: float) -> bool:
        for name, other in reversed(self._known.items()):
            if other.asked_at < now - COMPANY_S:
                return False
            if name != tree and _used_s(other, now) * AS_MUCH < used_s:
                return True
        return False


def _used_s(known: _Known, now: float) -> float:
    return known.used_s * math.exp((known.used_at - now) / MEMORY_S)
