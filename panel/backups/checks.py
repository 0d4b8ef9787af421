"""Targets asked whether backups can go there, and what was found: an operation about the tenant, by a job."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from panel import events
from panel.audit.services import record
from panel.backups.locked import locked, node_at, repository_of
from panel.backups.models import Target
from panel.backups.targets import found
from panel.jobs import services as jobs
from panel.jobs.models import Job
from panel.jobs.services import Wanted
from panel.operations.models import Operation, OperationKind, SubjectType
from panel.operations.services import Subject
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.selectors import refuse_suspended
from runtime.contract import CheckTarget, JobOutcome, JobReport
from runtime.contract import Subject as About
from runtime.contract import SubjectType as AboutType

_WITHIN_S = 300.0


def check_target(actor: Actor, target_id: UUID, *, retry_of: Operation | None = None) -> Operation:
    """It is reached, opened and written to; its repository is made where there is none, and the key of its
    server believed where none is known."""
    row = found(actor, target_id)
    actor.require(Permission.BACKUP_MANAGE, row.tenant)
    refuse_suspended(row.tenant)
    node = node_at(row)
    work = CheckTarget(
        repository=repository_of(row), repository_id=row.repository_id or None, secrets=locked(row, node)
    )
    about = About(type=AboutType.TENANT, id=str(row.pk))  # no job about the tenant itself waits behind it
    subject = Subject(SubjectType.TENANT, str(row.tenant_id), row.tenant.name[:64], row.tenant_id, None)
    details = {"check_target": str(row.pk), "name": row.name}
    with transaction.atomic():
        operation = jobs.ask(
            actor,
            subject,
            OperationKind.CHECK_TARGET,
            Wanted(node, work, about, _WITHIN_S),
            details=details,
            retry_of=retry_of,
        )
        record(
            actor,
            "backup_target.check",
            tenant_id=row.tenant_id,
            target=row,
            after=details,
            operation_id=operation.pk,
        )
    return operation


def seen(target_id: UUID, repository_id: str, host_key: str | None) -> None:
    """What a node found there, where nobody knew it yet. A no-op for what is known."""
    rows = Target.objects.select_for_update(of=("self",)).filter(pk=target_id)
    for row in rows:
        if not row.repository_id:
            row.repository_id = repository_id
        if host_key and row.kind == Target.Kind.SFTP and row.place and not row.place.get("host_key"):
            row.place = {**row.place, "host_key": host_key}
        row.save(update_fields=["repository_id", "place"])


class TargetJobs:
    """`panel.jobs.kinds.JobKind` of targets."""

    def require(self, actor: Actor, operation: Operation) -> None:
        actor.require(Permission.BACKUP_MANAGE, operation.tenant)

    def again(self, actor: Actor, operation: Operation) -> Operation | None:
        pk = UUID(operation.details["check_target"])
        if not Target.objects.filter(pk=pk).exists():
            return None
        return check_target(actor, pk, retry_of=operation)

    def hold(self, operation: Operation) -> None:
        rows = Target.objects.select_for_update(of=("self",))
        rows.filter(pk=operation.details["check_target"]).first()

    def reported(self, job: Job, report: JobReport) -> None:
        """A no-op for a target that is gone, and for a check that was cancelled."""
        if report.outcome in (None, JobOutcome.CANCELLED):
            return
        pk = UUID(job.operation.details["check_target"])
        if report.target is not None:
            seen(pk, report.target.repository_id, report.target.host_key)
        is_well = report.outcome is JobOutcome.SUCCEEDED
        problem = "" if is_well else f"{report.message} {report.next_step}".strip()[:300]
        if Target.objects.filter(pk=pk).update(checked_at=timezone.now(), problem=problem):
            events.publish("backup_target", pk, job.operation.tenant_id)
