"""Threads in which Django runs, and the line before them."""

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from panel.serving.turns import Asker, Bounds, Turns

Result = TypeVar("Result")


class Full(Exception):
    """As much waits already as may; `str` says of whom."""


@dataclass(eq=False, slots=True)
class _Job:
    work: Callable[[], Any]
    future: "asyncio.Future[Any]"


class Lane:
    """A fixed number of threads. To be used from one event loop.

    Work goes to the thread that was busy last, so that what is kept per thread (connections, answers) stays
    warm in one as long as there is no need of more. `nice`: how far its threads stand back for others
    (setpriority(2) knows threads on Linux).
    """

    def __init__(self, name: str, threads: int, bounds: Bounds | None = None, *, nice: int = 0) -> None:
        self.name = name
        self.turns: Turns[_Job] = Turns(bounds or Bounds())
        self._nice = nice
        self._unborn = threads
        self._idle: list[SimpleQueue[tuple[Asker, _Job]]] = []

    async def run(self, asker: Asker, work: Callable[[], Result], *, goes_on: bool = False) -> Result:
        """What the work gives or raises. Raises `Full` at once when too much waits, unless it `goes_on` with
        what was let in before."""
        job = _Job(work, asyncio.get_running_loop().create_future())
        if not self.turns.ask(asker, job, goes_on=goes_on):
            raise Full(self.name)
        self._start()
        result: Result = await job.future
        return result

    def _start(self) -> None:
        while self._idle or self._unborn:
            found = self.turns.next(is_wanted=lambda job: not job.future.done())
            if found is None:
                return
            self._a_thread().put(found)

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
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._nice)
        while True:
            asker, job = inbox.get()
            result, error = None, None
            try:
                result = job.work()
            except BaseException as raised:  # whatever it is belongs to who waits for it
                error = raised
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
        self._start()
        if job.future.done():
            return
        if error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(result)
