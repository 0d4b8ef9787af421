"""Whatever goes wrong at any step of a job: it ends once, as it says, and what came to no end leaves
nothing."""

import errno
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from runtime.contract import (
    BuildImage,
    ImageSource,
    ImageSpec,
    JobOutcome,
    JobReport,
    JobSpec,
    Subject,
    SubjectType,
)
from runtime.contract.said import Said
from runtime.errors import RuntimeFault
from runtime.jobs.base import Course, Job, Plan, Task
from runtime.jobs.records import JobRecords
from runtime.jobs.runner import MAX_ATTEMPTS, Jobs, NotYet
from runtime.known import pending_jobs
from runtime.node import Node
from runtime.state import Records
from tests.unit.engine.paper import Killed, Paper, paper_node

STEPS = ("one", "two", "three")
POINTS = [("do", when, name) for name in STEPS for when in ("before", "after")] + [("commit", "before", "job")]


class PaperJob(Job):
    kind = "build"

    def __init__(self) -> None:
        self.made: list[str] = []
        self.acts: dict[str, Callable[[Course], object]] = {}
        self.ended: set[uuid.UUID] = set()

    def plan(self, course: Course) -> Plan:
        def act(name: str) -> Callable[[], Said | None]:
            def do() -> None:
                if name not in self.made:
                    self.made.append(name)
                self.acts.get(name, lambda _: None)(course)
                course.made, course.bytes = Said("a tree"), 7

            return do

        return Plan([Task(name, act(name)) for name in STEPS], undo=self.made.clear)


class Bench:
    def __init__(self, node: Node, paper: Paper):
        self.node, self.paper, self.kind = node, paper, PaperJob()
        self.told: list[JobReport] = []

    @property
    def jobs(self) -> Jobs:
        """What a new process begins with."""
        return Jobs(self.node, {"build": self.kind}, self.told.append)

    def spec(self, **changes: object) -> JobSpec:
        image = ImageSpec(node=self.node.name, name="paper", source=ImageSource.BUSYBOX)
        spec = JobSpec(
            node=self.node.name,
            id=uuid.uuid4(),
            about=Subject(type=SubjectType.IMAGE, id="paper"),
            work=BuildImage(image=image),
        )
        return spec.model_copy(update=changes)

    def cancelled(self, spec: JobSpec) -> JobSpec:
        return spec.model_copy(update={"generation": 2})

    def goes_on(self, spec: JobSpec) -> JobReport:
        """What a node does by itself with what was cut off."""
        for _ in range(2 * MAX_ATTEMPTS + 2):
            if not pending_jobs(self.node):
                break
            with suppress(Killed, NotYet):
                self.jobs.again(spec.id)
        assert pending_jobs(self.node) == []
        last = self.jobs.do(spec)
        assert last is not None
        return last


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with paper_node(tmp_path / "home") as (node, paper):
        yield Bench(node, paper)


def test_a_job_is_done_once_and_tells_its_steps(bench: Bench) -> None:
    spec = bench.spec()
    report = bench.jobs.do(spec)
    assert report is not None
    assert report.outcome is JobOutcome.SUCCEEDED
    assert [(one.name, one.state) for one in report.steps] == [(name, "done") for name in STEPS]
    assert (report.message, report.bytes, report.progress) == ("a tree", 7, 1.0)
    bench.kind.made.clear()
    again = bench.jobs.do(spec)
    assert again is not None
    assert (again.outcome, again.message, again.bytes) == (JobOutcome.SUCCEEDED, "a tree", 7)
    assert bench.kind.made == []
    assert pending_jobs(bench.node) == []


@pytest.mark.parametrize("point", POINTS, ids="-".join)
@pytest.mark.parametrize("what", ["fail", "full", "kill", "hang", "cancel"])
def test_whatever_goes_wrong_at_a_step(bench: Bench, point: tuple[str, str, str], what: str) -> None:
    spec = bench.spec()

    def cancel() -> None:
        assert bench.jobs.do(bench.cancelled(spec)) is None, "somebody is at work on it, who hears of it"

    def fail(error: BaseException) -> Callable[[], None]:
        def act() -> None:
            raise error

        return act

    bench.paper.plan[point] = {
        "fail": fail(RuntimeFault(Said("made to fail"), code="injected")),
        "full": fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
        "kill": fail(Killed()),
        "hang": bench.paper.hang,
        "cancel": cancel,
    }[what]
    with suppress(Killed):
        bench.jobs.do(spec)
    bench.paper.plan.clear()
    report = bench.goes_on(spec)
    is_last = point[2] in ("three", "job")
    expected = {
        "fail": (JobOutcome.FAILED, "injected"),
        "full": (JobOutcome.FAILED, "node_full"),
        "kill": (JobOutcome.SUCCEEDED, ""),
        "hang": (JobOutcome.FAILED, "deadline_passed"),
        # the last step has begun: what it does is not taken back any more
        "cancel": (JobOutcome.SUCCEEDED, "") if is_last else (JobOutcome.CANCELLED, None),
    }[what]
    assert report.outcome is expected[0]
    assert expected[1] is None or report.code == expected[1]
    done = report.outcome is JobOutcome.SUCCEEDED
    assert bench.kind.made == (list(STEPS) if done else [])


