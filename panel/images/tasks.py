"""Reports about images."""

from typing import Any

import structlog
from celery import shared_task
from pydantic import ValidationError

from panel.images import services
from panel.patience import until_stored
from runtime.contract import PANEL_OBSERVE_IMAGE, ImageReport

log = structlog.get_logger()


@shared_task(name=PANEL_OBSERVE_IMAGE)
@until_stored
def observe_image(document: dict[str, Any]) -> None:
    try:
        report = ImageReport.model_validate(document)
    except ValidationError as error:
        log.warning("bad image report refused", errors=error.error_count())
        return
    services.observe_image(report)


@shared_task(name="panel.housekeeping")
def housekeeping() -> None:
    """Slow things, every ten minutes."""
    from panel.api.idempotency import forget_old  # noqa: PLC0415

    services.resend_waiting()
    services.sweep_archives()
    forget_old()
