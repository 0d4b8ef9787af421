from django.apps import AppConfig


class RepositoriesConfig(AppConfig):
    name = "panel.repositories"
    label = "repositories"

    def ready(self) -> None:
        from panel.environments.features import plugs_in  # noqa: PLC0415 (models are there only now)
        from panel.repositories.feature import Repositories  # noqa: PLC0415

        plugs_in(Repositories())
