"""Telling browsers that something changed: "kind, id, sequence", never the thing itself.

A page that hears of a change fetches its fragment anew, so that a lost event costs freshness, not truth.
"""

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import connection, transaction

from panel.circuit_breaker import BROKER
from panel.event_layer import EventLayer

log = structlog.get_logger()

#: Group of administrators of the installation: gets every event.
PLATFORM_GROUP = "platform"
#: Group for "look at your rights again": sign-out, a revoked token, a changed role.
RIGHTS_GROUP = "rights"


def tenant_group(tenant_id: UUID | str) -> str:
    return f"tenant.{UUID(str(tenant_id)).hex}"


def environment_group(environment_id: UUID | str) -> str:
    """Of those whom one environment is shared with, or whose token is for it alone."""
    return f"environment.{UUID(str(environment_id)).hex}"


def publish(kind: str, id: UUID | str, tenant_id: UUID | None, **more: Any) -> None:
    """Send `{"kind", "id", "tenant", …}` after the running transaction commits (at once without one).

    `tenant_id` None: only administrators of the installation hear it.
    """
    event = {"kind": kind, "id": str(id), "tenant": str(tenant_id) if tenant_id else None, **more}
    groups = [PLATFORM_GROUP] if tenant_id is None else [PLATFORM_GROUP, tenant_group(tenant_id)]
    environment_id = id if kind == "environment" else more.get("environment")
    if environment_id:
        groups.append(environment_group(environment_id))
    send([(group, {"type": "wadah.event", "event": event}) for group in groups])


def publish_to_all(kind: str, id: UUID | str, **more: Any) -> None:
    """For everybody who is signed in: images, plans."""
    event = {"kind": kind, "id": str(id), "tenant": None, **more}
    send([(RIGHTS_GROUP, {"type": "wadah.event", "event": event})])


def rights_changed(user_id: UUID) -> None:
    """Sockets of this user look at their rights again at once."""
    send([(RIGHTS_GROUP, {"type": "wadah.rights", "user": str(user_id)})])


@dataclass
class _Sending:
    """Called once the transaction is committed."""

    messages: list[tuple[str, dict[str, Any]]]

    def __call__(self) -> None:
        if BROKER.rests:
            return
        layer, began = get_channel_layer(), time.monotonic()
        try:
            if isinstance(layer, EventLayer):
                layer.publish(self.messages)
            elif layer is not None:
                for group, message in self.messages:
                    async_to_sync(layer.group_send)(group, message)
        except Exception as error:  # Redis away: pages refetch when they reconnect
            BROKER.failed(began)
            log.warning("event not sent", error=type(error).__name__)


def send(messages: list[tuple[str, dict[str, Any]]]) -> None:
    """After the running transaction commits; in one go with what it has to send just before."""
    hooks = connection.run_on_commit
    if hooks:
        savepoints, last = hooks[-1][:2]
        if isinstance(last, _Sending) and savepoints == set(connection.savepoint_ids):
            last.messages += messages
            return
    transaction.on_commit(_Sending(messages), robust=True)
