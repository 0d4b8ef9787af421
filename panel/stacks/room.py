"""Where a stack goes, and whether there is room for all of it: asked before anything is made."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.contract_input import parse_limits
from panel.environments import placement
from panel.environments.services.checks import limits_for
from panel.errors import Conflict, Invalid
from panel.nodes.models import Node
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.quotas.refusals import counting_refusals
from panel.rights.actor import Actor
from panel.stacks.compose import Project
from panel.stacks.models import Stack
from panel.stacks.wanted import Change, name_of
from panel.volumes.models import Volume
from runtime.contract import Kernel, Kind, wants_of


def node_for(stack: Stack, project: Project, text: str) -> Node:
    """The one that is named; else the only one, or the one that its first service would be placed on, or where
    a volume is that is there already."""
    rows = list(Node.objects.order_by("name"))
    if text:
        found = next((one for one in rows if text in (one.name, str(one.pk))), None)
        if found is None:
            raise Invalid(_("There is no such node."), field="node")
        return found
    names = [one.external or volume_name(stack, one.key) for one in project.volumes]
    there = Volume.objects.select_related("node").filter(tenant=stack.tenant, name__in=names).first()
    if there is not None:
        return there.node
    if len(rows) == 1:
        return rows[0]
    service = project.services[0]
    limits = parse_limits({**wants_of(Kind.APP).limits.model_dump(), **stack.limits, **service.limits})
    return placement.choose(
        placement.candidates_for(service.image, timezone.now()),
        kind=Kind.APP,
        kernel=Kernel.SHARED,
        image=service.image,
        devices=(),
        limits=limits,
    )


def volume_name(stack: Stack, key: str) -> str:
    return name_of(stack.name, key, 0).removesuffix("-0")


class _OnlyAsked(Exception):
    """Ends a transaction that was to see whether something can be had."""


def check_room(actor: Actor, stack: Stack, project: Project, found: Sequence[Change]) -> None:
    """Raises `QuotaExceeded`, or what a plan refuses, for what the stack would take more than it has. Those
    that are made anew give back first what they have."""
    amounts: dict[str, int] = defaultdict(int)
    services = {one.name: one for one in project.services}
    for one in found:
        if one.does != "create":
            continue
        service = services[one.service]
        _version, limits = limits_for(
            actor, stack.tenant, Kind.APP, {**stack.limits, **service.limits} or None, stack.plan
        )
        for resource, amount in quotas.amounts_of(limits).items():
            amounts[resource] += amount
        amounts[Resource.FORWARDS] += len(service.ports)
        amounts[Resource.ADDRESSES] += 1 if service.has_network else 0
    amounts[Resource.DISK_MB] += _of_volumes(stack, project)
    try:
        with counting_refusals(), transaction.atomic():
            quotas.reserve(stack.tenant, amounts)
            raise _OnlyAsked
    except _OnlyAsked:
        pass


def _of_volumes(stack: Stack, project: Project) -> int:
    """MiB of those that would be made. Raises `Conflict` for one that is there and can't be had."""
    more = 0
    for one in project.volumes:
        name = one.external or volume_name(stack, one.key)
        row = Volume.objects.filter(tenant=stack.tenant, name=name).first()
        if row is None and one.external:
            raise Invalid(_("There is no volume %(name)s.") % {"name": name[:63]}, field="compose")
        if row is None:
            more += one.size_mb or stack.volume_mb
        elif row.node_id != stack.node_id:
            raise Conflict(
                _("The volume %(name)s is on another node.") % {"name": name},
                code="other_node",
                field="compose",
            )
        else:
            _refuse_others(stack, row)
    return more


def _refuse_others(stack: Stack, row: Volume) -> None:
    owner: UUID | Any = getattr(getattr(row, "in_stack", None), "stack_id", None)
    if owner is not None and owner != stack.pk:
        raise Conflict(
            _("The volume %(name)s belongs to another stack.") % {"name": row.name},
            code="volume_taken",
            field="compose",
        )
