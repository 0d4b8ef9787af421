"""Sees within a second what happens to environments by itself, and has it mended and told.

- An end of init: a file appears where the sandbox says (`Sandbox.ends`).
- A killed monitor: by its pidfd.
- A process killed for lack of memory: the kernel's log names it.
- A link that was taken away: netlink says so.
- Work that a killed process left in its middle: a note lies among the node's pending work, and nobody holds
  the environment's lock.

The engine decides what follows. Now and then everything is compared with the kernel as well, for what no event
told.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TypeVar
from uuid import UUID

import structlog

from runtime import events
from runtime.agent.boot_order import BootOrder, Down
from runtime.agent.health import HealthWatch
from runtime.agent.init_watch import InitWatch
from runtime.agent.log_shipping import LogShippingWatch
from runtime.agent.outbox import Outbox
from runtime.agent.rounds import Rounds, Stuck
from runtime.builds import places as builds
from runtime.contract import NODE_JOB, PANEL_OBSERVE, Report
from runtime.contract.said import Said
from runtime.engine import Engine
from runtime.glance import Glance
from runtime.host import fuse
from runtime.host.inotify import IN_CLOSE_WRITE, IN_DELETE, IN_MOVED_TO, IN_Q_OVERFLOW, Inotify
from runtime.host.kmsg import KernelLog, victim_in
from runtime.host.linkwatch import LinkWatch
from runtime.jobs.records import JobRecords
from runtime.jobs.runner import Jobs
from runtime.known import known_environments, pending_jobs
from runtime.node import Node
from runtime.sandboxes import sandbox_of
from runtime.state import Records
from runtime.worker import hand_over, hand_over_spec

log = structlog.get_logger()

T = TypeVar("T")

#: Environments that are repaired at once.
REPAIRS = 2

RECONCILE_EVERY_S = 15.0
#: Reads every resource's inventory.
CLEAN_UP_EVERY_S = 30.0
#: How often it is looked for work that was cut off, and how old its note must be: who was asked to go on with
#: it may be about to.
PENDING_EVERY_S, PENDING_AGE_S = 1.0, 2.0
#: The same of a job, whose process takes longer to begin.
JOB_AGE_S = 10.0


class Watcher:
    """Use inside the agent's event loop; the engine's own work is done in threads."""

    def __init__(self, node: Node, outbox: Outbox, pool: ThreadPoolExecutor):
        self._node = node
        self._outbox = outbox
        self._pool = pool
        self._inotify = Inotify()
        self._sandbox = sandbox_of(node)
        self._init_watch = InitWatch(self._sandbox, self._lost)
        self._links: dict[str, UUID] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._taken_up: set[UUID] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending_watch = -1
        self._clean_at = 0.0
        self._looks = self._engine()
        """Looks and brings nothing about: what it understood of records, the next round knows."""
        self._glance = Glance()
        self._rounds = Rounds(self._look_at, self._stuck)
        self._repairs = ThreadPoolExecutor(REPAIRS, thread_name_prefix="repair")
        self._repaired: set[UUID] = set()
        self._has_looked = False
        self._health = HealthWatch(node, self._engine, self._start_later)
        self._logs = LogShippingWatch(node, self._engine)
        self._boot_order = BootOrder(self._repair_now, self._repairs)

    def report(self, report: Report) -> None:
        """Any thread. Of one environment only its newest report is kept while the panel is away, and every one
        that tells an event."""
        key = ("event", report.sequence) if report.events else ("report", report.environment_id)
        self._outbox.put(key, PANEL_OBSERVE, report.model_dump(mode="json"))

    async def run(self) -> None:
        """Until cancelled."""
        loop = self._loop = asyncio.get_running_loop()
        with ExitStack() as undo:
            undo.callback(self._inotify.close)
            for place in self._sandbox.ends:
                self._inotify.watch(place, IN_MOVED_TO | IN_CLOSE_WRITE)
            self._pending_watch = self._inotify.watch(self._node.pending, IN_DELETE)
            self._read(undo, self._inotify.fd, self._noticed)
            links = undo.enter_context(LinkWatch())
            self._read(undo, links.fd, lambda: self._links_gone(links))
            try:
                kernel = undo.enter_context(KernelLog())
                self._read(undo, kernel.fd, lambda: self._kernel_said(kernel))
            except OSError as refused:
                log.warning(
                    "the kernel's log can't be read: out-of-memory kills have no name", error=str(refused)
                )
            undo.callback(self._init_watch.close)
            undo.callback(self._repairs.shutdown, wait=False, cancel_futures=True)
            undo.callback(self._boot_order.stop)
            self._health.start()
            undo.callback(self._health.close)
            self._logs.start()
            undo.callback(self._logs.close)
            undo.callback(lambda: [task.cancel() for task in self._tasks])
            self._all()
            self._start(self._take_up())
            while True:
                await loop.run_in_executor(self._pool, self._reconcile)
                self._links.clear()
                for environment_id in known_environments(self._node):
                    self._look(environment_id)
                await asyncio.sleep(RECONCILE_EVERY_S)

    @staticmethod
    def _read(undo: ExitStack, fd: int, act: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(fd, act)
        undo.callback(loop.remove_reader, fd)

    def _engine(self) -> Engine:
        return Engine(self._node, self.report, hand_over=hand_over_spec)

    def _start(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _in_thread(self, what: str, environment_id: UUID, act: Callable[[], T]) -> T | None:
        """The edge: one environment's trouble must not stop the watch for the others."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, act)
        except Exception:
            log.exception(what, environment=str(environment_id))
            return None

    # ends of init --------------------------------------------------------------------------------

    def _noticed(self) -> None:
        for watch, mask, name in self._inotify.events():
            if mask & IN_Q_OVERFLOW:
                self._all()
            elif watch == self._pending_watch:
                with suppress(ValueError):
                    self._worked_on(UUID(name))
            else:
                self._ended(name)

    def _worked_on(self, environment_id: UUID) -> None:
        """Somebody has just finished work on it."""
        self._look(environment_id)
        records = Records(self._node, environment_id)
        self._start(self._in_thread("app not looked at", environment_id, lambda: self._look_at_app(records)))

    def _look_at_app(self, records: Records) -> None:
        self._health.look(records)
        self._logs.look(records)

    def _start_later(self, environment_id: UUID, delay_s: float) -> None:
        """Any thread: one that was ended for its health."""

        async def later() -> None:
            await asyncio.sleep(delay_s)
            engine = self._engine()
            await self._in_thread("not started again", environment_id, lambda: engine.again(environment_id))

        if self._loop is not None:
            self._loop.call_soon_threadsafe(lambda: self._start(later()))

    def _all(self) -> None:
        for place in self._sandbox.ends:
            for entry in os.scandir(place):
                self._ended(entry.name)

    def _ended(self, name: str) -> None:
        """A file of that name lies among the exits."""
        environment_id = self._sandbox.owner_of_end(name)
        if environment_id is None:
            return
        exit_code = self._sandbox.exit_code(environment_id)
        if exit_code is not None:
            self._start(self._handle(environment_id, exit_code))

    async def _handle(self, environment_id: UUID, exit_code: int | None) -> None:
        engine = self._engine()
        delay = await self._in_thread(
            "exit not handled", environment_id, lambda: engine.on_exit(environment_id, exit_code)
        )
        if delay is not None:
            await asyncio.sleep(delay)
            await self._in_thread("not started again", environment_id, lambda: engine.again(environment_id))

    def _has_ended(self, environment_id: UUID) -> None:
        """Any thread: its init is gone, and nobody has said what follows."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._look_after_end, environment_id)

    def _look_after_end(self, environment_id: UUID) -> None:
        self._start(self._handle(environment_id, self._sandbox.exit_code(environment_id)))

    # what keeps it ---------------------------------------------------------------------------------

    def _look(self, environment_id: UUID) -> None:
        self._links[self._node.link_name(environment_id)] = environment_id
        self._init_watch.look(environment_id)

    def _lost(self, environment_id: UUID) -> None:
        """Its init or its monitor ended."""
        if self._sandbox.is_there(environment_id):
            self._start(self._monitor_lost(environment_id))
        elif not self._sandbox.has_console(environment_id) and self._sandbox.exit_code(environment_id) is None:
            self._start(self._handle(environment_id, None))

    async def _monitor_lost(self, environment_id: UUID) -> None:
        records, reports = Records(self._node, environment_id), self._engine().reports
        await self._in_thread(
            "loss not told", environment_id, lambda: events.note_lost_monitor(records, reports)
        )

    # what the kernel says ---------------------------------------------------------------------------

    def _kernel_said(self, kernel: KernelLog) -> None:
        for record in kernel.records():
            victim = victim_in(record)
            environment_id = victim.environment_of(self._node.cgroup_name) if victim else None
            if victim is not None and environment_id is not None:
                self._start(self._killed(environment_id, victim.name, victim.pid))

    async def _killed(self, environment_id: UUID, name: str, pid: int) -> None:
        records, reports = Records(self._node, environment_id), self._engine().reports
        await self._in_thread(
            "kill not told", environment_id, lambda: events.note_oom(records, reports, name, pid)
        )

    def _links_gone(self, links: LinkWatch) -> None:
        for name in links.gone():
            environment_id = self._links.get(name)
            # one that goes with its environment is no news: the end is told by itself
            if environment_id is not None and self._sandbox.is_there(environment_id):
                self._start(self._mend(environment_id))

    async def _mend(self, environment_id: UUID) -> None:
        engine = self._engine()
        await self._in_thread(
            "not mended",
            environment_id,
            lambda: engine.reconciler.mend(environment_id, engine.again, self._has_ended),
        )

    # what was cut off, and what no event told ----------------------------------------------------

    async def _take_up(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for environment_id in await loop.run_in_executor(self._pool, self._interrupted):
                if environment_id not in self._taken_up:
                    self._taken_up.add(environment_id)
                    self._start(self._go_on(environment_id))
            await loop.run_in_executor(self._pool, self._jobs_cut_off)
            await asyncio.sleep(PENDING_EVERY_S)

    def _interrupted(self) -> list[UUID]:
        return self._engine().reconciler.interrupted(older_than_s=PENDING_AGE_S)

    def _jobs_cut_off(self) -> None:
        """Handed to who does jobs. The edge: with a broker that is away they are looked at again."""
        try:
            for job_id in pending_jobs(self._node, older_than_s=JOB_AGE_S):
                records = JobRecords(self._node, job_id)
                with records.try_lock() as free:
                    spec = records.wanted() if free else None
                if spec is not None and hand_over(NODE_JOB, spec.model_dump(mode="json")):
                    log.warning("interrupted job", job=str(job_id))
                    records.mark_pending()  # its age begins anew
        except Exception:
            log.exception("jobs not looked at")

    async def _go_on(self, environment_id: UUID) -> None:
        log.warning("interrupted work", environment=str(environment_id))
        engine = self._engine()
        await self._in_thread("not gone on with", environment_id, lambda: engine.again(environment_id))
        self._taken_up.discard(environment_id)

    def _look_at(self, environment_id: UUID) -> None:
        """In a thread of the rounds. What drifted is mended in another: that may take its time."""
        if environment_id in self._repaired:
            return
        reconciler, reports, glance = self._looks.reconciler, self._looks.reports, self._glance
        records = reconciler.known(environment_id)
        events.note_lost_monitor(records, reports, glance)
        events.note_unnamed_ooms(records, reports)
        self._look_at_app(records)
        # last: what takes the environment's lock now would be in the way of the repair
        reconciler.look(environment_id, glance, self._repair, self._has_ended)

    def _repair(self, environment_id: UUID, because: Said) -> None:
        self._repaired.add(environment_id)
        spec = self._looks.reconciler.known(environment_id).wanted()
        if spec is not None and self._boot_order.add(Down(environment_id, because, spec.boot)):
            return
        with suppress(RuntimeError):  # it is the end of the agent
            self._repairs.submit(self._repair_now, environment_id, because)

    def _repair_now(self, environment_id: UUID, because: Said) -> None:
        try:
            self._engine().again(environment_id, because)
        except Exception:  # the edge: it is looked at again
            log.exception("not repaired", environment=str(environment_id))
        finally:
            self._repaired.discard(environment_id)

    def _stuck(self, stuck: Stuck) -> None:
        """In a thread of its own. What the environment serves itself goes with its processes, and the look
        comes back; one that waits for anything else is a matter of the host's."""
        if stuck.waits_in != fuse.WAITS_IN:
            return
        engine = self._engine()
        try:
            engine.sandbox.stop(stuck.environment_id, timeout_s=0)
            events.note_stuck(Records(self._node, stuck.environment_id), engine.reports)
        except Exception:
            log.exception("not ended", environment=str(stuck.environment_id))

    def _reconcile(self) -> None:
        """The edge: what is wrong with one environment, or with looking, is logged and looked at again."""
        try:
            self._glance = Glance()
            self._rounds.go(known_environments(self._node))
            if not self._has_looked:
                self._has_looked = True
                threading.Thread(target=self._boot_order.go, name="boot order", daemon=True).start()
            self._looks.reconciler.sweep()
            if time.monotonic() > self._clean_at:
                self._clean_at = time.monotonic() + CLEAN_UP_EVERY_S
                self._looks.reconciler.clean_up()
                self._looks.reconciler.forget_tenants()
                Jobs(self._node, {}).sweep()
                builds.sweep(self._node)
        except Exception:
            log.exception("reconcile failed")
