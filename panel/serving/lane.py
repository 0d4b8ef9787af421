"""Threads in which Django runs, and the line before them."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from panel.serving.fair_queue import Asker, Bounds, Turns
from panel.serving.throttle import Throttle

Result = TypeVar("Result")


class Full(Exception):
    """As much waits already as may; `str` says of whom."""


@dataclass(eq=False, slots=True)
class _Job:
    work: Callable[[], Any]
    future: "asyncio.Future[Any]"
    took_s: float = 0.0


class Lane:
    """A fixed number of threads. To be used from one event loop.

    Work goes to the thread that was busy last, so that what is kept per thread (connections, answers) stays
    warm in one as long as there is no need of more. `nice`: how far its threads stand back for others
    (setpriority(2) knows threads on Linux). `throttle`: who may not start for a moment; lanes may share them.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        bounds: Bounds | None = None,
        *,
        nice: int = 0,
        throttle: Throttle | None = None,
    ) -> None:
        self.name = name
        self.turns: Turns[_Job] = Turns(bounds or Bounds())
        self.throttle = throttle or Throttle()
        self._nice = nice
        self._alarm: asyncio.TimerHandle | None = None
        self._unborn = threads
        self._idle: list[SimpleQueue[tuple[Asker, _Job]]] = []

    async def run(self, asker: Asker, work: Callable[[], Result], *, goes_on: bool = False) -> Result:
        """What the work gives or raises. Raises `Full` at once when too much waits, unless it `goes_on` with
        what was let in before."""
        job = _Job(work, asyncio.get_running_loop().create_future())
        if not self.turns.ask(asker, job, goes_on=goes_on):
            raise Full(self.name)
        self.throttle.asked(asker.tree)
        self._start()
        result: Result = await job.future
        return result

    def _start(self) -> None:
        while self._idle or self._unborn:
            may_start = self.throttle.may_start
            found = self.turns.next(is_wanted=lambda job: not job.future.done(), may_start=may_start)
            if found is None:
                self._start_after_rest()
                return
            self._a_thread().put(found)

    def _start_after_rest(self) -> None:
        over_in_s = self.throttle.over_in_s(self.turns.waiting)
        if over_in_s is not None and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(over_in_s, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        self._start()

    def _a_thread(self) -> "SimpleQueue[tuple[Asker, _Job]]":
        if self._idle:
            return self._idle.pop()
        self._unborn -= 1
        inbox: SimpleQueue[tuple[Asker, _Job]] = SimpleQueue()
        name = f"{self.name}-{self._unborn}"
        threading.Thread(target=self._live, args=(inbox,), name=name, daemon=True).start()
        return inbox

    def _live(self, inbox: "SimpleQueue[tuple[Asker, _Job]]") -> None:
        if self._nice:
            mine = threading.get_native_id()
            # not forward again, which would take a right, where the whole process stands back further
            os.setpriority(os.PRIO_PROCESS, mine, max(self._nice, os.getpriority(os.PRIO_PROCESS, mine)))
        while True:
            asker, job = inbox.get()
            result, error, began = None, None, time.monotonic()
            try:
                result = job.work()
            except BaseException as raised:  # whatever it is belongs to who waits for it
                error = raised
            job.took_s = time.monotonic() - began
            job.future.get_loop().call_soon_threadsafe(self._ended, inbox, asker, job, result, error)
            del asker, job, result, error

    def _ended(
        self,
        inbox: "SimpleQueue[tuple[Asker, _Job]]",
        asker: Asker,
        job: _Job,
        result: Any,
        error: BaseException | None,
    ) -> None:
        self._idle.append(inbox)
        self.turns.done(asker)
        self.throttle.ended(asker.tree, job.took_s, has_more=self.turns.has_more(asker.tree))
        self._start()
        if job.future.done():
            return
        if error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(result)
