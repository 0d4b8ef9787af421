from django.apps import AppConfig


class VolumesConfig(AppConfig):
    name = "panel.volumes"
    label = "volumes"

    def ready(self) -> None:
        from panel.environments.features import plugs_in  # noqa: PLC0415 (models are there only now)
        from panel.jobs.services import done_by_job  # noqa: PLC0415
        from panel.metering.intake import hears_usage  # noqa: PLC0415
        from panel.operations.models import OperationKind, SubjectType  # noqa: PLC0415
        from panel.storage.models import Of, Takes  # noqa: PLC0415
        from panel.storage.schedules import SORTS  # noqa: PLC0415
        from panel.volumes.beginnings import begins_with  # noqa: PLC0415
        from panel.volumes.feature import AttachedVolumes  # noqa: PLC0415
        from panel.volumes.jobs import VolumeJobs  # noqa: PLC0415
        from panel.volumes.scheduled import VolumeSnapshotsByTime  # noqa: PLC0415
        from panel.volumes.snapshots import COPY_OF, begins_again  # noqa: PLC0415
        from panel.volumes.usage import take_in  # noqa: PLC0415

        plugs_in(AttachedVolumes())
        hears_usage(take_in)
        begins_with(COPY_OF, begins_again)
        SORTS[Of.VOLUME, Takes.SNAPSHOTS] = VolumeSnapshotsByTime()
        kinds = (
            OperationKind.MAKE_VOLUME,
            OperationKind.RESIZE_VOLUME,
            OperationKind.DELETE_VOLUME,
            OperationKind.SNAPSHOT_VOLUME,
            OperationKind.DELETE_SNAPSHOT,
            OperationKind.RESTORE_VOLUME,
        )
        done_by_job(VolumeJobs(), SubjectType.VOLUME, *kinds)
