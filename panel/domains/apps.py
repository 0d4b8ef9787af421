from django.apps import AppConfig


class DomainsConfig(AppConfig):
    name = "panel.domains"
    label = "domains"

    def ready(self) -> None:
        from panel.domains.feature import Domains  # noqa: PLC0415 (models are there only now)
        from panel.environments.features import plugs_in  # noqa: PLC0415

        plugs_in(Domains())
