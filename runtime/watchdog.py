"""Ends this process when a step hangs past its hard deadline.

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

import structlog

log = structlog.get_logger()


class Watchdog:
    """One thread for all that is watched in this process; started with the first."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[float, Callable[[], None]]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._owner = 0
        self._next = 0

    @contextmanager
    def watch(self, until: float, on_late: Callable[[], None]) -> Iterator[None]:
        """Past `until` (of the monotonic clock) calls `on_late`, then ends the process by SIGKILL."""
        with self._changed:
            self._next += 1
            key = self._next
            self._watched[key] = (until, on_late)
            if self._owner != os.getpid():  # the first, or the first after a fork
                self._owner = os.getpid()
                self._watched = {key: self._watched[key]}
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            elif until <= min(one for one, _ in self._watched.values()):
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
                late = [act for until, act in self._watched.values() if until <= now]
                if not late:
                    first = min((until for until, _ in self._watched.values()), default=now + 3600)
                    self._changed.wait(first - now)
                    continue
            for act in late:
                try:
                    act()
                except Exception:  # nothing may keep the process from ending
                    log.exception("watchdog")
            os.kill(os.getpid(), signal.SIGKILL)


watchdog = Watchdog()
