"""Does jobs: the second verb of a node, beside `Engine.apply`.

What a crash can leave is told by files, as for an environment: the newest spec, the state, the journal, and a
note that there is something to do. Whoever comes next begins with the first step again, since each is safe to
run twice; after `MAX_ATTEMPTS` of them the job is given up, and what it left is taken back.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import structlog

from runtime import faults
from runtime.clock import sequence
from runtime.contract import JobOutcome, JobReport, JobSpec, Report
from runtime.contract.said import NOTHING
from runtime.contract.words import advice, changes, jobs, steps
from runtime.errors import HostLacks, RuntimeFault, Superseded
from runtime.jobs.base import Course, Job, Plan
from runtime.jobs.records import KEPT_JOB_S, JobRecords, JobState
from runtime.known import known_jobs
from runtime.node import Node
from runtime.state import Failure
from runtime.work import UNDO_DEADLINE_S, Steps

log = structlog.get_logger()

#: So often in a row the process at work may be killed before the job is given up.
MAX_ATTEMPTS = 3

JobReporter = Callable[[JobReport], object]


class NotYet(Exception):
    """It isn't this job's turn, or what it left could not be taken back yet: to be asked again a little
    later."""


class Jobs:
    """Does jobs on one node. Cheap to make; may be used by many processes at once."""

    def __init__(
        self,
        node: Node,
        kinds: Mapping[str, Job],
        report: JobReporter = lambda _: None,
        *,
        of_environment: Callable[[Report], None] = lambda _: None,
    ):
        self.node = node
        self._kinds = kinds
        self._report = report
        self._of_environment = of_environment

    def do(self, spec: JobSpec) -> JobReport | None:
        """Does it and returns the last report; of one that has ended already, how that was.

        None when another process is at work on it, which hears of a cancel by itself. Raises `NotYet`.
        """
        records = JobRecords(self.node, spec.id)
        records.accept(spec)
        return self._take_up(records)

    def again(self, job_id: UUID) -> JobReport | None:
        """Goes on with one that was cut off. A no-op (None) when somebody is at work on it. Raises `NotYet`."""
        return self._take_up(JobRecords(self.node, job_id))

    def sweep(self) -> int:
        """Forgets jobs that ended long ago; how many."""
        swept = 0
        for job_id in known_jobs(self.node):
            records = JobRecords(self.node, job_id)
            with records.try_lock() as free:
                ended_at = records.state().ended_at
                if free and ended_at and not 0 <= time.time() - ended_at < KEPT_JOB_S:
                    records.forget()
                    swept += 1
        return swept

    def _take_up(self, records: JobRecords) -> JobReport | None:
        last: JobReport | None = None
        attempted = 0
        while True:
            with records.try_lock() as mine:
                if not mine:
                    return last
                spec = records.wanted()
                while spec is not None and spec.generation > attempted:
                    last = self._in_turn(spec, records)
                    attempted = spec.generation
                    spec = records.wanted()
                done = records.clear_pending(attempted)
            if done:
                records.flush()
                return last

    def _in_turn(self, spec: JobSpec, records: JobRecords) -> JobReport:
        with records.turn(spec) as mine:
            if not mine:
                raise NotYet
            return self._once(spec, records)

    def _once(self, spec: JobSpec, records: JobRecords) -> JobReport:
        state = records.state()
        course = Course(
            self.node,
            spec,
            made=state.made,
            bytes=state.bytes,
            backup=state.backup,
            boot=state.boot,
            target=state.target,
            built=state.built,
            volume=state.volume,
        )
        course.tell_of_environment = self._of_environment
        if state.outcome is not None:
            return self._tell(course, state, Steps(spec, records, 0.0, lambda _: None))
        work = Steps(
            spec, records, time.monotonic() + spec.deadline_s, tell=lambda one: self._progress(course, one)
        )
        course.tell = work.progress
        course.may_go_on = lambda: work.may_go_on(work.steps[-1].name if work.steps else "")
        work.on_hang = lambda fault: self._note(records, JobState(failure=Failure.of(fault)))
        plan = Plan()
        with work.watched():
            try:
                attempt, cut_off = records.begin(spec)
                plan = self._kind(spec).plan(course)
                if spec.is_cancelled:
                    raise Superseded(jobs.cancelled())
                if state.failure is not None:  # it was decided, and taking back was cut off
                    raise state.failure.fault
                if attempt > MAX_ATTEMPTS:
                    raise _interrupted(cut_off)
                self._go(work, plan)
                faults.point(self.node, "commit", "before", "job")
                state = self._decide(records, JobOutcome.SUCCEEDED, None, course)
            except Superseded as cancelled:
                return self._give_up(work, plan, course, JobOutcome.CANCELLED, cancelled)
            except Exception as error:  # the edge: whatever it was, it may not leave work half done
                if not isinstance(error, RuntimeFault):
                    log.exception("job failed", job=str(spec.id), kind=spec.work.kind)
                return self._give_up(work, plan, course, JobOutcome.FAILED, work.fault_of(error))
        return self._tell(course, state, work)

    def _kind(self, spec: JobSpec) -> Job:
        kind = self._kinds.get(spec.work.kind)
        if kind is None:
            raise HostLacks(jobs.not_offered(spec.work.kind), code="job_unavailable", retryable=False)
        return kind

    @staticmethod
    def _go(work: Steps, plan: Plan) -> None:
        for task in plan.tasks:
            work.may_go_on(task.name)
            work.run(task.name, "do", task.act)

    def _give_up(
        self, work: Steps, plan: Plan, course: Course, outcome: JobOutcome, fault: RuntimeFault
    ) -> JobReport:
        """Decided and written down before anything is taken back: who is killed while doing so is followed by
        one who goes on taking back, not by one who tries again. It has ended when nothing is left."""
        records: JobRecords = work.records  # type: ignore[assignment]
        if outcome is JobOutcome.FAILED:
            self._note(records, JobState(failure=Failure.of(fault)))
        undo = Steps(
            work.spec,
            records,
            time.monotonic() + UNDO_DEADLINE_S,
            tell=lambda _: self._progress(course, work),
            steps=work.steps,
            undoes=True,
            lenient=True,
        )
        try:
            with undo.watched():
                undo.run("undo", "do", lambda: _nothing(plan.undo()))
        except Exception as left:  # the edge: it is tried again, until nothing is left
            log.exception("job not taken back", job=str(work.spec.id))
            raise NotYet from left
        return self._tell(course, self._decide(records, outcome, fault, course), work)

    def _decide(
        self, records: JobRecords, outcome: JobOutcome, fault: RuntimeFault | None, course: Course
    ) -> JobState:
        state = JobState(
            outcome=outcome,
            failure=Failure.of(fault) if fault else None,
            made=course.made,
            bytes=course.bytes,
            backup=course.backup,
            boot=course.boot,
            target=course.target,
            built=course.built,
            volume=course.volume,
            ended_at=time.time(),
        )
        self._note(records, state)
        return state

    @staticmethod
    def _note(records: JobRecords, state: JobState) -> None:
        try:
            records.set_state(state)
        except OSError:
            log.exception("state not written", job=str(records.id))

    # -- reports ----------------------------------------------------------------------------------

    def _progress(self, course: Course, work: Steps) -> None:
        self._send(self._of(course, work, None, None))

    def _tell(self, course: Course, state: JobState, work: Steps) -> JobReport:
        report = self._of(course, work, state.outcome, state.failure)
        with suppress(OSError):
            work.records.journal({"end": work.spec.generation, "code": report.code})
        return self._send(report)

    def _of(
        self, course: Course, work: Steps, outcome: JobOutcome | None, failure: Failure | None
    ) -> JobReport:
        spec = course.spec
        said = failure.message if failure else course.made if outcome else course.doing
        return JobReport(
            node=self.node.name,
            id=spec.id,
            about=spec.about,
            operation_id=spec.operation_id,
            sequence=sequence(self.node),
            at=datetime.now(UTC),
            outcome=outcome,
            progress=1.0 if outcome is JobOutcome.SUCCEEDED else course.share,
            message=said,
            code=failure.code if failure else "",
            next_step=failure.next_step if failure else NOTHING,
            retryable=failure.retryable if failure else True,
            steps=tuple(work.steps),
            bytes=course.bytes,
            backup=course.backup,
            boot=course.boot,
            target=course.target,
            built=course.built,
            volume=course.volume,
        )

    def _send(self, report: JobReport) -> JobReport:
        try:
            self._report(report)
        except Exception:  # the edge: whoever listens may be away
            log.exception("report not sent", job=str(report.id))
        return report


def _nothing(_: object) -> None:
    return None


def _interrupted(cut_off: str) -> RuntimeFault:
    return RuntimeFault(
        changes.interrupted(MAX_ATTEMPTS, steps.named(cut_off)),
        code="interrupted",
        next_step=advice.try_again_or_see_the_log(),
    )
