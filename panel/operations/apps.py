from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "panel.operations"
    label = "operations"

    def ready(self) -> None:
        from panel.clock.stamps import Wait, waits  # noqa: PLC0415 (models are there only now)
        from panel.operations.models import OPEN_STATES, Operation  # noqa: PLC0415

        waits(
            Wait(
                lambda: Operation.objects.filter(state__in=OPEN_STATES), ("created_at", "deadline"), "deadline"
            )
        )
