"""Reports about images."""

from celery import shared_task

from panel.database_retry import until_stored
from panel.images import services
from panel.nodes.sealed import from_node
from runtime.contract import PANEL_OBSERVE_IMAGE, ImageReport


@shared_task(name=PANEL_OBSERVE_IMAGE)
@until_stored
@from_node(PANEL_OBSERVE_IMAGE, ImageReport)
def observe_image(report: ImageReport) -> None:
    services.observe_image(report)
