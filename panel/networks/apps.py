from django.apps import AppConfig


class NetworksConfig(AppConfig):
    name = "panel.networks"
    label = "networks"

    def ready(self) -> None:
        from panel.clock.stamps import happened  # noqa: PLC0415 (models are there only now)
        from panel.environments.features import plugs_in  # noqa: PLC0415
        from panel.networks.feature import Networks  # noqa: PLC0415
        from panel.networks.models import Address  # noqa: PLC0415
        from panel.networks.services import take_in  # noqa: PLC0415
        from panel.nodes.listeners import hears_reports  # noqa: PLC0415

        happened(Address, "released_at")
        hears_reports(take_in)
        plugs_in(Networks())
