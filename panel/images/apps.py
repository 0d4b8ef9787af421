from django.apps import AppConfig


class ImagesConfig(AppConfig):
    name = "panel.images"
    label = "images"

    def ready(self) -> None:
        from panel.clock.stamps import happened  # noqa: PLC0415 (models are there only now)
        from panel.images.models import NodeImage  # noqa: PLC0415
        from panel.images.services import take_in  # noqa: PLC0415
        from panel.nodes.heard import hears_reports  # noqa: PLC0415

        happened(NodeImage, "sent_at")
        hears_reports(take_in)
