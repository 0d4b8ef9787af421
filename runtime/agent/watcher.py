"""Sees an environment's init end, and starts it again where its restart policy says so.

conmon writes one file per ended container into the node's directory of exits; the engine decides. Now and
then everything is compared with the kernel as well, for what no event told: a killed conmon, a lost file.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import UUID

import structlog

from runtime.agent.outbox import Outbox
from runtime.contract import PANEL_OBSERVE, Report
from runtime.engine import Engine
from runtime.host.inotify import IN_CLOSE_WRITE, IN_MOVED_TO, IN_Q_OVERFLOW, Inotify
from runtime.node import Node
from runtime.worker import hand_over_spec

log = structlog.get_logger()

RECONCILE_EVERY_S = 15.0


class Watcher:
    """Use inside the agent's event loop; the engine's own work is done in threads."""

    def __init__(self, node: Node, outbox: Outbox, pool: ThreadPoolExecutor):
        self._node = node
        self._outbox = outbox
        self._pool = pool
        self._inotify = Inotify()
        self._tasks: set[asyncio.Task[None]] = set()

    def report(self, report: Report) -> None:
        """Any thread. Of one environment only its newest report is kept while the panel is away."""
        key = ("report", report.environment_id)
        self._outbox.put(key, PANEL_OBSERVE, report.model_dump(mode="json"))

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        self._inotify.watch(self._node.exits, IN_MOVED_TO | IN_CLOSE_WRITE)
        loop.add_reader(self._inotify.fd, self._noticed)
        try:
            self._all()
            while True:
                await loop.run_in_executor(self._pool, self._reconcile)
                await asyncio.sleep(RECONCILE_EVERY_S)
        finally:
            loop.remove_reader(self._inotify.fd)
            self._inotify.close()
            for task in self._tasks:
                task.cancel()

    def _noticed(self) -> None:
        names = set()
        for _, mask, name in self._inotify.events():
            if mask & IN_Q_OVERFLOW:
                self._all()
            names.add(name)
        for name in names:
            self._ended(name)

    def _all(self) -> None:
        for entry in os.scandir(self._node.exits):
            self._ended(entry.name)

    def _ended(self, name: str) -> None:
        """A file of that name lies among the exits."""
        with suppress(ValueError, OSError):
            environment_id = UUID(hex=name)
            exit_code = int((self._node.exits / name).read_text())
            task = asyncio.get_running_loop().create_task(self._handle(environment_id, exit_code))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _handle(self, environment_id: UUID, exit_code: int) -> None:
        loop = asyncio.get_running_loop()
        engine = Engine(self._node, self.report, hand_over=hand_over_spec)
        try:
            delay = await loop.run_in_executor(self._pool, engine.on_exit, environment_id, exit_code)
            if delay is None:
                return
            await asyncio.sleep(delay)
            await loop.run_in_executor(self._pool, engine.again, environment_id)
        except Exception:  # the edge: one environment's trouble must not stop the watch for the others
            log.exception("exit not handled", environment=str(environment_id))

    def _reconcile(self) -> None:
        try:
            Engine(self._node, self.report, hand_over=hand_over_spec).reconcile()
        except Exception:  # the edge
            log.exception("reconcile failed")
