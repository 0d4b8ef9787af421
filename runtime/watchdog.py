"""Ends this process when a step hangs past its hard deadline, or in the way of a newer spec.

A thread that is stuck in a system call can't be stopped from inside its process, and what it holds (locks,
descriptors) goes only with the process. All that must stay lives in the kernel and in files, so ending is
safe: the supervisor starts the process anew, and whoever comes next undoes or goes on.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

log = structlog.get_logger()

#: How often it is asked whether somebody waits for what hangs.
LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class Watched:
    until: float
    """Of the monotonic clock."""
    on_late: Callable[[], object]
    is_in_the_way: Callable[[], bool]


class Watchdog:
    """One thread for all that is watched in this process; started with the first."""

    def __init__(self) -> None:
        self._watched: dict[int, Watched] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._owner = 0
        self._next = 0

    @contextmanager
    def watch(
        self, until: float, on_late: Callable[[], object], is_in_the_way: Callable[[], bool] = lambda: False
    ) -> Iterator[None]:
        """Past `until` calls `on_late`, then ends the process by SIGKILL; without the call as soon as
        `is_in_the_way` says so."""
        with self._changed:
            self._next += 1
            key = self._next
            self._watched[key] = Watched(until, on_late, is_in_the_way)
            if self._owner != os.getpid():  # the first, or the first after a fork
                self._owner = os.getpid()
                self._watched = {key: self._watched[key]}
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            elif len(self._watched) == 1:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._watched.pop(key, None)

    def close(self) -> None:
        """Ends the thread: a process that has one can't change its mount namespace. A no-op without one."""
        if self._owner == os.getpid() and self._thread is not None:
            with self._changed:
                self._owner = 0
                self._changed.notify()
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._owner != os.getpid():
                    return
                now = time.monotonic()
                watched = list(self._watched.values())
                late = [one for one in watched if one.until <= now]
                if not late:
                    first = min((one.until for one in watched), default=now + 3600)
                    self._changed.wait(min(first - now, LOOK_EVERY_S) if watched else None)
            if late or any(_asked(one.is_in_the_way) for one in watched):
                for one in late:
                    _asked(one.on_late)
                os.kill(os.getpid(), signal.SIGKILL)


def _asked(act: Callable[[], object]) -> bool:
    """Nothing may keep the process from ending."""
    try:
        return bool(act())
    except Exception:
        log.exception("watchdog")
        return False


watchdog = Watchdog()
