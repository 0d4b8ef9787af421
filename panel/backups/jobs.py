"""What the jobs that make and delete backups mean to the panel's rows."""

from uuid import UUID

from panel import events
from panel.backups import files, of_volumes, proving, scheduled, services
from panel.backups.checks import seen
from panel.backups.models import Backup, Reason
from panel.jobs.models import Job
from panel.operations.models import Operation, OperationKind, SubjectType
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.storage.kept import KeptState
from runtime.contract import BackUp, JobOutcome, JobReport


class BackupJobs:
    """`panel.jobs.kinds.JobKind` of backups."""

    def require(self, actor: Actor, operation: Operation) -> None:
        subject = operation.environment or operation.tenant
        actor.require(Permission.BACKUP_MANAGE, subject)

    def again(self, actor: Actor, operation: Operation) -> Operation | None:
        details = operation.details
        if operation.kind == OperationKind.BACKUP:
            if operation.subject_type == SubjectType.VOLUME:
                again = {"name": details["name"], "retry_of": operation}
                volume, target = UUID(operation.subject_id), UUID(details["target"])
                return of_volumes.back_up(actor, volume, target, keep_days=details.get("keep_days"), **again)[1]
            if operation.environment_id is None:
                return None
            target, days = UUID(details["target"]), details.get("keep_days")
            again = {"name": details["name"], "keep_days": days, "retry_of": operation}
            return services.back_up(actor, operation.environment_id, target, **again)[1]
        if operation.kind in (OperationKind.PROVE_BACKUP, OperationKind.PUT_BACK) and not self._rows(operation):
            return None
        if operation.kind == OperationKind.PUT_BACK:
            pk, path = UUID(details["put_back"]), details["path"]
            return files.put_back(actor, pk, path, retry_of=operation)
        if operation.kind == OperationKind.PROVE_BACKUP:
            pk, probe = UUID(details["prove_backup"]), details["probe"]
            return proving.prove(actor, pk, probe=probe, retry_of=operation)
        rows = [one for one in self._rows(operation) if one.state == KeptState.READY]
        return services.forget(actor, rows, retry_of=operation) if rows else None

    def hold(self, operation: Operation) -> None:
        self._rows(operation)

    def reported(self, job: Job, report: JobReport) -> None:
        """A no-op for a backup that is gone."""
        rows = self._rows(job.operation)
        if not rows or report.outcome is None or job.operation.kind == OperationKind.PUT_BACK:
            return
        for row in rows:
            if job.operation.kind == OperationKind.BACKUP:
                self._made(row, job, report)
            elif job.operation.kind == OperationKind.PROVE_BACKUP:
                proving.proved(row, report)
            elif report.outcome is JobOutcome.SUCCEEDED:
                services.drop(row)
            else:
                Backup.objects.filter(pk=row.pk).update(is_going=False)
        first = rows[0]
        events.publish("backup", first.pk, first.tenant_id, environment=str(first.of))

    @staticmethod
    def _rows(operation: Operation) -> list[Backup]:
        """Locked; those that are there still."""
        details = operation.details
        key = str(operation.kind)
        rows = Backup.objects.select_for_update(of=("self",)).select_related(
            "tenant", "target__node", "environment__node", "volume__node"
        )
        return list(rows.filter(pk__in=[details[key], *details.get("others", ())]).order_by("pk"))

    @staticmethod
    def _made(row: Backup, job: Job, report: JobReport) -> None:
        made, work = report.backup, job.asked.work
        if report.outcome is not JobOutcome.SUCCEEDED or made is None:
            services.drop(row)
            if row.reason == Reason.SCHEDULE:
                scheduled.failed(row, str(report.message))
            return
        assert isinstance(work, BackUp)
        Backup.objects.filter(pk=row.pk).update(
            snapshot=made.snapshot,
            bytes=made.bytes,
            added_bytes=made.added_bytes,
            files=made.files,
            made_at=report.at,
        )
        seen(row.target_id, made.repository_id, made.host_key)
        if row.reason == Reason.SCHEDULE:
            scheduled.retire(row)
            scheduled.prove_if_due(row)
