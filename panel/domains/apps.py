from django.apps import AppConfig


class DomainsConfig(AppConfig):
    name = "panel.domains"
    label = "domains"

    def ready(self) -> None:
        from panel.clock.stamps import Wait, happened, waits  # noqa: PLC0415 (models are there only now)
        from panel.domains.feature import Domains  # noqa: PLC0415
        from panel.domains.models import Domain  # noqa: PLC0415
        from panel.environments.features import plugs_in  # noqa: PLC0415

        plugs_in(Domains())
        happened(Domain, "looked_at")
        waits(Wait(lambda: Domain.objects.filter(proved_at=None), ("created_at",)))
