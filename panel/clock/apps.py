from django.apps import AppConfig


class ClockConfig(AppConfig):
    name = "panel.clock"
    label = "clock"

    def ready(self) -> None:
        from panel.clock.models import ClockStep  # noqa: PLC0415 (models are there only now)
        from panel.clock.stamps import happened  # noqa: PLC0415

        happened(ClockStep, "at")
