"""What the jobs that make and delete backups mean to the panel's rows."""

from uuid import UUID

from panel import events
from panel.backups import services
from panel.backups.models import Backup, Target
from panel.jobs.models import Job
from panel.operations.models import Operation, OperationKind
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from runtime.contract import BackUp, JobOutcome, JobReport


class BackupJobs:
    """`panel.jobs.kinds.JobKind` of backups."""

    def require(self, actor: Actor, operation: Operation) -> None:
        subject = operation.environment or operation.tenant
        actor.require(Permission.BACKUP_MANAGE, subject)

    def again(self, actor: Actor, operation: Operation) -> Operation | None:
        details = operation.details
        if operation.kind == OperationKind.BACKUP:
            if operation.environment_id is None:
                return None
            target, name = UUID(details["target"]), details["name"]
            return services.back_up(actor, operation.environment_id, target, name=name, retry_of=operation)[1]
        if not Backup.objects.filter(pk=details["delete_backup"]).exists():
            return None
        return services.delete_backup(actor, UUID(details["delete_backup"]), retry_of=operation)

    def hold(self, operation: Operation) -> None:
        self._row(operation)

    def reported(self, job: Job, report: JobReport) -> None:
        """A no-op for a backup that is gone."""
        row = self._row(job.operation)
        if row is None or report.outcome is None:
            return
        if job.operation.kind == OperationKind.BACKUP:
            self._made(row, job, report)
        elif report.outcome is JobOutcome.SUCCEEDED:
            services.drop(row)
        else:
            Backup.objects.filter(pk=row.pk).update(is_going=False)
        events.publish("backup", row.pk, row.tenant_id, environment=str(row.of))

    @staticmethod
    def _row(operation: Operation) -> Backup | None:
        key = "backup" if operation.kind == OperationKind.BACKUP else "delete_backup"
        rows = Backup.objects.select_for_update(of=("self",)).select_related("tenant")
        return rows.filter(pk=operation.details[key]).first()

    @staticmethod
    def _made(row: Backup, job: Job, report: JobReport) -> None:
        made, work = report.backup, job.asked.work
        if report.outcome is not JobOutcome.SUCCEEDED or made is None:
            services.drop(row)
            return
        assert isinstance(work, BackUp)
        Backup.objects.filter(pk=row.pk).update(
            snapshot=made.snapshot,
            bytes=made.bytes,
            added_bytes=made.added_bytes,
            files=made.files,
            made_at=report.at,
        )
        Target.objects.filter(pk=row.target_id, repository_id="").update(repository_id=made.repository_id)
