"""/api/v1/nodes: for administrators of the installation; to everybody else there are none."""

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router, Status

from panel.errors import NotFound
from panel.fleet import answers, leaks, shown_facts
from panel.http.answers import ListOf
from panel.http.inputs import Input
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.http.versions import expected_version
from panel.nodes import services
from panel.nodes.matrix import matrix_of
from panel.nodes.models import Node
from panel.rights.actor import Actor
from panel.rights.asking import actor
from panel.rights.permissions import Permission

router = Router()


class ChangedNode(Input):
    state: str | None = None
    overcommit: dict[str, float | None] | None = None
    public_address: str | None = None


def show(row: Node) -> answers.Node:
    return {
        "id": str(row.pk),
        "name": row.name,
        "state": row.state,
        "online": row.is_online(),
        "last_seen_at": row.last_seen_at.isoformat() if row.last_seen_at else None,
        "facts": shown_facts.show(row.facts),
        "leaks": row.leaks,
        "environments": row.placed,
        "reserved": {
            "cpu": row.reserved_cpu / 1000,
            "memory_mb": row.reserved_memory_mb,
            "disk_mb": row.reserved_disk_mb,
        },
        "overcommit": {"cpu": row.cpu_ratio, "memory_mb": row.memory_ratio, "disk_mb": row.disk_ratio},
        "public_address": row.public_address,
        "version": row.version,
    }


def _seen_by(who: Actor) -> Actor:
    if not who.can(Permission.NODE_VIEW):
        raise NotFound(_("This node"))
    return who


@router.get("", response=ListOf[answers.Node], operation_id="nodes_list")
def list_(request: HttpRequest, page: Query[Page]) -> ListOf[answers.Node]:
    _seen_by(actor(request))
    return page_of(Node.objects.order_by("name"), page, show)


@router.get("/{pk}", response=answers.Node, operation_id="nodes_get")
def get(request: HttpRequest, pk: str) -> answers.Node:
    _seen_by(actor(request))
    row = Node.objects.filter(pk=uuid_of(pk, "This node")).first()
    if row is None:
        raise NotFound(_("This node"))
    return show(row)


@router.get("/{pk}/matrix", response=ListOf[answers.Cell], operation_id="nodes_matrix")
def matrix(request: HttpRequest, pk: str) -> ListOf[answers.Cell]:
    """Every kind on every kernel: offered by this node, or why not, and what such a kernel's start took
    there."""
    _seen_by(actor(request))
    row = Node.objects.filter(pk=uuid_of(pk, "This node")).first()
    if row is None:
        raise NotFound(_("This node"))
    items: list[answers.Cell] = [
        {
            "kind": one.kind,
            "kernel": one.kernel,
            "offered": not one.why_not,
            "why_not": one.why_not,
            "least_memory_mb": one.least_memory_mb,
            "start_ms": one.start_ms,
        }
        for one in matrix_of(row.facts)
    ]
    return {"items": items, "count": len(items)}


@router.get("/{pk}/leaks", response=answers.NodeLeaks, operation_id="nodes_leaks")
def leaks_(request: HttpRequest, pk: str) -> answers.NodeLeaks:
    """Objects that nobody wants, environments that only one side knows, and those that are behind."""
    _seen_by(actor(request))
    row = Node.objects.filter(pk=uuid_of(pk, "This node")).first()
    if row is None:
        raise NotFound(_("This node"))
    return leaks.show(row)


@router.post("/{pk}/survey", response={202: answers.Node}, operation_id="nodes_survey")
def survey(request: HttpRequest, pk: str) -> Status[answers.Node]:
    """Have the node look for leaks now."""
    who = _seen_by(actor(request))
    return Status(202, show(services.look_around(who, uuid_of(pk, "This node"))))


@router.patch("/{pk}", response=answers.Node, operation_id="nodes_update")
def update(request: HttpRequest, pk: str, payload: ChangedNode) -> answers.Node:
    """`state`, and `overcommit`: how many times what it has it may promise of `cpu`, `memory_mb`, `disk_mb`.

    `If-Match` with the version that you have read: 412 when it was changed since.
    """
    who = _seen_by(actor(request))
    changes, version = payload.model_dump(exclude_unset=True), expected_version(request)
    return show(services.update_node(who, uuid_of(pk, "This node"), version=version, **changes))
