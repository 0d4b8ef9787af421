from django.apps import AppConfig


class InsideConfig(AppConfig):
    name = "panel.inside"
    label = "inside"

    def ready(self) -> None:
        from panel.environments.features import plugs_in  # noqa: PLC0415 (models are there only now)
        from panel.inside.feature import Inside  # noqa: PLC0415

        plugs_in(Inside())
