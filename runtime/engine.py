"""Brings a node from whatever is there to a spec: the single verb `apply`, and what follows from it.

Everything here is said in terms of resources and their four verbs; nothing knows what a cgroup is.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from uuid import UUID

import structlog

from runtime.contract import DesiredState, EnvironmentSpec, ObservedState, Report, StepState
from runtime.errors import RuntimeFault, Superseded
from runtime.exits import note_exit
from runtime.host.cgroup import quick_attach
from runtime.host.oci import init_pid
from runtime.kinds import Toolbox
from runtime.node import Node
from runtime.reconciler import Reconciler
from runtime.reports import Reporter, Reports
from runtime.resources.base import Found
from runtime.resources.cgroup import Cgroup
from runtime.resources.process import Process
from runtime.state import Records, State
from runtime.work import Work

log = structlog.get_logger()

#: Takes over work that has to wait for somebody; False: it can't, the caller waits himself.
HandOver = Callable[[EnvironmentSpec], bool]


class _MustWait(Exception):
    """What comes next waits for an environment's own pleasure: not here, where others wait behind it."""


class Engine:
    """Applies specs on one node. Cheap to make; may be used by many processes at once.

    With `hand_over` it never waits for an environment to shut down: it asks somebody patient to go on.
    """

    def __init__(self, node: Node, report: Reporter = lambda _: None, *, hand_over: HandOver | None = None):
        self.node = node
        self.tools = Toolbox(node)
        self.reports = Reports(self.tools, report)
        self.reconciler = Reconciler(self.tools)
        self._hand_over = hand_over

    # -- verbs for callers ----------------------------------------------------------------------

    def apply(self, spec: EnvironmentSpec) -> Report | None:
        """Makes it so and returns the last report.

        None when there was nothing to do here: an older generation than the node knows (dropped), or
        another process is at work on this environment and takes the new spec up itself.
        """
        records = Records(self.node, spec.id)
        if not records.accept(spec):
            log.info("older spec dropped", environment=str(spec.id), generation=spec.generation)
            if records.tombstone() >= spec.generation:
                return self.reports.tell(self.reports.of_deleted(spec))
            return None
        return self._take_up(records)

    def again(self, environment_id: UUID) -> Report | None:
        """Applies what is wanted now once more: after a crash, a reboot of the node, a repair."""
        return self._take_up(Records(self.node, environment_id))

    def _take_up(self, records: Records) -> Report | None:
        last: Report | None = None
        attempted = -1
        while True:
            to_wait_for: EnvironmentSpec | None = None
            with records.try_lock() as mine:
                if not mine:
                    return last
                spec = records.wanted()
                while spec is not None and spec.generation > attempted:
                    attempted = spec.generation
                    try:
                        last = self._apply_once(spec, records)
                    except _MustWait:
                        to_wait_for = spec
                        break
                    spec = records.wanted()
            # handed over only now: who takes it needs the lock
            if to_wait_for is not None and self._hand_over is not None:
                if self._hand_over(to_wait_for):
                    return last
                self._hand_over, attempted = None, -1
            # what was accepted between the last look and the unlocking has nobody else to do it
            elif records.newest_generation() <= attempted:
                return last

    # -- one apply ------------------------------------------------------------------------------

    def _apply_once(self, spec: EnvironmentSpec, records: Records) -> Report:
        work = Work(spec, records, time.monotonic() + spec.deadline_s, tell=self._tell_progress)
        state = records.state()
        records.journal({"apply": spec.generation, "desired": spec.desired}, fresh=True)
        try:
            if spec.desired is DesiredState.DELETED:
                return self._delete(work)
            self._converge(work, state)
        except Superseded as newer:
            return self._finish(work, state, newer)
        except RuntimeFault as fault:
            self._undo(work, state)
            return self._finish(work, state, fault)
        except OSError as error:
            log.exception("apply failed", environment=str(spec.id))
            self._undo(work, state)
            where = f" ({error.filename})" if error.filename else ""
            refused = RuntimeFault(f"the node's kernel refused: {error.strerror}{where}", code="os_error")
            return self._finish(work, state, refused)
        return self._finish(work, state, None)

    def _converge(self, work: Work, state: State) -> None:
        spec = work.spec
        resources = self.tools.of(spec.kind)
        for resource in resources:
            resource.check(spec)
        runs = init_pid(self.node, spec.id) is not None
        reboot = runs and (spec.boots > state.boots or spec.installs > state.installs)
        newer = spec.generation > state.applied
        if newer:
            state.halted = False
        wants_run = spec.desired in (DesiredState.RUNNING, DesiredState.PAUSED) and not state.halted
        if runs and (reboot or not wants_run):
            self._halt(work)
            runs = False
        if not runs and (reboot or not wants_run):
            for resource in reversed(resources):
                if resource.lifetime == "boot":
                    work.step(resource, "remove")
        if not wants_run:
            for resource in resources:
                if resource.lifetime == "environment":
                    work.step(resource, "ensure")
            state.started_at = None
        else:
            with nullcontext() if runs else quick_attach():
                for resource in resources:
                    work.step(resource, "ensure")
            self.tools.one(Cgroup).freeze(spec.id, spec.desired is DesiredState.PAUSED)
            if not runs:
                state.started_at = time.time()
                state.exit_code = None
        if newer:
            state.crashes_in_a_row = 0
        state.restart_at = None
        state.boots, state.installs = spec.boots, spec.installs
        state.applied = spec.generation
        work.records.set_applied(spec)

    def _halt(self, work: Work) -> None:
        """The polite stop, as a step of its own."""
        if self._hand_over is not None and work.spec.stop_timeout_s > 0:
            raise _MustWait

        def stop() -> str | None:
            limit = min(work.spec.stop_timeout_s, max(0.0, work.until - time.monotonic()))
            return self.tools.one(Process).stop(work.spec.id, timeout_s=limit, interrupted=work.is_superseded)

        work.run("shutdown", "wait", stop)

    def _delete(self, work: Work) -> Report:
        """Everything of it goes, whatever state it is in; retried until nothing is left."""
        spec, records = work.spec, work.records
        faults: list[RuntimeFault] = []
        resources = self.tools.of(spec.kind)
        # processes first: with them go their namespaces, and with those the link
        order = [self.tools.one(Process), *(r for r in reversed(resources) if not isinstance(r, Process))]
        for resource in order:
            try:
                work.step(resource, "remove", interruptible=False)
            except RuntimeFault as fault:
                faults.append(fault)
            except OSError as error:
                faults.append(RuntimeFault(f"{resource.name}: {error.strerror}", code="os_error"))
        if faults:
            return self._finish(work, records.state(), faults[0])
        records.bury(spec.generation)
        return self.reports.tell(self.reports.of_deleted(spec, work.steps))

    def _undo(self, work: Work, state: State) -> None:
        """A failed create leaves nothing; a failed change leaves the environment as it was."""
        spec = work.spec
        if state.applied == 0:
            work.steps = [
                step.model_copy(update={"state": StepState.UNDONE}) if step.state is StepState.DONE else step
                for step in work.steps
            ]
            process = self.tools.one(Process)
            for resource in [process, *reversed(self.tools.of(spec.kind))]:
                with suppress(RuntimeFault, OSError):
                    work.records.journal({"verb": "remove", "resource": resource.name, "undo": True})
                    resource.remove(spec.id)
            return
        before = work.records.applied()
        if before is None:
            return
        runs = init_pid(self.node, spec.id) is not None
        resources = self.tools.of(before.kind)
        with suppress(RuntimeFault, OSError):
            if runs:
                for resource in resources:
                    resource.ensure(before)
            else:
                for resource in reversed(resources):
                    if resource.lifetime == "boot":
                        resource.remove(spec.id)

    # -- reports --------------------------------------------------------------------------------

    def _finish(self, work: Work, state: State, fault: RuntimeFault | None) -> Report:
        state.code = fault.code if fault else ""
        state.message = str(fault)[:2000] if fault else ""
        state.next_step = fault.next_step if fault else ""
        if state.halted and not fault:
            state.code, state.message = "halted_inside", "Powered off from inside."
        if work.records.directory.exists():
            work.records.set_state(state)
        report = self.reports.of(work.spec, state, work.steps, final=True, fault=fault)
        work.records.journal({"end": work.spec.generation, "code": state.code})
        return self.reports.tell(report)

    def _tell_progress(self, work: Work) -> None:
        self.reports.tell(self.reports.of(work.spec, work.records.state(), work.steps, final=False))

    def observe(self, environment_id: UUID) -> tuple[ObservedState, int | None]:
        """State and init pid, from the kernel alone."""
        return self.reports.observe(environment_id)

    def current_report(self, environment_id: UUID) -> Report | None:
        """What the environment looks like now; None when this node has no record of it."""
        records = Records(self.node, environment_id)
        spec = records.wanted()
        return None if spec is None else self.reports.of(spec, records.state(), final=True)

    # -- what happens by itself -------------------------------------------------------------------

    def on_exit(self, environment_id: UUID, exit_code: int) -> float | None:
        """Init ended. Reports it and returns the seconds until `again` should be called; None: never.

        A no-op (None) when the end was ours: a stop, a restart, a delete.
        """
        records = Records(self.node, environment_id)
        seen = records.newest_generation()
        with records.lock():
            delay = note_exit(records, exit_code, self.reports)
        if records.newest_generation() > seen:
            # whoever brought a newer spec found the lock taken, and left it to us
            self._take_up(records)
            return None
        return delay

    def reconcile(self) -> dict[UUID, str]:
        """Compares every wanted environment with the kernel and mends what drifted.

        Returns what was mended and why. To be called at the start of a node process and now and then.
        """
        return self.reconciler.reconcile(self.again)

    def leaks(self) -> list[Found]:
        """Every object with our mark that no wanted environment owns, once it is sure that it stays."""
        return self.reconciler.leaks()

    def missing(self) -> dict[UUID, str]:
        """The reverse of leaks: wanted environments that lack something, and what."""
        return self.reconciler.missing()

    def inspect(self, environment_id: UUID) -> dict[str, object]:
        """Every resource's own view of the environment, for people."""
        return {one.name: one.inspect(environment_id) for one in self.tools.all()}
