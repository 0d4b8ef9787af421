"""Keeps the putting of processes into control groups quick (cgroup v1).

The first attach after a pause waits 5-15 ms for a grace period of the kernel, and everything else that
is done to control groups waits behind it; one within the next 10 ms takes 0.1 ms (measured, kernel 6.18).
So a thread attaches this process to the very group it is in, every 5 ms, which changes nothing else. On
v2 there is nothing to keep warm: the runtime's clone joins its group.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runtime.host.cgroup.files import read, write
from runtime.host.cgroup.host import ROOT, version

EVERY_S = 0.005
#: After the last work that was asked for: who asks for several asks again within it. It costs 2 % of one
#: processor.
LINGER_S = 2.0


class Warmth:
    """One thread of this process, at work from `ask` until `LINGER_S` after the last one. A no-op on v2."""

    def __init__(self) -> None:
        self._group = _own_freezer_group() if version() == 1 else None
        self._until = 0.0
        self._lock = threading.Lock()
        self._is_at_work = False

    def ask(self) -> None:
        if self._group is None:
            return
        with self._lock:
            self._until = time.monotonic() + LINGER_S
            if self._is_at_work:
                return
            self._is_at_work = True
        threading.Thread(target=self._keep, args=(self._group,), name="warmth", daemon=True).start()

    def _keep(self, group: Path) -> None:
        while True:
            _attach(group)
            time.sleep(EVERY_S)
            with self._lock:
                if time.monotonic() > self._until:
                    self._is_at_work = False
                    return


#: True in processes whose parent keeps it warm for them.
_is_kept_elsewhere = False


def for_children() -> Callable[[], None]:
    """Keeps it warm in this process for those that it forks from now on: what is returned asks for it."""
    global _is_kept_elsewhere  # noqa: PLW0603 (children inherit it)
    _is_kept_elsewhere = True
    return Warmth().ask


@contextmanager
def quick_attach() -> Iterator[None]:
    """While it lasts, putting a process into control groups is quick."""
    group = _own_freezer_group() if version() == 1 and not _is_kept_elsewhere else None
    if group is None:
        yield
        return
    done = threading.Event()

    def keep_warm() -> None:
        while not done.is_set():
            _attach(group)
            done.wait(EVERY_S)

    thread = threading.Thread(target=keep_warm, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()


def _attach(group: Path) -> None:
    with suppress(OSError):
        write(group, str(os.getpid()))


def _own_freezer_group() -> Path | None:
    for line in read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "freezer":
            return ROOT / "freezer" / path.lstrip("/") / "cgroup.procs"
    return None
