from django.apps import AppConfig


class BackupsConfig(AppConfig):
    name = "panel.backups"
    label = "backups"

    def ready(self) -> None:
        from panel.backups.checks import TargetJobs  # noqa: PLC0415
        from panel.backups.feature import Backups  # noqa: PLC0415 (models are there only now)
        from panel.backups.jobs import BackupJobs  # noqa: PLC0415
        from panel.backups.models import Backup  # noqa: PLC0415
        from panel.backups.of_volumes import RESTORED_FROM, begins_again, restore_again  # noqa: PLC0415
        from panel.backups.restore import source_of  # noqa: PLC0415
        from panel.backups.scheduled import BackupsByTime, VolumeBackupsByTime  # noqa: PLC0415
        from panel.clock.stamps import Wait, waits  # noqa: PLC0415
        from panel.environments.features import plugs_in  # noqa: PLC0415
        from panel.jobs.services import done_by_job  # noqa: PLC0415
        from panel.operations.models import OperationKind, SubjectType  # noqa: PLC0415
        from panel.storage.models import Of, Takes  # noqa: PLC0415
        from panel.storage.origins import comes_from  # noqa: PLC0415
        from panel.storage.schedules import SORTS  # noqa: PLC0415
        from panel.volumes.beginnings import begins_with, puts_back  # noqa: PLC0415

        plugs_in(Backups())
        waits(Wait(lambda: Backup.objects.filter(kept_until__isnull=False), ("kept_until",)))
        SORTS[Of.ENVIRONMENT, Takes.BACKUPS] = BackupsByTime()
        SORTS[Of.VOLUME, Takes.BACKUPS] = VolumeBackupsByTime()
        comes_from(source_of)
        kinds = (
            OperationKind.BACKUP,
            OperationKind.DELETE_BACKUP,
            OperationKind.PROVE_BACKUP,
            OperationKind.PUT_BACK,
        )
        done_by_job(BackupJobs(), SubjectType.ENVIRONMENT, *kinds)
        done_by_job(BackupJobs(), SubjectType.VOLUME, OperationKind.BACKUP, OperationKind.DELETE_BACKUP)
        begins_with(RESTORED_FROM, begins_again)
        puts_back(RESTORED_FROM, restore_again)
        done_by_job(TargetJobs(), SubjectType.TENANT, OperationKind.CHECK_TARGET)
