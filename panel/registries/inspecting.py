"""What an image says of itself, asked of its registry by a node, as it would fetch it for a tenant."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from django.utils.translation import gettext as _

from panel.errors import Invalid, NodeAway, Refused
from panel.nodes.agent import Agent
from panel.nodes.models import Node, NodeState
from panel.registries.answers import InspectedImage
from panel.registries.selectors import access_of
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.serving.shares import LOOKS, Place
from panel.tenants.models import Tenant
from runtime.contract import Kind, Purpose, Reference

#: The node gives a registry 20 seconds, and one question of a tenant its turn.
_WITHIN_S = 45.0


@dataclass(frozen=True)
class Asked:
    """What will be said of it, and the place that the question takes until then. Awaited, raises `NodeAway`,
    and `Refused` with what its registry answered."""

    result: Callable[[], Awaitable[InspectedImage]]
    place: Place


def inspect(actor: Actor, tenant: Tenant, image: str) -> Asked:
    """Raises `Invalid` for what names no image, `NodeAway` where no node runs apps, `TooMany`."""
    actor.require(Permission.ENVIRONMENT_CREATE, tenant)
    try:
        reference = str(Reference.parse(image.strip()))
    except ValueError as odd:
        raise Invalid(
            _("%(image)s names no image: %(why)s.") % {"image": image[:100], "why": _(str(odd))}, field="image"
        ) from odd
    nodes = [one for one in Node.objects.filter(state=NodeState.ENABLED) if one.is_online()]
    node = next((one for one in nodes if Kind.APP in one.facts.get("kinds", ())), None)
    if node is None:
        raise NodeAway(_("No node offers apps right now."), next_step=_("Try again in a moment."))
    agent = Agent(node)
    ticket = agent.ticket(tenant.pk, Purpose.INSPECT, actor.name, tenant_id=tenant.payer)
    body = {"image": reference, "registry": access_of(tenant, reference).model_dump(mode="json")}
    path = f"/v1/images/{tenant.pk}/inspect"

    async def result() -> InspectedImage:
        try:
            found: dict[str, Any] = await agent.ask_for(path, ticket, body, timeout_s=_WITHIN_S)
        except NodeAway:
            raise
        except Refused as said:  # the node answered for the registry
            raise Refused(said.message, code=said.code, status=422, next_step=said.next_step) from said
        return cast("InspectedImage", {**found.pop("config"), **found})

    return Asked(result, LOOKS.take(actor, tenant.pk, tenant.path))
