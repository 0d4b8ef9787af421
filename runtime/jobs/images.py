"""Jobs about images: to build one, to delete one."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from uuid import uuid4

from runtime.contract import (
    BuildImage,
    DeleteImage,
    ImageReport,
    ImageSpec,
    ImageState,
    JobOutcome,
    JobReport,
    JobSpec,
    Subject,
    SubjectType,
)
from runtime.contract.words import images
from runtime.images import service
from runtime.jobs.base import Course, Job, Plan, Task
from runtime.jobs.runner import Jobs, NotYet
from runtime.node import Node

#: Debian's from a slow mirror on a slow machine takes half an hour.
DEADLINE_S = 2 * 3600.0
_TURN_S = 0.5


class Build(Job):
    kind = "build"

    def plan(self, course: Course) -> Plan:
        """Nothing to do when the image is there as the spec says."""
        work = course.spec.work
        assert isinstance(work, BuildImage)
        node, spec = course.node, work.image
        if service.is_current(node, spec):
            course.bytes = service.size_of(node, spec.name)
            return Plan()

        def fill() -> None:
            course.made = service.fill(node, spec, course.progress)

        def check() -> None:
            course.made = service.check(node, spec, course.made)

        def take_in() -> None:
            course.progress(0.98, images.taking_in())
            course.bytes = service.take_in(node, spec)

        return Plan(
            [
                Task("image tree", fill),
                Task("image check", check),
                Task("image in the pool", take_in),
            ],
            undo=lambda: service.throw_away(node, spec),
        )


class Delete(Job):
    kind = "delete_image"

    def plan(self, course: Course) -> Plan:
        work = course.spec.work
        assert isinstance(work, DeleteImage)
        name = work.image.name
        return Plan([Task("image in the pool", lambda: service.delete(course.node, name))])


def job_of(spec: ImageSpec) -> JobSpec:
    """What has the image as its spec says."""
    return JobSpec(
        node=spec.node,
        id=uuid4(),
        about=Subject(type=SubjectType.IMAGE, id=spec.name),
        work=BuildImage(image=spec) if spec.wanted else DeleteImage(image=spec),
        deadline_s=DEADLINE_S,
    )


def report_of(job: JobReport, spec: ImageSpec) -> ImageReport:
    """What a report of such a job says of the image."""
    if job.outcome is None:
        state = ImageState.BUILDING
    elif job.outcome is not JobOutcome.SUCCEEDED:
        state = ImageState.FAILED
    else:
        state = ImageState.READY if spec.wanted else ImageState.DELETED
    return ImageReport(
        node=job.node,
        name=spec.name,
        state=state,
        revision=spec.revision,
        bytes=job.bytes,
        progress=job.progress,
        code=job.code,
        message=job.message,
        next_step=job.next_step,
        at=datetime.now(UTC),
    )


def ensure_image(node: Node, spec: ImageSpec, report: Callable[[ImageReport], object]) -> None:
    """Has the image on the node, or not, as the spec wants; the last report says how it ended. Here and now,
    behind other jobs about this image; ended by an exception, it is cancelled.

    A no-op (but for the report) when it is so already.
    """
    from runtime.jobs.kinds import KINDS  # noqa: PLC0415 (which lists what is here)

    jobs, job = Jobs(node, KINDS, lambda told: report(report_of(told, spec))), job_of(spec)
    try:
        while True:
            with suppress(NotYet):
                jobs.do(job)
                return
            time.sleep(_TURN_S)
    except BaseException:
        with suppress(NotYet):
            jobs.do(job.model_copy(update={"generation": 2}))
        raise
