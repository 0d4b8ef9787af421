"""Work that the agent does again and again for environments, each in its turn.

Each turn is a thread of its own, so that one that hangs holds up no other's; one at a time for an environment,
and few for a tenant. What a tenant's turns compute is bounded as well: they have the agent's lock of Python,
for which commands wait. Where nobody has any, nothing is done at all.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

#: Until one whose turn had no place is tried again.
_AGAIN_S = 0.5
#: Of one processor, for all turns of a tenant together: they rest for so much longer than each computed.
_PART = 0.1


@dataclass(kw_only=True)
class Turn:
    """What is done again and again for one environment."""

    tenant_id: UUID
    due: float
    """By the monotonic clock."""
    is_busy: bool = False
    begun_at: float = 0.0
    """When its last turn began."""


T = TypeVar("T", bound=Turn)


class Turns(Generic[T]):
    """`do` is called in a thread of its own, must not raise, and gives the seconds until the next turn.

    `rests` is asked before: for how many seconds one has nothing to do, and no thread is begun; None: it has
    its turn. It holds up all others, so it looks and doesn't wait.
    """

    def __init__(
        self,
        name: str,
        most_of_a_tenant: int,
        do: Callable[[T], float],
        rests: Callable[[T], float | None] = lambda _: None,
    ):
        self._name, self._most, self._do, self._rests = name, most_of_a_tenant, do, rests
        self._known: dict[UUID, T] = {}
        self._at_once: Counter[UUID] = Counter()
        """Turns that are under way, by tenant."""
        self._rests_until: dict[UUID, float] = {}
        """Tenants whose turns have computed enough for now; by the monotonic clock."""
        self.lock = threading.Condition()
        """Held for what is changed in a turn; `get`, `put`, `drop` and `has` are to be called with it."""
        self._is_over = False

    def start(self) -> None:
        threading.Thread(target=self._go, name=self._name, daemon=True).start()

    def close(self) -> None:
        with self.lock:
            self._is_over = True
            self.lock.notify()

    def get(self, environment_id: UUID) -> T | None:
        return self._known.get(environment_id)

    def put(self, environment_id: UUID, one: T) -> None:
        """In place of another that it had."""
        self._known[environment_id] = one
        self.lock.notify()

    def drop(self, environment_id: UUID) -> T | None:
        """What it had, where it had one."""
        return self._known.pop(environment_id, None)

    def has(self, environment_id: UUID, one: T) -> bool:
        """Whether that is still what is done for it."""
        return self._known.get(environment_id) is one

    def _go(self) -> None:
        while not self._is_over:
            with self.lock:
                now = time.monotonic()
                due = [one for one in self._known.values() if not one.is_busy and one.due <= now]
                for one in sorted(due, key=lambda one: one.begun_at):
                    self._begin(one, now)
                waiting = [one.due for one in self._known.values() if not one.is_busy]
                self.lock.wait(max(0.05, min(waiting) - now) if waiting else None)

    def _begin(self, one: T, now: float) -> None:
        if (until := self._rests_until.get(one.tenant_id, 0.0)) > now:
            one.due = until
            return
        rests_s = self._rests(one)
        if rests_s is not None:
            one.due = now + rests_s
            return
        if self._at_once[one.tenant_id] >= self._most:
            one.due = now + _AGAIN_S
            return
        one.is_busy, one.begun_at = True, now
        self._at_once[one.tenant_id] += 1
        threading.Thread(target=self._take, args=(one,), name=f"{self._name} turn", daemon=True).start()

    def _take(self, one: T) -> None:
        rests_s = _AGAIN_S
        try:
            rests_s = self._do(one)
        finally:
            computed_s = time.thread_time()  # of this thread, which began with the turn
            with self.lock:
                now = time.monotonic()
                one.is_busy = False
                one.due = now + rests_s
                self._rests_until = {who: at for who, at in self._rests_until.items() if at > now}
                rested = self._rests_until.get(one.tenant_id, now)
                self._rests_until[one.tenant_id] = rested + computed_s * (1 / _PART - 1)
                self._at_once[one.tenant_id] -= 1
                if not self._at_once[one.tenant_id]:
                    del self._at_once[one.tenant_id]
                self.lock.notify()
