"""Asking a node to do something once, as an operation; asking it again, and having it drop that."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from panel import dispatch, words
from panel.audit.services import record
from panel.errors import Conflict
from panel.jobs.kinds import KINDS, JobKind, kind_of
from panel.jobs.models import Job
from panel.nodes.models import Node
from panel.operations import services as operations
from panel.operations.control import controls, refuse_unless_failed
from panel.operations.models import CANCELLING, Operation, OperationKind, SubjectType
from panel.operations.services import Subject
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from runtime.contract import JobSpec, JobWork
from runtime.contract import Subject as About
from runtime.contract.transport import AGAIN


@dataclass(frozen=True)
class Wanted:
    """One job."""

    node: Node
    work: JobWork
    about: About
    """For the node, which does one job about the same subject at a time."""
    within_s: float


def ask(
    actor: Actor | None,
    subject: Subject,
    kind: OperationKind,
    *wanted: Wanted,
    details: dict[str, Any] | None = None,
    retry_of: Operation | None = None,
) -> Operation:
    """Opens the operation and sends its jobs, at least one, after the commit. Who asks has looked at rights,
    and writes the audit. Raises `TooMany` when the tenant has as many operations open as it may."""
    priority = operations.admit(actor, subject.tenant_id)
    within = timedelta(seconds=max(one.within_s for one in wanted))
    operation = operations.open_operation(
        actor,
        subject,
        kind,
        within=within,
        details={"node": ", ".join(one.node.name for one in wanted), **(details or {})},
        retry_of=retry_of,
    )
    operation.save(force_insert=True)
    for number, one in enumerate(wanted):
        job = _job_of(operation, one, operation.pk if number == 0 else uuid4())
        job.save(force_insert=True)
        send(job, priority)
    operations.announce(operation)
    return operation


def _job_of(operation: Operation, wanted: Wanted, job_id: UUID) -> Job:
    spec = JobSpec(
        node=wanted.node.name,
        id=job_id,
        operation_id=operation.pk,
        about=wanted.about,
        work=wanted.work,
        deadline_s=wanted.within_s,
    )
    document, now = spec.model_dump(mode="json"), timezone.now()
    return Job(id=job_id, operation=operation, node=wanted.node, spec=document, sent_at=now, send_attempts=1)


def send(job: Job, priority: int) -> None:
    """After the commit. One that the broker can't be told of is sent again by `panel.jobs.tasks`."""
    pk = job.pk

    def note_unsent() -> None:
        Job.objects.filter(pk=pk, is_over=False).update(sent_at=None, send_attempts=0)

    dispatch.job_on_commit(job.asked, priority=priority, if_lost=note_unsent)


def withdraw(job: Job) -> None:
    """The node drops a locked one that it has not ended, and takes back what it did. A no-op on one that is
    over."""
    if job.is_over:
        return
    job.spec = {**job.spec, "generation": 2}
    job.sent_at, job.send_attempts = timezone.now(), 1
    job.save(update_fields=["spec", "sent_at", "send_attempts"])
    send(job, AGAIN)


def drop(operation_id: UUID) -> None:
    """Has the node drop what something newer takes the place of; its operation ends when the node has. A no-op
    where nothing is at work."""
    for job in Job.objects.select_for_update().filter(operation=operation_id, is_over=False).order_by("pk"):
        withdraw(job)


class JobControl:
    """`panel.operations.control.Control` of all operations that are done by jobs."""

    def retry(self, actor: Actor, operation_id: UUID) -> Operation | None:
        with transaction.atomic():
            operation, jobs = _locked(actor, operation_id)
            refuse_unless_failed(operation)
            for job in jobs:
                withdraw(job)
            return kind_of(operation).again(actor, operation)

    def cancel(self, actor: Actor, operation_id: UUID) -> Operation | None:
        """It stays open until the node has taken back what was done; one whose last step has begun is done."""
        with transaction.atomic():
            operation, jobs = _locked(actor, operation_id)
            if not operation.is_open:
                raise Conflict(_("It has %(state)s already.") % {"state": operation.state}, code="not_open")
            if not operation.can_cancel:
                if operation.code == CANCELLING:
                    return operation
                raise Conflict(
                    _("To %(operation)s can't be taken back.") % {"operation": operation.get_kind_display()},
                    code="not_cancellable",
                    next_step=_("It ends by itself, at the latest at its deadline."),
                )
            operation.code, operation.message = CANCELLING, words.cancelling(actor.name)
            operation.details = {**operation.details, "cancelled_by": actor.name}
            operation.save(update_fields=["code", "message", "details"])
            for job in jobs:
                withdraw(job)
            record(
                actor,
                "operation.cancel",
                tenant_id=operation.tenant_id,
                target=operation,
                target_name=str(operation),
                operation_id=operation.pk,
            )
            operations.announce(operation)
            return operation


_CONTROL = JobControl()


def done_by_job(kind: JobKind, subject_type: SubjectType, *of: OperationKind) -> None:
    """For an app's `ready()`: such operations, about such subjects, are done by jobs."""
    controls(_CONTROL, subject_type, of)
    for one in of:
        KINDS[subject_type, one] = kind


def _locked(actor: Actor, operation_id: UUID) -> tuple[Operation, list[Job]]:
    """What it is about first, then its jobs: see `JobKind.hold`."""
    operation = Operation.objects.select_related("tenant").get_for(actor, operation_id)
    actor.require(Permission.OPERATION_CONTROL, operation)
    kind_of(operation).require(actor, operation)
    kind_of(operation).hold(operation)
    jobs = list(Job.objects.select_for_update().filter(operation=operation_id).order_by("pk"))
    if not jobs:
        raise Conflict(_("Its node is gone."), code="gone")
    return Operation.objects.select_for_update().get(pk=operation_id), jobs
