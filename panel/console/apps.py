from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "panel.console"
    label = "console"

    def ready(self) -> None:
        from panel.console.feature import Consoles  # noqa: PLC0415
        from panel.environments.features import plugs_in  # noqa: PLC0415 (models are there only now)

        plugs_in(Consoles())
