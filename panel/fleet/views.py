"""Pages of nodes, for administrators of the installation."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from panel.environments.capacity import Capacity, capacities, capacities_of
from panel.errors import NotFound
from panel.fleet.leaks import behind, findings
from panel.nodes import services
from panel.nodes.models import Node, NodeState
from panel.rights.permissions import Permission
from panel.ui.web import PageRequest, page, signed_in


def _shown(one: Capacity) -> dict[str, Any]:
    return {
        "row": one.node,
        "facts": one.node.facts,
        "tone": one.tone,
        "words": one.words,
        "shares": one.shares,
    }


@require_safe
@signed_in
def nodes(request: PageRequest) -> HttpResponse:
    request.actor.require(Permission.NODE_VIEW)
    context = {"section": "node", "nodes": [_shown(one) for one in capacities()]}
    return page(request, "nodes/list.html", context)


@require_safe
@signed_in
def node(request: PageRequest, node_id: UUID) -> HttpResponse:
    request.actor.require(Permission.NODE_VIEW)
    row = Node.objects.filter(pk=node_id).first()
    if row is None:
        raise NotFound(_("This node"))
    living = row.environments.filter(deleted_at=None).select_related("tenant", "usage")
    context = {
        "section": "node",
        "node": _shown(capacities_of([row])[0]),
        "environments": living.order_by("name")[:200],
        "images": row.images.select_related("image", "operation"),
        "states": NodeState.choices,
        "found": findings(row),
        "may_manage": request.actor.can(Permission.NODE_MANAGE),
    }
    return page(request, "nodes/one.html", context)


@require_safe
@signed_in
def leaks(request: PageRequest) -> HttpResponse:
    request.actor.require(Permission.NODE_VIEW)
    nodes_ = [
        {"row": row, "found": findings(row), "behind": behind(row), "is_online": row.is_online()}
        for row in Node.objects.all()
    ]
    may_manage = request.actor.can(Permission.NODE_MANAGE)
    return page(request, "nodes/leaks.html", {"section": "node", "nodes": nodes_, "may_manage": may_manage})


@require_POST
@signed_in
def survey(request: PageRequest, node_id: UUID) -> HttpResponse:
    row = services.look_around(request.actor, node_id)
    messages.success(request, _("%(name)s looks around") % {"name": row})
    return redirect("node-leaks")


@require_POST
@signed_in
def state(request: PageRequest, node_id: UUID) -> HttpResponse:
    row = services.update_node(request.actor, node_id, state=request.POST.get("state", ""))
    messages.success(request, _("%(name)s is %(state)s") % {"name": row, "state": row.get_state_display()})
    return redirect("node", node_id)


@require_POST
@signed_in
def address(request: PageRequest, node_id: UUID) -> HttpResponse:
    services.update_node(request.actor, node_id, public_address=request.POST.get("public_address", ""))
    messages.success(request, _("Saved"))
    return redirect("node", node_id)
