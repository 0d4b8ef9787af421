from django.apps import AppConfig


class StorageConfig(AppConfig):
    name = "panel.storage"
    label = "storage"

    def ready(self) -> None:
        from panel.environments.features import plugs_in  # noqa: PLC0415 (models are there only now)
        from panel.storage.feature import Storage  # noqa: PLC0415

        plugs_in(Storage())
