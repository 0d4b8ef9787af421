"""What the jobs of volumes and of their snapshots mean to the panel's rows."""

from uuid import UUID

from panel import events
from panel.jobs.models import Job
from panel.operations.models import Operation, OperationKind
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.volumes import scheduled, services, snapshots
from panel.volumes.beginnings import put_back_again
from panel.volumes.models import Volume, VolumeSnapshot
from runtime.contract import JobOutcome, JobReport


class VolumeJobs:
    """`panel.jobs.kinds.JobKind` of volumes."""

    def require(self, actor: Actor, operation: Operation) -> None:
        actor.require(Permission.VOLUME_MANAGE, operation.tenant)

    def again(self, actor: Actor, operation: Operation) -> Operation | None:
        volume = UUID(operation.subject_id)
        if operation.kind == OperationKind.MAKE_VOLUME:
            assert operation.tenant is not None
            return services.make_again(actor, operation.tenant, operation.details, operation)
        if not Volume.objects.filter(pk=volume).exists():
            return None
        if operation.kind == OperationKind.RESIZE_VOLUME:
            return services.resize_again(actor, volume, operation.details["size_mb"], operation)
        return self._again_of_snapshots(actor, volume, operation)

    @staticmethod
    def _again_of_snapshots(actor: Actor, volume: UUID, operation: Operation) -> Operation | None:
        details = operation.details
        if operation.kind == OperationKind.SNAPSHOT_VOLUME:
            return snapshots.take(actor, volume, name=details["name"], retry_of=operation)[1]
        if operation.kind == OperationKind.RESTORE_VOLUME:
            if "restore" not in details:
                return put_back_again(actor, operation)
            keeps = bool(details["kept"])
            return snapshots.restore(
                actor, volume, UUID(details["restore"]), keep_current=keeps, retry_of=operation
            )
        if operation.kind == OperationKind.DELETE_SNAPSHOT:
            pk = UUID(details["delete_snapshot"])
            there = VolumeSnapshot.objects.filter(pk=pk, volume=volume).exists()
            return snapshots.delete(actor, volume, pk, retry_of=operation) if there else None
        return services.delete_volume(actor, volume, retry_of=operation)

    def hold(self, operation: Operation) -> None:
        self._row(operation)

    def reported(self, job: Job, report: JobReport) -> None:
        """A no-op for a volume that is gone."""
        row = self._row(job.operation)
        if row is None or report.outcome is None:
            return
        is_done = report.outcome is JobOutcome.SUCCEEDED
        details = job.operation.details
        match job.operation.kind:
            case OperationKind.MAKE_VOLUME:
                self._made(row, report, is_done=is_done)
            case OperationKind.RESIZE_VOLUME:
                self._resized(row, is_done=is_done)
            case OperationKind.SNAPSHOT_VOLUME:
                snapshots.made(details["snapshot"], report, is_done=is_done)
                if details.get("scheduled") and not is_done:
                    scheduled.failed(row, str(report.message))
            case OperationKind.DELETE_SNAPSHOT:
                snapshots.gone(details["delete_snapshot"], is_done=is_done)
            case OperationKind.RESTORE_VOLUME:
                Volume.objects.filter(pk=row.pk).update(is_restoring=False)
                snapshots.made(details["kept"], report, is_done=is_done)
            case _ if is_done:
                self._gone(row)
            case _:
                Volume.objects.filter(pk=row.pk).update(is_going=False)
        snapshots.measured(row, report)
        events.publish("volume", row.pk, row.tenant_id)

    @staticmethod
    def _row(operation: Operation) -> Volume | None:
        rows = Volume.objects.select_for_update(of=("self",)).select_related("tenant", "node")
        return rows.filter(pk=operation.subject_id).first()

    @staticmethod
    def _gone(row: Volume) -> None:
        snapshots.drop_all(row)
        row.delete()
        services.give_back(row, row.size_mb)

    def _made(self, row: Volume, report: JobReport, *, is_done: bool) -> None:
        """One that came to nothing leaves no row."""
        if is_done:
            Volume.objects.filter(pk=row.pk).update(made_at=report.at)
        else:
            self._gone(row)

    @staticmethod
    def _resized(row: Volume, *, is_done: bool) -> None:
        if row.before_mb is None:
            return
        kept = row.size_mb if is_done else row.before_mb
        surplus = max(row.size_mb, row.before_mb) - kept
        Volume.objects.filter(pk=row.pk).update(size_mb=kept, before_mb=None)
        if surplus:
            services.give_back(row, surplus)
