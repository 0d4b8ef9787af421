"""Messages to nodes. One that gets lost is sent again by the resync, so a broker that is away is no error."""

import time
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from panel.circuit_breaker import BROKER
from panel.queue import app
from runtime.contract import (
    NODE_APPLY,
    NODE_CPU_POOLS,
    NODE_DEVICES,
    NODE_JOB,
    NODE_LOOK,
    NODE_SURVEY,
    EnvironmentSpec,
    JobSpec,
    node_queue,
)
from runtime.contract.transport import AGAIN, ASKED, UNSHOWN

log = structlog.get_logger()


def apply_on_commit(
    spec: EnvironmentSpec, *, priority: int = ASKED, if_lost: Callable[[], object] = lambda: None
) -> None:
    """Send the spec to its node once the running transaction is committed.

    `priority` as in `runtime.contract.transport`; `if_lost` is called when the broker can't be told now.
    """
    document = spec.model_dump(mode="json")

    def send() -> None:
        if not _send(NODE_APPLY, document, spec.node, priority):
            if_lost()

    transaction.on_commit(send, robust=True)


def job_on_commit(
    spec: JobSpec, *, priority: int = ASKED, if_lost: Callable[[], object] = lambda: None
) -> None:
    """As `apply_on_commit`, of what is to be done once."""
    document = spec.model_dump(mode="json")

    def send() -> None:
        if not _send(NODE_JOB, document, spec.node, priority):
            if_lost()

    transaction.on_commit(send, robust=True)


def ask_to_look(node: str, environment_ids: Iterable[UUID]) -> bool:
    """Have the node report on these as they are now."""
    return _send(NODE_LOOK, [str(one) for one in environment_ids], node, AGAIN)


def ask_to_survey(node: str) -> bool:
    """Have the node report what leaks and what is missing."""
    return _send(NODE_SURVEY, None, node, ASKED)


def hold_cpu_pools(node: str, document: dict[str, Any]) -> bool:
    """Have the node hold these pools of processors."""
    return _send(NODE_CPU_POOLS, document, node, ASKED)


def allow_devices(node: str, document: dict[str, Any]) -> bool:
    """Have the node hold this list of devices that may be given."""
    return _send(NODE_DEVICES, document, node, ASKED)


def _send(task: str, document: dict[str, Any] | list[str] | None, node: str, priority: int) -> bool:
    if BROKER.hangs:
        return False
    began = time.monotonic()
    try:
        arguments = [] if document is None else [document]
        app.send_task(
            task, args=arguments, queue=node_queue(node), retry=False, priority=priority, argsrepr=UNSHOWN
        )
    except Exception as error:  # any failure of the broker: the row is the record, resync sends again
        BROKER.failed(began)
        log.warning("message to node not sent", task=task, node=node, error=type(error).__name__)
        return False
    return True
