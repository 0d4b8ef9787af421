"""The agent's watcher in a thread of the test's process, and what it tells."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from runtime.agent.outbox import Outbox
from runtime.agent.watcher import Watcher
from runtime.contract import Report
from runtime.node import Node

#: What a person may wait for. The watch itself is generous: the machine that tests run on is shared.
PROMISED_S, PATIENCE_S = 2.0, 90.0


class Told(Outbox):
    """Takes messages as the agent's outbox does, and keeps them."""

    def __init__(self) -> None:
        self.reports: list[Report] = []

    def put(self, key: object, task: str, document: dict[str, Any], *, fresh_s: float | None = None) -> None:
        self.reports.append(Report.model_validate(document))

    def wait(self, wanted: Callable[[Report], bool]) -> Report:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            for report in self.reports:
                if wanted(report):
                    return report
            time.sleep(0.02)
        raise AssertionError([(one.state, one.code, one.message, one.events) for one in self.reports])


@contextmanager
def watching(node: Node) -> Iterator[Told]:
    """The agent's watcher, in a thread of this process."""
    told = Told()
    loop = asyncio.new_event_loop()
    pool = ThreadPoolExecutor(4)
    ready = threading.Event()

    async def run() -> None:
        task = asyncio.ensure_future(Watcher(node, told, pool).run())
        loop.call_later(0.5, ready.set)
        stop.append(task)
        with suppress(asyncio.CancelledError):
            await task

    stop: list[asyncio.Future[None]] = []
    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        yield told
    finally:
        loop.call_soon_threadsafe(stop[0].cancel)
        thread.join(PATIENCE_S)
        pool.shutdown(wait=True)
        loop.close()
