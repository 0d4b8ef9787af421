"""Heartbeats of nodes."""

from typing import Any

import structlog
from celery import shared_task
from pydantic import ValidationError

from panel.nodes import services
from runtime.contract import PANEL_OBSERVE_NODE, NodeReport

log = structlog.get_logger()


@shared_task(name=PANEL_OBSERVE_NODE)
def observe_node(document: dict[str, Any]) -> None:
    try:
        report = NodeReport.model_validate(document)
    except ValidationError as error:
        log.warning("bad node report refused", errors=error.error_count())
        return
    services.observe_node(report)
