"""Places of which there are only so many in a process, and each tenant has a share."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID


class Held:
    """A place that somebody has."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.share = 0.0
        """How much of its work is done, from 0 to 1, as its holder says."""
        self.is_wanted_back = False
        """A tenant who has none waits for it: who has it ends what he does."""


class Places:
    """Of one tenant never more than are still free: whoever has a hundred environments that take their time
    holds up nobody else's.

    Where several tenants hold all of them, who has none gets one all the same: of those that are held for
    `spared_s` or longer, the one whose work got on slowest is wanted back.
    """

    def __init__(
        self, places: int, of_tenant: int, spared_s: float = 300.0, clock: Callable[[], float] = time.monotonic
    ):
        self._places, self._of_tenant, self._spared_s, self._clock = places, of_tenant, spared_s, clock
        self._taken: Counter[UUID] = Counter()
        self._held: list[Held] = []
        self._lock = threading.Lock()

    @contextmanager
    def place(self, tenant_id: UUID) -> Iterator[Held | None]:
        """While it lasts, one place; None when the tenant has its share already, or none is free."""
        with self._lock:
            held = self._take(tenant_id)
        try:
            yield held
        finally:
            if held is not None:
                with self._lock:
                    self._held.remove(held)
                    self._taken[tenant_id] -= 1
                    if not self._taken[tenant_id]:
                        del self._taken[tenant_id]

    def _take(self, tenant_id: UUID) -> Held | None:
        free = self._places - len(self._held)
        if self._taken[tenant_id] >= min(self._of_tenant, free):
            if not free and not self._taken[tenant_id]:
                self._want_one_back()
            return None
        held = Held(self._clock())
        self._held.append(held)
        self._taken[tenant_id] += 1
        return held

    def _want_one_back(self) -> None:
        """One at a time: the next when that one was given back."""
        now = self._clock()
        slow = [one for one in self._held if now - one.since >= self._spared_s]
        if slow and not any(one.is_wanted_back for one in self._held):
            min(slow, key=lambda one: one.share / (now - one.since + 1)).is_wanted_back = True