def test_who_is_killed_each_time_gives_up(bench: Bench) -> None:
    spec = bench.spec()
    for _ in range(MAX_ATTEMPTS):

        def killed() -> None:
            raise Killed

        bench.paper.plan[("do", "after", "two")] = killed
        with suppress(Killed):
            bench.jobs.do(spec)
        assert bench.kind.made == ["one", "two"]
    report = bench.goes_on(spec)
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "interrupted")
    assert bench.kind.made == []


@pytest.mark.parametrize("what", ["fail", "kill"])
def test_taking_back_goes_on_until_nothing_is_left(bench: Bench, what: str) -> None:
    spec = bench.spec()

    def fails() -> None:
        raise RuntimeFault(Said("made to fail"), code="injected")

    def cut_off() -> None:
        raise Killed if what == "kill" else RuntimeFault(Said("not yet"), code="busy")

    bench.paper.plan = {("do", "after", "two"): fails, ("undo", "before", "undo"): cut_off}
    with suppress(Killed, NotYet):
        bench.jobs.do(spec)
    assert bench.kind.made == ["one", "two"]
    assert pending_jobs(bench.node) == [spec.id]
    report = bench.goes_on(spec)
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "injected"), "not tried again"
    assert bench.kind.made == []


def test_one_that_was_cancelled_before_it_began_does_nothing(bench: Bench) -> None:
    spec = bench.spec()
    report = bench.jobs.do(bench.cancelled(spec))
    assert report is not None
    assert report.outcome is JobOutcome.CANCELLED
    late = bench.jobs.do(spec)
    assert late is not None
    assert late.outcome is JobOutcome.CANCELLED
    assert bench.kind.made == []


def test_a_cancel_of_what_has_ended_changes_nothing(bench: Bench) -> None:
    spec = bench.spec()
    bench.jobs.do(spec)
    report = bench.jobs.do(bench.cancelled(spec))
    assert report is not None
    assert report.outcome is JobOutcome.SUCCEEDED
    assert bench.kind.made == list(STEPS)


def test_a_step_that_takes_long_hears_of_a_cancel(bench: Bench) -> None:
    spec = bench.spec()

    def long(course: Course) -> None:
        course.progress(0.1, Said("reading"))
        bench.jobs.do(bench.cancelled(spec))
        course.progress(0.2, Said("reading"))
        raise AssertionError("it went on")

    bench.kind.acts["two"] = long
    report = bench.jobs.do(spec)
    assert report is not None
    assert report.outcome is JobOutcome.CANCELLED
    assert bench.kind.made == []


def test_the_deadline_ends_it_between_steps(bench: Bench) -> None:
    spec = bench.spec(deadline_s=1.0)
    bench.kind.acts["two"] = lambda _: time.sleep(1.05)
    report = bench.jobs.do(spec)
    assert report is not None
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "deadline_passed")


def test_jobs_about_one_subject_take_turns(bench: Bench) -> None:
    first, second = bench.spec(), bench.spec()
    other = bench.spec(about=Subject(type=SubjectType.IMAGE, id="another"))

    def meanwhile(_: Course) -> None:
        with pytest.raises(NotYet):
            bench.jobs.do(second)
        assert Jobs(bench.node, {"build": PaperJob()}).do(other) is not None

    bench.kind.acts["one"] = meanwhile
    bench.jobs.do(first)
    bench.kind.acts.clear()
    assert pending_jobs(bench.node) == [second.id], "it waits, whoever is killed"
    assert bench.goes_on(second).outcome is JobOutcome.SUCCEEDED


def test_an_environment_is_held_for_a_moment_only(bench: Bench) -> None:
    environment_id, seen = uuid.uuid4(), []

    def is_free() -> bool:
        with Records(bench.node, environment_id).try_lock() as free:
            return free

    def step(course: Course) -> None:
        seen.append(is_free())
        with course.moment_of(environment_id):
            seen.append(is_free())
        seen.append(is_free())

    bench.kind.acts["two"] = step
    bench.jobs.do(bench.spec())
    assert seen == [True, False, True]


def test_a_job_of_a_kind_that_nobody_knows_is_refused(bench: Bench) -> None:
    report = Jobs(bench.node, {}).do(bench.spec())
    assert report is not None
    assert (report.outcome, report.code, report.retryable) == (JobOutcome.FAILED, "job_unavailable", False)


def test_what_ended_long_ago_is_forgotten_and_never_done_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = bench.spec()
    bench.jobs.do(spec)
    assert bench.jobs.sweep() == 0
    monkeypatch.setattr("runtime.jobs.runner.KEPT_JOB_S", 0.0)
    assert bench.jobs.sweep() == 1
    assert not JobRecords(bench.node, spec.id).directory.exists()
    bench.kind.made.clear()
    assert bench.jobs.do(spec) is None
    assert bench.kind.made == []
