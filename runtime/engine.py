"""Brings a node from whatever is there to a spec: the single verb `apply`, and what follows from it.

Everything here is said in terms of resources, their verbs and the sandbox; nothing knows what a cgroup is. How
one work goes step by step is `Convergence`.

What a crash can leave is told by files: the newest spec (`wanted.json`), the last one that was brought about
(`applied.json`), which generation was given up (`state.json`), how far the work came (`journal.jsonl`), and a
note that there is something to do (`run/pending`). Whoever comes next goes on from there.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import structlog

from runtime import faults
from runtime.contract import DesiredState, EnvironmentEvent, EnvironmentSpec, EventCode, ObservedState, Report
from runtime.contract.said import NOTHING, Said
from runtime.contract.words import advice, changes, steps
from runtime.convergence import Convergence, MustWait
from runtime.errors import RuntimeFault, Superseded
from runtime.exits import end_unhealthy, note_exit
from runtime.kinds import Toolbox
from runtime.node import Node
from runtime.reconciler import Ended, Reconciler
from runtime.reports import Reporter, Reports
from runtime.resources.base import Found
from runtime.state import Failure, Records, State
from runtime.work import UNDO_DEADLINE_S, Work

log = structlog.get_logger()

#: So often in a row the process at work may be killed at one generation before it is given up.
MAX_ATTEMPTS = 3
#: Between two events that tell of the same repair of one environment, in seconds.
REPAIR_TOLD_EVERY_S = 600.0
#: Takes over work that has to wait for somebody; False: it can't, the caller waits himself.
HandOver = Callable[[EnvironmentSpec], bool]


class Engine:
    """Applies specs on one node. Cheap to make; may be used by many processes at once.

    With `hand_over` it never waits for an environment to shut down, nor for what can't be frozen or killed at
    once: it asks somebody patient to go on.
    `tools`: other kinds, resources and sandboxes than the node's own.
    """

    def __init__(
        self,
        node: Node,
        report: Reporter = lambda _: None,
        *,
        hand_over: HandOver | None = None,
        tools: Toolbox | None = None,
    ):
        self.node = node
        self.tools = tools or Toolbox(node)
        self.sandbox = self.tools.sandbox
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
        try:
            accepted = records.accept(spec)
        except OSError as error:
            fault = self._work(spec, records).fault_of(error)
            return self.reports.tell(self.reports.of_refused(spec, records.state(), fault))
        if not accepted:
            log.info("older spec dropped", environment=str(spec.id), generation=spec.generation)
            if records.tombstone() >= spec.generation:
                return self.reports.tell(self.reports.of_deleted(spec))
            return None
        return self._take_up(records)

    def again(self, environment_id: UUID, because: Said = NOTHING) -> Report | None:
        """Brings about once more what should be: after a crash, a reboot of the node, or what the reconciler
        found (`because`, which the report then tells as repaired)."""
        records = Records(self.node, environment_id)
        records.mark_pending()
        return self._take_up(records, because)

    def _take_up(self, records: Records, because: Said = NOTHING) -> Report | None:
        last: Report | None = None
        attempted = 0
        while True:
            to_wait_for: EnvironmentSpec | None = None
            with records.try_lock() as mine:
                if not mine:
                    return last
                spec = records.wanted()
                if spec is not None and because and self.reconciler.drift(records) is None:
                    attempted = spec.generation  # somebody else who looked was quicker
                while spec is not None and spec.generation > attempted:
                    attempted = spec.generation
                    try:
                        last = self._apply_once(spec, records, because)
                    except MustWait:
                        to_wait_for = spec
                        break
                    self._tidy(spec)
                    because = NOTHING
                    spec = records.wanted()
                # what was accepted between the last look and the unlocking has nobody else to do it
                done = to_wait_for is None and records.clear_pending(attempted)
            # handed over only now: who takes it needs the lock
            if to_wait_for is not None and self._hand_over is not None:
                records.mark_pending()
                if self._hand_over(to_wait_for):
                    return last
                self._hand_over, attempted = None, 0
            elif done:
                records.flush()
                return last

    def _tidy(self, spec: EnvironmentSpec) -> None:
        for resource in self.tools.all():
            try:
                resource.tidy(spec)
            except Exception:  # the edge: all that was asked for is done and told
                log.exception("not tidied", environment=str(spec.id), resource=resource.name)

    # -- one apply ------------------------------------------------------------------------------

    def _work(self, spec: EnvironmentSpec, records: Records) -> Work:
        return Work(spec, records, time.monotonic() + spec.deadline_s, tell=self._tell_progress)

    def _converging(self, work: Work) -> Convergence:
        return Convergence(self.tools, work, waits=self._hand_over is None)

    def _apply_once(self, spec: EnvironmentSpec, records: Records, because: Said) -> Report:
        work, state = self._work(spec, records), records.state()
        if spec.desired is DesiredState.DELETED:
            return self._delete(work)
        if state.failed == spec.generation:
            return self._keep_to_what_was(work, state, because)
        newer = spec.generation > state.applied
        if newer:
            work.on_hang = lambda fault: self._give_up(work, fault)
        with work.watched():
            try:
                attempt, cut_off = records.begin(spec)
                if newer and attempt > MAX_ATTEMPTS:
                    raise RuntimeFault(
                        changes.interrupted(MAX_ATTEMPTS, steps.named(cut_off)),
                        code="interrupted",
                        next_step=advice.try_again_or_see_the_log(),
                    )
                self._converge(work, state)
            except MustWait:
                with suppress(OSError):
                    records.journal({"end": spec.generation, "code": "handed_over"})
                raise
            except Superseded as newest:
                return self._tell(work, records.state(), newest)
            except Exception as error:  # the edge: whatever it was, it may not leave work half done
                if not isinstance(error, RuntimeFault):
                    log.exception("apply failed", environment=str(spec.id))
                fault = work.fault_of(error)
            else:
                return self._tell(work, state, None, because)
        if not newer or records.state().applied >= spec.generation:
            return self._not_repaired(work, fault)
        state = self._give_up(work, fault)
        self._go_back(work, state)
        return self._tell(work, state, fault)

    def _converge(self, work: Work, state: State) -> None:
        spec = work.spec
        newer = spec.generation > state.applied
        converging = self._converging(work)
        converging.get_ready()
        if newer:
            for resource in self.tools.of(spec):
                resource.check(spec)
            state.halted = state.rests = False
            state.crashes_in_a_row = 0
        converging.make_so(state)
        state.applied = spec.generation
        state.no_longer(failed=True)
        self._commit(work, state)
        for resource in self.tools.of(spec):
            resource.settle(spec)

    def _commit(self, work: Work, state: State) -> None:
        """From here on this is what a later failure goes back to."""
        faults.point(self.node, "commit", "before", "records")
        work.records.set_applied(work.spec)
        work.records.set_state(state)
        faults.point(self.node, "commit", "after", "records")

    def _delete(self, work: Work) -> Report:
        """Everything of it goes, whatever state it is in; retried until nothing is left."""
        spec, records = work.spec, work.records
        work.lenient = True
        with work.watched():
            with suppress(OSError):
                records.begin(spec)
            if self._hand_over is not None:
                self._converging(work).end_soon()
            fault = self._converging(work).remove_all() or self._bury(work)
        if fault is not None:
            state = records.state()
            state.code, state.message, state.next_step = fault.code, fault.said, fault.next_step
            return self._tell(work, state, fault)
        return self.reports.tell(self.reports.of_deleted(spec, work.steps))

    def _bury(self, work: Work) -> RuntimeFault | None:
        """Nothing but the memory of the deletion is kept; why that couldn't be written."""
        try:
            faults.point(self.node, "commit", "before", "records")
            work.records.bury(work.spec.generation)
        except (OSError, RuntimeFault) as error:
            return work.fault_of(error)
        return None

    # -- what failed ------------------------------------------------------------------------------

    def _give_up(self, work: Work, fault: RuntimeFault) -> State:
        """Decided, and written down before anything is undone: who is killed while undoing is followed by one
        who goes on undoing, not by one who tries again. What was brought about is not given up any more: of
        that only tidying is left, which whoever goes on does."""
        state = work.records.state()
        if state.applied >= work.spec.generation:
            return state
        state.failed = work.spec.generation
        state.failure = Failure.of(fault)
        self._keep(work.records, state)
        return state

    @staticmethod
    def _keep(records: Records, state: State) -> None:
        try:
            if records.directory.exists():
                records.set_state(state)
        except OSError:
            log.exception("state not written", environment=str(records.id))

    def _go_back(self, work: Work, state: State) -> None:
        """A failed create leaves nothing; a failed change leaves the environment as it was."""
        failed = {step.name for step in work.steps}
        before = work.records.applied() if state.applied else None
        undo = Work(
            spec=before or work.spec,
            records=work.records,
            until=time.monotonic() + UNDO_DEADLINE_S,
            tell=lambda undo: self._tell_progress(work),
            steps=work.steps,
            undoes=True,
        )
        done = len(work.steps)
        fault: RuntimeFault | None = None
        with undo.watched():
            if before is None:
                fault = self._converging(undo).remove_all()
            else:
                try:
                    self._converging(undo).make_so(state)
                    for resource in self.tools.of(before):
                        resource.settle(before)
                except Exception as error:  # the edge: told below, and tried again by the reconciler
                    log.exception("not undone", environment=str(work.spec.id))
                    fault = undo.fault_of(error)
        if failed:
            # what was never begun, or is as before without a change, needs no line of its own
            undone, begun = work.steps[done:], failed if before is None else set()
            work.steps[done:] = [s for s in undone if s.state != "undone" or s.detail or s.name in begun]
        self._say_what_is_left(work, state, fault, nothing_before=before is None)

    def _say_what_is_left(
        self, work: Work, state: State, fault: RuntimeFault | None, *, nothing_before: bool
    ) -> None:
        if state.failure is None:
            return
        left = self.reconciler.left_of(work.spec) if nothing_before and fault is None else ()
        if fault is not None or left:
            said = changes.not_undone(fault.said if fault else left)
        else:
            said = changes.nothing_is_left() if nothing_before else changes.as_before()
        state.failure.outcome = said
        self._keep(work.records, state)

    def _keep_to_what_was(self, work: Work, state: State, because: Said) -> Report:
        """The newest spec was given up: the one before it holds, also when this is the repair of it."""
        with suppress(OSError):
            work.records.begin(work.spec)
        self._go_back(work, state)
        return self._tell(work, state, None, because if state.applied else NOTHING)

    def _not_repaired(self, work: Work, fault: RuntimeFault) -> Report:
        """What was brought about once can't be brought back now; the reconciler tries again."""
        state = work.records.state()
        state.code, state.next_step = fault.code, fault.next_step
        state.message = changes.not_brought_back(fault.said)
        return self._tell(work, state, fault)

    # -- reports --------------------------------------------------------------------------------

    def _tell(self, work: Work, state: State, fault: RuntimeFault | None, because: Said = NOTHING) -> Report:
        is_repaired = bool(because) and fault is None and self._is_news(state, because)
        if not isinstance(fault, Superseded):
            if fault is None:
                state.no_longer()
            self._keep(work.records, state)
        report = self.reports.of(work.spec, state, work.steps, final=True, fault=fault)
        if is_repaired:
            said = EnvironmentEvent(code=EventCode.REPAIRED, message=because, at=datetime.now(UTC))
            report = report.model_copy(update={"events": (said,)})
        with suppress(OSError):
            work.records.journal({"end": work.spec.generation, "code": report.code})
        return self.reports.tell(report)

    @staticmethod
    def _is_news(state: State, because: Said) -> bool:
        """Whoever undoes the same thing again and again, round after round, is told of now and then: each is a
        record in the panel."""
        now = time.time()
        if state.repaired == because.code and abs(now - state.repaired_at) < REPAIR_TOLD_EVERY_S:
            return False
        state.repaired, state.repaired_at = because.code, now
        return True

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

    def on_exit(self, environment_id: UUID, exit_code: int | None) -> float | None:
        """Init ended, with this code (None: its monitor was gone, nobody knows). Reports it and returns the
        seconds until `again` should be called; None: never.

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

    def end_unhealthy(self, environment_id: UUID, started_at: float) -> float | None:
        """Its health says that it is to be started anew: shuts down what was started then. Reports it and
        returns the seconds until `again` should be called; None: it isn't what runs any more, or a newer spec
        came."""
        records = Records(self.node, environment_id)
        seen, delay = records.newest_generation(), None
        with records.lock(), suppress(Superseded):
            delay = end_unhealthy(
                records, self.reports, started_at, interrupted=lambda: records.newest_generation() > seen
            )
        if records.newest_generation() > seen:
            self._take_up(records)
            return None
        return delay

    def reconcile(self, ended: Ended | None = None) -> dict[UUID, Said]:
        """Compares every wanted environment with the kernel and mends what drifted.

        Returns what was mended and why. To be called at the start of a node process and now and then. With
        `ended`, one whose init ended is left to whoever looks after that (`on_exit`).
        """
        return self.reconciler.reconcile(self.again, ended)

    def leaks(self) -> list[Found]:
        """Every object with our mark that no wanted environment owns, once it is sure that it stays."""
        return self.reconciler.leaks()

    def missing(self) -> dict[UUID, Said]:
        """The reverse of leaks: wanted environments that lack something, and what."""
        return self.reconciler.missing()

    def inspect(self, environment_id: UUID) -> dict[str, object]:
        """Every resource's own view of the environment, for people."""
        return {one.name: one.inspect(environment_id) for one in self.tools.all()}
