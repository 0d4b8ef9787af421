"""The order in which environments are started when their node has started, or its agent finds several down.

The highest order begins; whoever has a lower one waits until those have started, and for as long as they say.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

from runtime.contract.environment import Boot
from runtime.contract.said import Said


@dataclass(frozen=True, slots=True)
class Down:
    """One that is to be brought back."""

    environment_id: UUID
    because: Said
    boot: Boot


def in_order(down: Sequence[Down]) -> Iterator[list[Down]]:
    """Those of one order together, the highest first; in a group as they came."""
    ordered = sorted(down, key=lambda one: -one.boot.order)
    for _, together in groupby(ordered, key=lambda one: one.boot.order):
        yield list(together)


class BootOrder:
    """Gathers who is down until `go`, once; whoever is found later waits for nobody."""

    def __init__(self, start: Callable[[UUID, Said], object], pool: Executor):
        self._start = start
        self._pool = pool
        self._down: list[Down] | None = []
        self._lock = threading.Lock()
        self._ends = threading.Event()

    def add(self, one: Down) -> bool:
        """False: it has begun, and this one has to be started by the caller."""
        with self._lock:
            if self._down is not None:
                self._down.append(one)
            return self._down is not None

    def close(self) -> Sequence[Down]:
        """Who is down; nobody is added any more."""
        with self._lock:
            down, self._down = self._down, None
        return down or ()

    def stop(self) -> None:
        """The agent ends: nobody is waited for. The next one begins with who is still down."""
        self._ends.set()

    def go(self) -> None:
        """Starts them, each by the pool; returns when the last has begun."""
        with suppress(RuntimeError):  # the pool was shut down
            for together in in_order(self.close()):
                begun = [self._pool.submit(self._one, one) for one in together]
                if self._ends.wait(max(0.0, self._until(begun) - time.monotonic())):
                    return

    def _one(self, down: Down) -> float:
        self._start(down.environment_id, down.because)
        return time.monotonic() + down.boot.delay_s

    def _until(self, begun: Sequence["Future[float]"]) -> float:
        return max(future.result() for future in begun)
