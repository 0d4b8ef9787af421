"""What administrators above a tenant set for it: limits, soft limits, overbooking, plans only."""

from collections.abc import Mapping
from typing import Any, TypedDict
from uuid import UUID

from django.utils.translation import gettext as _

from panel.environments.models import Environment
from panel.errors import Conflict
from panel.operations.models import OperationKind
from panel.quotas import services as quotas
from panel.quotas.models import Quota, Resource
from panel.quotas.selectors import envelope_of
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenancy.holding import hold
from panel.tenancy.usage import used_by
from panel.tenants.models import Tenant


class QuotaChanges(TypedDict, total=False):
    """What may be set from above a tenant."""

    quota: Mapping[str, float | None]
    soft: Mapping[str, float | None]
    grace_s: Mapping[str, int]
    overbook: Mapping[str, float]
    must_use_plans: bool


def change_quota(actor: Actor, tenant: Tenant, changes: QuotaChanges) -> tuple[dict[str, Any], dict[str, Any]]:
    """Set what is given of a locked tenant; what was and what is, for the audit.

    A limit below what is reserved ends nothing: nothing new fits. Each node on which the kernel now holds the
    tenant, or one below it, to something else is told so once.
    """
    actor.require(Permission.TENANT_QUOTA, tenant)
    below = _with_environments(tenant)
    before, after = _shown(tenant), dict[str, Any]()
    held = {pk: envelope_of(chain) for pk, chain in below.items()}
    limits = changes.get("quota") or {}
    _refuse_below_used(tenant, limits)
    quotas.set_limits(tenant, limits)
    quotas.set_soft(tenant, changes.get("soft") or {}, changes.get("grace_s"))
    if overbook := changes.get("overbook"):
        _refuse_many_nodes(tenant, overbook)
        quotas.set_overbook(tenant, overbook)
    if changes.get("must_use_plans") is not None:
        tenant.must_use_plans = bool(changes.get("must_use_plans"))
        tenant.save(update_fields=["must_use_plans"])
    if changed := [pk for pk, chain in below.items() if envelope_of(chain) != held[pk]]:
        hold(actor, tenant, OperationKind.QUOTA, changed)
    after = _shown(tenant)
    differing = [key for key in after if after[key] != before[key]]
    return {key: before[key] for key in differing}, {key: after[key] for key in differing}


def _shown(tenant: Tenant) -> dict[str, Any]:
    rows = Quota.objects.filter(tenant=tenant)
    return {
        "quota": {row.resource: row.limit for row in rows},
        "soft": {row.resource: row.soft for row in rows if row.soft is not None},
        "grace_s": {row.resource: row.grace_s for row in rows if row.soft is not None},
        "overbook": {row.resource: row.overbook_percent for row in rows if row.overbook_percent != 100},
        "must_use_plans": tenant.must_use_plans,
    }


def _with_environments(tenant: Tenant) -> dict[UUID, list[UUID]]:
    """The tenant and those below it that have environments, each with its chain."""
    there = Environment.objects.living().filter(tenant__path__startswith=tenant.path).order_by()
    rows = Tenant.objects.filter(pk__in=there.values("tenant"))
    return {row.pk: row.chain for row in rows}


def _refuse_below_used(tenant: Tenant, limits: Mapping[str, float | None]) -> None:
    """An overbooked tenant may really use more than a lower limit: then the kernel would have to end things."""
    if not quotas.is_overbooked(tenant):
        return
    used = used_by(tenant)
    for resource in (Resource.MEMORY_MB, Resource.DISK_MB, Resource.PROCESSES):
        limit = limits.get(resource)
        if limit is not None and limit < used[resource]:
            raise Conflict(
                _("%(limit)s of %(resource)s is below the %(used)s that are in use.")
                % {"limit": f"{limit:g}", "resource": Resource(resource).label, "used": f"{used[resource]:g}"},
                code="below_used",
                field=f"quota.{resource}",
                next_step=_("Stop or shrink environments of the tenant first."),
            )


def _refuse_many_nodes(tenant: Tenant, ratios: Mapping[str, float]) -> None:
    """The kernel holds a sum on one node; over several nodes only what is handed out can be held."""
    if not any(ratio > 1 for ratio in ratios.values()):
        return
    nodes = Environment.objects.living().filter(tenant=tenant).values("node").distinct().count()
    if nodes > 1:
        raise Conflict(
            _("Its environments are on %(nodes)s nodes; a kernel can hold only what runs on one.")
            % {"nodes": nodes},
            code="many_nodes",
            field="overbook",
        )
