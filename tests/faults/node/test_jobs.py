"""A job is done by a process of its own: whatever ends that, another goes on or takes back what it left."""

import os
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.contract import ImageSource, ImageSpec, JobOutcome, JobReport
from runtime.host import btrfs
from runtime.jobs.images import job_of
from runtime.jobs.process import do_apart
from runtime.known import pending_jobs
from runtime.node import Node
from tests.faults.node.support import plant, planted


def _image(node: Node) -> ImageSpec:
    return ImageSpec(node=node.name, name=f"job-{uuid.uuid4().hex[:8]}", source=ImageSource.BUSYBOX)


def _left(node: Node, spec: ImageSpec) -> list[str]:
    return sorted(one.name for one in (node.store / "images").iterdir() if spec.name in one.name)


def _done(node: Node, spec: ImageSpec) -> JobReport:
    told: list[JobReport] = []
    do_apart(node, job_of(spec), told.append)
    assert [one.sequence for one in told] == sorted(one.sequence for one in told)
    return told[-1]


def test_an_image_is_built_and_deleted_in_steps(node: Node) -> None:
    spec = _image(node)
    report = _done(node, spec)
    assert report.outcome is JobOutcome.SUCCEEDED, report.message
    assert [one.name for one in report.steps] == ["image tree", "image check", "image in the pool"]
    assert report.bytes > 0
    assert btrfs.is_subvolume(node.image(spec.name))
    assert _left(node, spec) == [spec.name]
    gone = _done(node, spec.model_copy(update={"wanted": False}))
    assert gone.outcome is JobOutcome.SUCCEEDED
    assert _left(node, spec) == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["image tree", "image check", "image in the pool"])
def test_one_that_is_killed_is_gone_on_with(node: Node, when: str, step: str) -> None:
    spec = _image(node)
    plant(node, "kill", ("do", when, step))
    report = _done(node, spec)
    assert planted(node) == ""
    assert report.outcome is JobOutcome.SUCCEEDED, report.message
    assert _left(node, spec) == [spec.name]
    assert pending_jobs(node) == []


def test_one_that_is_killed_each_time_leaves_nothing(node: Node) -> None:
    spec = _image(node)
    plant(node, "kill", *[("do", "after", "image tree")] * 3)
    report = _done(node, spec)
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "interrupted")
    assert _left(node, spec) == []


def test_what_fails_leaves_nothing(node: Node) -> None:
    spec = _image(node)
    plant(node, "ENOSPC", ("do", "before", "image in the pool"))
    report = _done(node, spec)
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "node_full")
    assert _left(node, spec) == []
    assert not Path(node.root, "images", f"{spec.name}.json").exists()


def test_it_ends_with_who_waits_for_it_and_is_gone_on_with(node: Node) -> None:
    """A worker that is stopped leaves no process of a job behind."""
    spec = _image(node)
    job = job_of(spec)
    plant(node, "hang", ("do", "before", "image check"))
    worker = os.fork()
    if worker == 0:
        do_apart(node, job, lambda _: None)
        os._exit(0)
    _until(lambda: planted(node) == "")
    children = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
    assert pending_jobs(node) == [job.id]
    told: list[JobReport] = []
    do_apart(node, job, told.append)
    assert told[-1].outcome is JobOutcome.SUCCEEDED
    assert _left(node, spec) == [spec.name]


def _until(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)
