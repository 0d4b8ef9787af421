from django.apps import AppConfig


class NodesConfig(AppConfig):
    name = "panel.nodes"
    label = "nodes"

    def ready(self) -> None:
        from panel.clock.stamps import happened  # noqa: PLC0415 (models are there only now)
        from panel.nodes.models import Node  # noqa: PLC0415

        happened(Node, "last_seen_at")
