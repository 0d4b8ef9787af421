from django.apps import AppConfig


class MeteringConfig(AppConfig):
    name = "panel.metering"
    label = "metering"

    def ready(self) -> None:
        from panel.environments.features import plugs_in  # noqa: PLC0415 (models are there only now)
        from panel.metering.feature import Metering  # noqa: PLC0415

        plugs_in(Metering())
