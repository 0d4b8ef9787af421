from django.apps import AppConfig


class PeopleConfig(AppConfig):
    name = "panel.people"
    label = "people"

    def ready(self) -> None:
        from panel.environments.features import plugs_in  # noqa: PLC0415 (models are there only now)
        from panel.people.feature import Sharing  # noqa: PLC0415

        plugs_in(Sharing())
