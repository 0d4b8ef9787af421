"""Looks at one environment after the other; a look that doesn't come back holds up no other.

Every look is made of questions that the kernel answers alone. Should one wait all the same, its thread is left
to it and another one goes on behind it; the environment is looked at again when the first has come back.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import structlog

log = structlog.get_logger()

T = TypeVar("T")

#: A look takes some milliseconds; on a host whose disk is busy, seconds.
PATIENCE_S = 15.0
_GLANCE_S = 0.5


@dataclass(frozen=True, slots=True)
class Stuck:
    """A look that hasn't come back."""

    environment_id: UUID
    waits_in: str
    """Function of the kernel that its thread waits in (proc_pid_wchan(5)); "" when that can't be told."""


@dataclass
class _Walk:
    """One thread's way through what is left."""

    left: deque[UUID]
    at: UUID | None = None
    since: float = 0.0
    thread_id: int = 0
    is_given_up: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class Rounds:
    """`look` at one environment, in a thread; `stuck` is told, in another, of one that doesn't come back."""

    def __init__(
        self,
        look: Callable[[UUID], object],
        stuck: Callable[[Stuck], object],
        *,
        patience_s: float | None = None,
    ):
        self._look = look
        self._stuck = stuck
        self._patience_s = PATIENCE_S if patience_s is None else patience_s
        self._held: set[UUID] = set()

    @property
    def held(self) -> frozenset[UUID]:
        """Those whose look hasn't come back."""
        return frozenset(self._held)

    def go(self, environments: Iterable[UUID]) -> None:
        """Returns when each was looked at, or is left alone because its look is stuck."""
        left = deque(one for one in environments if one not in self._held)
        while left:
            walk = _Walk(left)
            _in_thread("look", self._walk, walk)
            self._wait(walk)

    def _wait(self, walk: _Walk) -> None:
        while not walk.done.wait(_GLANCE_S):
            at, since = walk.at, walk.since
            if at is not None and time.monotonic() - since > self._patience_s:
                self._held.add(at)
                walk.left, walk.is_given_up = deque(), True
                seen = Stuck(at, _waits_in(walk.thread_id))
                log.error("a look at it doesn't come back", environment=str(at), waits_in=seen.waits_in)
                _in_thread("stuck", self._stuck, seen)
                return

    def _walk(self, walk: _Walk) -> None:
        left, walk.thread_id = walk.left, threading.get_native_id()
        while not walk.is_given_up and left:
            one = left.popleft()
            walk.since, walk.at = time.monotonic(), one
            try:
                self._look(one)
            except Exception:  # the edge: one environment's trouble keeps no other from being looked at
                log.exception("not looked at", environment=str(one))
            walk.at = None
            if walk.is_given_up:
                self._held.discard(one)
        walk.done.set()


def _in_thread(name: str, act: Callable[[T], object], what: T) -> None:
    threading.Thread(target=act, args=(what,), name=name, daemon=True).start()


def _waits_in(thread_id: int) -> str:
    try:
        return Path(f"/proc/self/task/{thread_id}/wchan").read_text().strip("0\n")
    except OSError:
        return ""
