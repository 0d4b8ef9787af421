from django.apps import AppConfig


class IsolationConfig(AppConfig):
    name = "panel.isolation"
    label = "isolation"

    def ready(self) -> None:
        from panel.environments.features import plugs_in  # noqa: PLC0415 (models are there only now)
        from panel.isolation.feature import Isolation  # noqa: PLC0415

        plugs_in(Isolation())
