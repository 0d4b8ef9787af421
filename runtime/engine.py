"""Brings a node from whatever is there to a spec: the single verb `apply`, and what follows from it.

Everything here is said in terms of resources and their four verbs; nothing knows what a cgroup is.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeVar, cast
from uuid import UUID

import structlog

from runtime.contract import (
    DesiredState,
    EnvironmentSpec,
    Kind,
    ObservedState,
    Report,
    RestartMode,
    Step,
    StepState,
)
from runtime.errors import DeadlinePassed, RuntimeFault, Superseded
from runtime.host.cgroup import quick_attach
from runtime.host.oci import init_pid
from runtime.kinds import every_resource, kind_of
from runtime.node import Node
from runtime.resources.base import Found, Resource
from runtime.resources.cgroup import Cgroup
from runtime.resources.process import Process, Start
from runtime.resources.volume import RootVolume
from runtime.state import Records, State, known_environments, sweep_tombstones

log = structlog.get_logger()

Reporter = Callable[[Report], None]
R = TypeVar("R", bound=Resource)

#: While work goes on, a report is sent at most this often.
PROGRESS_EVERY_S = 0.15
#: Init's exit status after reboot(2) from inside: killed by SIGHUP (reboot) or SIGINT (halt).
#: pid_namespaces(7)
EXIT_REBOOT, EXIT_HALT = 129, 130
#: After running this long, a crash counts as the first one again.
STEADY_S = 600.0


@dataclass
class _Work:
    """One apply in progress: its steps, its deadline, and who is told."""

    spec: EnvironmentSpec
    records: Records
    until: float
    steps: list[Step] = field(default_factory=list)
    told_at: float = field(default_factory=time.monotonic)
    done: list[Resource] = field(default_factory=list)
    """Ensured so far, in order: what a failed create removes again."""


class Engine:
    """Applies specs on one node. Cheap to make; may be used by many processes at once."""

    def __init__(self, node: Node, report: Reporter = lambda _: None):
        self.node = node
        self.report = report
        self._made: dict[type[Resource], Resource] = {}

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
                return self._tell(self._deleted_report(spec))
            return None
        return self._take_up(records)

    def again(self, environment_id: UUID) -> Report | None:
        """Applies what is wanted now once more: after a crash, a reboot of the node, a repair."""
        return self._take_up(Records(self.node, environment_id))

    def _take_up(self, records: Records) -> Report | None:
        last: Report | None = None
        attempted = -1
        while True:
            with records.try_lock() as mine:
                if not mine:
                    return last
                spec = records.wanted()
                while spec is not None and spec.generation > attempted:
                    attempted = spec.generation
                    last = self._apply_once(spec, records)
                    spec = records.wanted()
            # what was accepted between the last look and the unlocking has nobody else to do it
            if records.newest_generation() <= attempted:
                return last

    # -- one apply ------------------------------------------------------------------------------

    def _apply_once(self, spec: EnvironmentSpec, records: Records) -> Report:
        work = _Work(spec, records, until=time.monotonic() + spec.deadline_s)
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

    def _converge(self, work: _Work, state: State) -> None:
        spec = work.spec
        resources = self._resources(spec.kind)
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
                    self._step(work, resource, "remove")
        if not wants_run:
            for resource in resources:
                if resource.lifetime == "environment":
                    self._step(work, resource, "ensure")
            state.started_at = None
        else:
            with nullcontext() if runs else quick_attach():
                for resource in resources:
                    self._step(work, resource, "ensure")
            self._cgroup().freeze(spec.id, spec.desired is DesiredState.PAUSED)
            if not runs:
                state.started_at = time.time()
                state.exit_code = None
        if newer:
            state.crashes_in_a_row = 0
        state.restart_at = None
        state.boots, state.installs = spec.boots, spec.installs
        state.applied = spec.generation
        work.records.set_applied(spec)

    def _halt(self, work: _Work) -> None:
        """The polite stop, as a step of its own."""

        def stop() -> str | None:
            limit = min(work.spec.stop_timeout_s, max(0.0, work.until - time.monotonic()))
            return self._process().stop(
                work.spec.id, timeout_s=limit, interrupted=lambda: self._superseded(work)
            )

        self._run_step(work, "shutdown", "wait", stop)

    def _delete(self, work: _Work) -> Report:
        """Everything of it goes, whatever state it is in; retried until nothing is left."""
        spec, records = work.spec, work.records
        faults: list[RuntimeFault] = []
        resources = self._resources(spec.kind)
        # processes first: with them go their namespaces, and with those the link
        order = [self._made_of(Process), *(r for r in reversed(resources) if not isinstance(r, Process))]
        for resource in order:
            try:
                self._step(work, resource, "remove", interruptible=False)
            except RuntimeFault as fault:
                faults.append(fault)
            except OSError as error:
                faults.append(RuntimeFault(f"{resource.name}: {error.strerror}", code="os_error"))
        if faults:
            return self._finish(work, records.state(), faults[0])
        records.bury(spec.generation)
        return self._tell(self._deleted_report(spec, work.steps))

    def _undo(self, work: _Work, state: State) -> None:
        """A failed create leaves nothing; a failed change leaves the environment as it was."""
        spec = work.spec
        if state.applied == 0:
            work.steps = [
                step.model_copy(update={"state": StepState.UNDONE}) if step.state is StepState.DONE else step
                for step in work.steps
            ]
            process = self._made_of(Process)
            for resource in [process, *reversed(self._resources(spec.kind))]:
                with suppress(RuntimeFault, OSError):
                    work.records.journal({"verb": "remove", "resource": resource.name, "undo": True})
                    resource.remove(spec.id)
            return
        before = work.records.applied()
        if before is None:
            return
        runs = init_pid(self.node, spec.id) is not None
        resources = self._resources(before.kind)
        with suppress(RuntimeFault, OSError):
            if runs:
                for resource in resources:
                    resource.ensure(before)
            else:
                for resource in reversed(resources):
                    if resource.lifetime == "boot":
                        resource.remove(spec.id)

    # -- steps ----------------------------------------------------------------------------------

    def _step(
        self,
        work: _Work,
        resource: Resource,
        verb: Literal["ensure", "remove"],
        *,
        interruptible: bool = True,
    ) -> None:
        if interruptible:
            if self._superseded(work):
                raise Superseded("a newer change took over")
            if time.monotonic() > work.until:
                raise DeadlinePassed(
                    f"not finished within {work.spec.deadline_s:g} s; stopped before: {resource.name}",
                    next_step="Try again; if it happens again, look at the node's page.",
                )
        if verb == "ensure":
            work.done.append(resource)
            self._run_step(work, resource.name, verb, lambda: resource.ensure(work.spec))
        else:
            self._run_step(work, resource.name, verb, lambda: resource.remove(work.spec.id))

    def _run_step(
        self,
        work: _Work,
        name: str,
        verb: Literal["ensure", "remove", "wait"],
        act: Callable[[], str | None],
    ) -> None:
        """Journals, acts, times, and tells those who watch."""
        started = datetime.now(UTC)
        begin = time.perf_counter()
        work.records.journal({"verb": verb, "resource": name, "state": "running"})
        step = Step(name=name, verb=verb, state=StepState.RUNNING, started_at=started)
        work.steps.append(step)
        self._progress(work, force=verb == "wait")
        try:
            detail = act()
        except BaseException as fault:
            self._replace(work, begin, StepState.FAILED, str(fault))
            raise
        self._replace(work, begin, StepState.DONE, detail or "")

    @staticmethod
    def _replace(work: _Work, begin: float, state: StepState, detail: str) -> None:
        took = (time.perf_counter() - begin) * 1000
        work.steps[-1] = work.steps[-1].model_copy(
            update={"state": state, "duration_ms": round(took, 3), "detail": detail[:2000]}
        )

    def _progress(self, work: _Work, *, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - work.told_at >= PROGRESS_EVERY_S:
            work.told_at = now
            self._tell(self._report(work.spec, work.records.state(), work.steps, final=False))

    def _superseded(self, work: _Work) -> bool:
        return work.records.newest_generation() > work.spec.generation

    # -- reports --------------------------------------------------------------------------------

    def _finish(self, work: _Work, state: State, fault: RuntimeFault | None) -> Report:
        state.code = fault.code if fault else ""
        state.message = str(fault)[:2000] if fault else ""
        state.next_step = fault.next_step if fault else ""
        if state.halted and not fault:
            state.code, state.message = "halted_inside", "Powered off from inside."
        if work.records.directory.exists():
            work.records.set_state(state)
        report = self._report(work.spec, state, work.steps, final=True, fault=fault)
        work.records.journal({"end": work.spec.generation, "code": state.code})
        return self._tell(report)

    def _report(
        self,
        spec: EnvironmentSpec,
        state: State,
        steps: Iterable[Step] = (),
        *,
        final: bool,
        fault: RuntimeFault | None = None,
    ) -> Report:
        observed, pid = self.observe(spec.id)
        if fault is not None and state.applied == 0:
            observed = ObservedState.FAILED
        return Report(
            node=self.node.name,
            environment_id=spec.id,
            generation=state.applied,
            attempted_generation=spec.generation,
            operation_id=spec.operation_id,
            sequence=time.time_ns(),
            at=datetime.now(UTC),
            state=observed,
            final=final,
            code=state.code if final else "",
            message=state.message if final else "",
            next_step=state.next_step if final else "",
            retryable=fault.retryable if fault else True,
            steps=tuple(steps),
            init_pid=pid,
            started_at=datetime.fromtimestamp(state.started_at, UTC) if state.started_at and pid else None,
            restarts=state.restarts,
            exit_code=state.exit_code,
        )

    def _deleted_report(self, spec: EnvironmentSpec, steps: Iterable[Step] = ()) -> Report:
        return Report(
            node=self.node.name,
            environment_id=spec.id,
            generation=spec.generation,
            attempted_generation=spec.generation,
            operation_id=spec.operation_id,
            sequence=time.time_ns(),
            at=datetime.now(UTC),
            state=ObservedState.DELETED,
            steps=tuple(steps),
        )

    def _tell(self, report: Report) -> Report:
        try:
            self.report(report)
        except Exception:
            log.exception("report not sent", environment=str(report.environment_id))
        return report

    def observe(self, environment_id: UUID) -> tuple[ObservedState, int | None]:
        """State and init pid, from the kernel alone."""
        if self._made_of(Start).inspect(environment_id) is None:
            return ObservedState.STOPPED, None
        pid = init_pid(self.node, environment_id)
        if self._cgroup().frozen(environment_id):
            return ObservedState.PAUSED, pid
        return ObservedState.RUNNING, pid

    def current_report(self, environment_id: UUID) -> Report | None:
        """What the environment looks like now; None when this node has no record of it."""
        records = Records(self.node, environment_id)
        spec = records.wanted()
        return None if spec is None else self._report(spec, records.state(), final=True)

    # -- what happens by itself -------------------------------------------------------------------

    def on_exit(self, environment_id: UUID, exit_code: int) -> float | None:
        """Init ended. Reports it and returns the seconds until `again` should be called; None: never.

        A no-op (None) when the end was ours: a stop, a restart, a delete.
        """
        records = Records(self.node, environment_id)
        seen = records.newest_generation()
        with records.lock():
            delay = self._note_exit(records, exit_code)
        if records.newest_generation() > seen:
            # whoever brought a newer spec found the lock taken, and left it to us
            self._take_up(records)
            return None
        return delay

    def _note_exit(self, records: Records, exit_code: int) -> float | None:
        environment_id = records.id
        spec = records.wanted()
        if spec is None or init_pid(self.node, environment_id) is not None:
            return None
        state = records.state()
        ran_on = spec.desired in (DesiredState.RUNNING, DesiredState.PAUSED) and not state.halted
        if not ran_on or state.started_at is None or state.restart_at is not None:
            return None
        ooms = self._cgroup().usage(environment_id).oom_kills
        delay = self._decide_restart(spec, state, exit_code, ooms)
        state.restart_at = None if delay is None else time.time() + delay
        records.set_state(state)
        report = self._report(spec, state, final=True)
        self._tell(report.model_copy(update={"oom_kills": ooms}))
        return delay

    @staticmethod
    def _decide_restart(spec: EnvironmentSpec, state: State, exit_code: int, ooms: int) -> float | None:
        state.exit_code = exit_code
        lived = time.time() - (state.started_at or 0)
        state.started_at = None if exit_code == EXIT_HALT else state.started_at
        if exit_code == EXIT_HALT:
            state.halted = True
            state.code, state.message = "halted_inside", "Powered off from inside."
            state.next_step = "Press Start to run it again."
            return None
        state.restarts += 1
        if exit_code == EXIT_REBOOT:
            state.code, state.message, state.next_step = "", "", ""
            return 0.0
        if lived > STEADY_S:
            state.crashes_in_a_row = 0
        cause = f"init ended with exit code {exit_code}"
        if exit_code > 128:
            cause = f"init was killed by signal {exit_code - 128}"
        if ooms and exit_code == 137:
            cause = "init was killed because the memory limit was reached"
        state.code = "out_of_memory" if ooms and exit_code == 137 else "init_crashed"
        policy = spec.restart
        never = policy.mode is RestartMode.NEVER or (policy.mode is RestartMode.ON_FAILURE and exit_code == 0)
        if never:
            state.started_at = None
            state.message = f"{cause[0].upper()}{cause[1:]}; the restart policy is “{policy.mode}”."
            state.next_step = "Press Start to run it again."
            return None
        delay: float = min(policy.max_delay_s, policy.first_delay_s * 2**state.crashes_in_a_row)
        state.crashes_in_a_row = min(state.crashes_in_a_row + 1, 30)
        state.message = f"{cause[0].upper()}{cause[1:]}; starts again in {delay:g} s."
        state.next_step = ""
        return delay

    def reconcile(self) -> dict[UUID, str]:
        """Compares every wanted environment with the kernel and mends what drifted.

        Returns what was mended and why. To be called at the start of a node process and now and then.
        """
        mended: dict[UUID, str] = {}
        for environment_id in known_environments(self.node):
            records = Records(self.node, environment_id)
            seen = records.newest_generation()
            with records.try_lock() as free:
                if not free:
                    continue  # somebody is at work on it
                reason = self._drift(records)
            if not reason and records.newest_generation() > seen:
                reason = "a newer spec came while it was looked at"
            if reason:
                log.warning("drift", environment=str(environment_id), reason=reason)
                mended[environment_id] = reason
                self.again(environment_id)
        with suppress(RuntimeFault, OSError):
            self._sweep()
        return mended

    def _drift(self, records: Records) -> str | None:
        """Why `again` would have work to do; None when all is as wanted."""
        spec, state = records.wanted(), records.state()
        if spec is None:
            return None
        reason: str | None = None
        if spec.desired is DesiredState.DELETED:
            reason = "a deletion was not finished"
        elif state.applied < spec.generation:
            # a failed change waits for its user's retry; one that was killed is taken up
            reason = None if state.code else "work was interrupted"
        elif spec.desired is DesiredState.STOPPED:
            runs = init_pid(self.node, spec.id) is not None
            reason = "it runs though it should be stopped" if runs else None
        elif state.restart_at is not None:
            reason = "a restart is due" if time.time() > state.restart_at + 2 else None
        elif not state.halted and not (state.started_at is None and state.code):
            # neither powered off from inside nor left alone by its restart policy
            drifts = (resource.drifted(spec) for resource in self._resources(spec.kind))
            reason = next((drift for drift in drifts if drift), None)
        return reason

    def _sweep(self) -> None:
        self._made_of(RootVolume).sweep()
        sweep_tombstones(self.node)

    def leaks(self) -> list[Found]:
        """Every object with our mark that no wanted environment owns."""
        known = set(known_environments(self.node))
        found: list[Found] = []
        for kind in every_resource():
            for one in self._made_of(kind).inventory():
                if one.environment_id not in known:
                    found.append(one)
        return found

    def missing(self) -> dict[UUID, str]:
        """The reverse of leaks: wanted environments that lack something, and what."""
        lacking = {}
        for environment_id in known_environments(self.node):
            reason = self._drift(Records(self.node, environment_id))
            if reason:
                lacking[environment_id] = reason
        return lacking

    # -- resources --------------------------------------------------------------------------------

    def _made_of(self, kind: type[R]) -> R:
        if kind not in self._made:
            self._made[kind] = kind(self.node)
        return cast(R, self._made[kind])

    def _resources(self, kind: Kind) -> list[Resource]:
        return [self._made_of(one) for one in kind_of(kind).resources]

    def _process(self) -> Process:
        return self._made_of(Process)

    def _cgroup(self) -> Cgroup:
        return self._made_of(Cgroup)

    def inspect(self, environment_id: UUID) -> dict[str, object]:
        """Every resource's own view of the environment, for people."""
        return {one.name: self._made_of(one).inspect(environment_id) for one in every_resource()}
