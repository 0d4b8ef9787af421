"""A database laid beside what a node was told: after a restore it is older than that, and the node is right."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction

from panel.audit.services import record
from panel.environments.adopting import adopt, bury
from panel.environments.consistency import recount
from panel.environments.models import Environment
from panel.errors import Refused
from panel.nodes.models import Node, NodeState
from panel.quotas import services as quotas
from panel.tenants.models import Tenant, TenantState
from panel.volumes.adopting import adopt_volume
from runtime.contract import EnvironmentSpec, NodeTold, TenantEnvelope


@dataclass
class Taken:
    """What came of it, for whoever asked."""

    adopted: list[str] = field(default_factory=list)
    """Names of environments that had no row."""
    renewed: list[str] = field(default_factory=list)
    """Of those whose rows were behind."""
    deleted: list[str] = field(default_factory=list)
    """Of those that their node has deleted since."""
    tenants: list[str] = field(default_factory=list)
    """Slugs of tenants that were made anew, with their ids."""
    volumes: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    """Ids of volumes that no environment has and no row: they stay as they are."""
    problems: list[str] = field(default_factory=list)
    """Sentences about what stays apart; nothing new is placed on the node until somebody has looked."""
    draining: list[str] = field(default_factory=list)
    """Nodes that get nothing new."""


def lay_beside(told: NodeTold, *, is_restored: bool) -> Taken:
    """Rows made true by the node's records. With `is_restored` other nodes, whose records nobody has laid here,
    get nothing new until an administrator says so: they may have what the rows don't know."""
    taken = Taken()
    node, _ = Node.objects.get_or_create(name=told.node)
    tenants = {one: _tenant(one, told.envelopes.get(one), taken) for one in _tenants_of(told)}
    _take_volumes(node, told, tenants, taken)
    for spec in told.specs:
        _take(node, tenants[spec.tenant_id], spec, taken)
    for row in Environment.objects.living().filter(node=node, pk__in=told.buried):
        if bury(row, told.buried[row.pk]):
            taken.deleted.append(row.name)
    recount()
    if taken.problems:
        _drain(node, taken)
    if is_restored:
        for other in Node.objects.exclude(pk=node.pk).filter(state=NodeState.ENABLED):
            _drain(other, taken)
    return taken


def _tenants_of(told: NodeTold) -> list[UUID]:
    return list(dict.fromkeys(spec.tenant_id for spec in told.specs))


def _take(node: Node, tenant: Tenant, spec: EnvironmentSpec, taken: Taken) -> None:
    is_known = Environment.objects.filter(pk=spec.id).exists()
    try:
        row = adopt(node, tenant, spec)
    except (Refused, ValidationError, ValueError, DatabaseError) as error:
        taken.problems.append(f"{spec.name} ({spec.id}): {error}")
        return
    if row is not None:
        (taken.renewed if is_known else taken.adopted).append(row.name)


def _take_volumes(node: Node, told: NodeTold, tenants: dict[UUID, Tenant], taken: Taken) -> None:
    whose = {one.volume_id: spec.tenant_id for spec in told.specs for one in spec.volumes}
    there = {one.id: one for one in told.volumes}
    for pk, tenant_id in whose.items():
        made = adopt_volume(node, tenants[tenant_id], there[pk]) if pk in there else None
        if made is not None:
            taken.volumes.append(made.name)
    for pk in there.keys() - whose.keys():
        if not node.volumes.filter(pk=pk).exists():
            taken.strange.append(str(pk))


def _tenant(tenant_id: UUID, envelope: TenantEnvelope | None, taken: Taken) -> Tenant:
    """With its id, so that nothing changes on the node; nobody is a member of one that is made anew."""
    with transaction.atomic():
        tenant = Tenant.objects.select_for_update().filter(pk=tenant_id).first()
        if tenant is None:
            slug = f"recovered-{tenant_id.hex[:12]}"
            tenant = Tenant(id=tenant_id, name=slug, slug=slug, path=f"{tenant_id.hex}/")
            tenant.save(force_insert=True)
            quotas.open_rows(tenant, {})
            record(None, "tenant.adopt", tenant_id=tenant.pk, target=tenant, after={"name": slug})
            taken.tenants.append(slug)
        if envelope is not None and envelope.revision > tenant.held_revision:
            _follow(tenant, envelope)
    return tenant


def _follow(tenant: Tenant, envelope: TenantEnvelope) -> None:
    """Counted on from what the node knows, else it would hear no change any more. Who was suspended since stays
    so, and who was let go on does."""
    tenant.held_revision = envelope.revision
    if envelope.suspended is not None:
        tenant.state, tenant.suspended_how = TenantState.SUSPENDED, envelope.suspended
    else:
        tenant.state, tenant.suspended_reason = TenantState.ACTIVE, ""
    tenant.save(update_fields=["held_revision", "state", "suspended_how", "suspended_reason"])


def _drain(node: Node, taken: Taken) -> None:
    if node.state == NodeState.ENABLED:
        Node.objects.filter(pk=node.pk).update(state=NodeState.DRAINING)
        before: dict[str, Any] = {"state": NodeState.ENABLED}
        record(None, "node.change", target=node, before=before, after={"state": NodeState.DRAINING})
    taken.draining.append(node.name)
