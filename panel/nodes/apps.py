from django.apps import AppConfig


class NodesConfig(AppConfig):
    name = "panel.nodes"
    label = "nodes"

    def ready(self) -> None:
        from panel.clock.stamps import happened  # noqa: PLC0415 (models are there only now)
        from panel.nodes import cpu_pools, host_devices  # noqa: PLC0415
        from panel.nodes.listeners import hears_reports  # noqa: PLC0415
        from panel.nodes.models import Node  # noqa: PLC0415
        from panel.nodes.selectors import abilities  # noqa: PLC0415
        from panel.plans.offered import knows_what_there_is  # noqa: PLC0415

        happened(Node, "last_seen_at")
        knows_what_there_is(abilities)
        hears_reports(cpu_pools.LIST.keep_told)
        hears_reports(host_devices.LIST.keep_told)
