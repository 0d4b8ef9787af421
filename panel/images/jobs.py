"""What the jobs that build and delete images mean to the panel's rows."""

from panel import events, words
from panel.images.models import Image, NodeImage
from panel.images.services import ask_again, forget
from panel.jobs.models import Job
from panel.operations.models import Operation
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from runtime.contract import BuildImage, DeleteImage, ImageSpec, JobOutcome, JobReport
from runtime.contract.said import NOTHING


class ImageJobs:
    """`panel.jobs.kinds.JobKind` of images."""

    def require(self, actor: Actor, operation: Operation) -> None:
        actor.require(Permission.IMAGE_MANAGE)

    def again(self, actor: Actor, operation: Operation) -> Operation:
        return ask_again(actor, operation)

    def hold(self, operation: Operation) -> None:
        Image.objects.select_for_update().filter(pk=operation.subject_id).first()

    def reported(self, job: Job, report: JobReport) -> None:
        """A no-op for an image that is gone. One that was asked for anew since tells only what is there."""
        work = job.asked.work
        assert isinstance(work, BuildImage | DeleteImage)
        rows = NodeImage.objects.select_for_update(of=("self",)).select_related("image", "operation")
        row = rows.filter(node=job.node, image__name=work.image.name).first()
        if row is None:
            return
        image_id = row.image_id
        if report.outcome is not None:
            _ended(row, work.image, report, is_newest=row.operation_id == job.pk)
        events.publish_to_all("image", image_id, progress=report.progress)


def _ended(row: NodeImage, spec: ImageSpec, report: JobReport, *, is_newest: bool) -> None:
    row.observed_at = report.at
    if report.outcome is JobOutcome.SUCCEEDED:
        if not spec.wanted:
            _gone(row, is_newest=is_newest)
            return
        row.observed_revision, row.bytes = max(spec.revision, 1), report.bytes or row.bytes
        if is_newest:
            row.code, row.message, row.next_step = "", report.message, NOTHING
    elif is_newest:
        row.is_wanted = True  # a deletion that failed, or was taken back: it is there
        if report.outcome is JobOutcome.CANCELLED:
            if not row.observed_revision:
                row.delete()
                return
            row.code, row.message, row.next_step = "", NOTHING, NOTHING
        else:
            row.code, row.message, row.next_step = report.code or "failed", report.message, report.next_step
    row.save()


def _gone(row: NodeImage, *, is_newest: bool) -> None:
    """With the last node that had it, the image itself; unless somebody has asked for it since."""
    image = row.image
    if row.is_wanted:
        row.observed_revision = 0
        if is_newest:
            row.code, row.message, row.next_step = "image_missing", words.image_gone(), NOTHING
        row.save()
        return
    row.delete()
    if not image.on_nodes.exists():
        forget(image)
