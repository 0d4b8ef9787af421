"""Reports about images."""

from celery import shared_task

from panel.images import services
from panel.nodes.sealed import from_node
from panel.patience import until_stored
from runtime.contract import PANEL_OBSERVE_IMAGE, ImageReport


@shared_task(name=PANEL_OBSERVE_IMAGE)
@until_stored
@from_node(PANEL_OBSERVE_IMAGE, ImageReport)
def observe_image(report: ImageReport) -> None:
    services.observe_image(report)


@shared_task(name="panel.housekeeping")
def housekeeping() -> None:
    """Slow things, every ten minutes."""
    from panel.accounts.sessions import forget_over  # noqa: PLC0415
    from panel.api.held import forget_old  # noqa: PLC0415
    from panel.operations.services import forget_past  # noqa: PLC0415

    services.resend_waiting()
    services.sweep_archives()
    forget_old()
    forget_over()
    forget_past()
