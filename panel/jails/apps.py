from django.apps import AppConfig


class JailsConfig(AppConfig):
    name = "panel.jails"
    label = "jails"

    def ready(self) -> None:
        from panel.environments.features import plugs_in  # noqa: PLC0415 (models are there only now)
        from panel.jails.feature import Jails  # noqa: PLC0415

        plugs_in(Jails())
