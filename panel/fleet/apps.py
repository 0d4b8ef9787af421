from django.apps import AppConfig


class FleetConfig(AppConfig):
    name = "panel.fleet"
    label = "fleet"

    def ready(self) -> None:
        from panel.fleet.leaks import take_in  # noqa: PLC0415 (models are there only now)
        from panel.nodes.listeners import hears_reports  # noqa: PLC0415

        hears_reports(take_in)
