"""Messages to nodes. One that gets lost is sent again by the resync, so a broker that is away is no error."""

from typing import Any

import structlog
from django.db import transaction

from panel.config.celery import app
from runtime.contract import NODE_APPLY, NODE_IMAGE, EnvironmentSpec, ImageSpec, node_queue

log = structlog.get_logger()


def apply_on_commit(spec: EnvironmentSpec) -> None:
    """Send the spec to its node once the running transaction is committed."""
    document = spec.model_dump(mode="json")
    transaction.on_commit(lambda: _send(NODE_APPLY, document, spec.node), robust=True)


def image_on_commit(spec: ImageSpec) -> None:
    document = spec.model_dump(mode="json")
    transaction.on_commit(lambda: _send(NODE_IMAGE, document, spec.node), robust=True)


def _send(task: str, document: dict[str, Any], node: str) -> bool:
    try:
        app.send_task(task, args=[document], queue=node_queue(node), retry=False)
    except Exception as error:  # any failure of the broker: the row is the record, resync sends again
        log.warning("message to node not sent", task=task, node=node, error=type(error).__name__)
        return False
    return True
