from django.apps import AppConfig


class StorageConfig(AppConfig):
    name = "panel.storage"
    label = "storage"

    def ready(self) -> None:
        from panel.clock.stamps import Wait, anew, waits  # noqa: PLC0415 (models are there only now)
        from panel.environments.features import plugs_in  # noqa: PLC0415
        from panel.storage.feature import Storage  # noqa: PLC0415
        from panel.storage.models import Snapshot  # noqa: PLC0415
        from panel.storage.schedules import bring_nearer  # noqa: PLC0415

        plugs_in(Storage())
        waits(Wait(lambda: Snapshot.objects.filter(expires_at__isnull=False), ("expires_at",)))
        anew(bring_nearer)
