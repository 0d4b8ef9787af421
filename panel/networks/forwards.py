"""Ports of the node that lead inside; changed live."""

from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from panel.environments.models import Environment
from panel.environments.services.intent import Changed, change
from panel.errors import NotFound
from panel.networks import services as networks
from panel.networks.models import PortForward
from panel.operations.models import Operation, OperationKind
from panel.plans.rules import check_allowance
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.text import line


def add_forward(
    actor: Actor,
    environment_id: UUID,
    *,
    protocol: str = "tcp",
    port: int,
    node_port: int | None = None,
    description: str = "",
) -> tuple[PortForward, Operation | None]:
    """Live: no restart."""
    networks.check_forward(protocol, port)
    made: list[PortForward] = []

    def mutate(row: Environment) -> dict[str, Any]:
        check_allowance(row.plan_version, "forwards", row.forwards.count() + 1)
        quotas.reserve(row.tenant, {Resource.FORWARDS: 1})
        forward = networks.open_forward(
            row,
            protocol=protocol,
            port=port,
            node_port=node_port,
            description=line(description, field="description", most=120, least=0),
        )
        made.append(forward)
        return {"add": {"protocol": protocol, "node_port": forward.node_port, "port": port}}

    changed = change(actor, environment_id, Permission.FORWARD_CHANGE, OperationKind.FORWARDS, mutate)
    return made[0], changed.operation


def remove_forward(actor: Actor, environment_id: UUID, forward_id: UUID) -> Changed:
    def mutate(row: Environment) -> dict[str, Any]:
        forward = PortForward.objects.filter(pk=forward_id, environment=row).first()
        if forward is None:
            raise NotFound(_("This port forward"))
        forward.delete()
        quotas.release(row.tenant, {Resource.FORWARDS: 1})
        return {
            "remove": {
                "protocol": forward.protocol,
                "node_port": forward.node_port,
                "port": forward.port,
            }
        }

    return change(actor, environment_id, Permission.FORWARD_CHANGE, OperationKind.FORWARDS, mutate)
