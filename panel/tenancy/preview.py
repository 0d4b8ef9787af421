"""What a change of a tenant's quota would mean, before it is made."""

from collections.abc import Mapping

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from panel.environments.models import Environment
from panel.quotas.models import Quota, Resource
from panel.quotas.services import check
from panel.quotas.simulate import Simulation
from panel.quotas.sums import promised
from panel.quotas.units import amounts_of, shown, shown_or_none, stored_or_none
from panel.tenancy.answers import NotFitting, QuotaPreview, ResourcePreview
from panel.tenancy.usage import used_by
from panel.tenants.models import Tenant

#: Environments and tenants named; the counts are of all.
_MOST_NAMED = 100


def preview_limits(tenant: Tenant, limits: Mapping[str, float | None]) -> QuotaPreview:
    """`{"is_allowed", "refusal", "resources", "environments", "tenants", "sentences"}`; nothing is changed.

    `environments`: those that would not fit into the new limits, the newest first, since the oldest
    keep their place; nothing is taken away from them. `refusal`: why the tenant above has no room.
    """
    wanted = {r: stored_or_none(r, value) for r, value in check(limits).items()}
    rows = {row.resource: row for row in Quota.objects.filter(tenant=tenant)}
    used = used_by(tenant)
    resources = {r: _resource(rows[r], wanted[r], used) for r in Resource.values if r in wanted}
    over = {r: rows[r].reserved - (limit or 0) for r, limit in wanted.items() if _is_over(rows[r], limit)}
    environments, count = _not_fitting(tenant, over)
    refusal = _refusal(tenant, rows, wanted)
    return {
        "is_allowed": not refusal,
        "refusal": refusal,
        "resources": resources,
        "environments": environments,
        "environments_count": count,
        "sentences": _sentences(resources, environments, count, refusal),
    }


def _is_over(row: Quota, limit: int | None) -> bool:
    return limit is not None and row.reserved * 100 > limit * row.overbook_percent


def _resource(row: Quota, limit: int | None, used: Mapping[str, float]) -> ResourcePreview:
    r = row.resource
    return {
        "limit": shown_or_none(r, row.limit),
        "new_limit": shown_or_none(r, limit),
        "reserved": shown(r, row.reserved),
        "used": used.get(r, shown(r, row.reserved)),
        "over": shown(r, row.reserved - (limit or 0)) if _is_over(row, limit) else 0,
    }


def _not_fitting(tenant: Tenant, over: Mapping[str, int]) -> tuple[list[NotFitting], int]:
    """The newest environments, of the tenant and all below it, until the rest would fit."""
    left = {r: amount for r, amount in over.items() if amount > 0}
    if not left:
        return [], 0
    found: list[NotFitting] = []
    count = 0
    rows = (
        Environment.objects.living()
        .filter(tenant__path__startswith=tenant.path)
        .select_related("tenant")
        .only("name", "intent", "tenant__name")
        .order_by("-created_at", "pk")
    )
    for row in rows.iterator(chunk_size=500):
        takes = amounts_of(row.contract_limits())
        if not any(takes.get(r, 0) for r in left):
            continue
        count += 1
        if len(found) < _MOST_NAMED:
            found.append({"id": str(row.pk), "name": row.name, "tenant_name": row.tenant.name})
        left = {r: rest for r, amount in left.items() if (rest := amount - takes.get(r, 0)) > 0}
        if not left:
            break
    return found, count


def _refusal(tenant: Tenant, rows: Mapping[str, Quota], wanted: Mapping[str, int | None]) -> str:
    """Why the tenant above can't give it; empty when it can."""
    if tenant.parent is None:
        return ""
    deltas = {}
    for r, limit in wanted.items():
        row = rows[r]
        before = promised(row.limit, row.reserved, row.overbook_percent)
        deltas[r] = promised(limit, row.reserved, row.overbook_percent) - before
    short = Simulation([tenant.parent]).change(tenant.parent, deltas, timezone.now())
    if short is None:
        return ""
    r = short.level.resource
    left = max((short.level.most or 0) - short.level.reserved, 0)
    return _("The tenant above has %(left)s of %(what)s left, and %(asked)s more are asked for.") % {
        "left": f"{shown(r, left):g}",
        "what": Resource(r).label,
        "asked": f"{shown(r, short.asked):g}",
    }


def _sentences(
    resources: Mapping[str, ResourcePreview],
    environments: list[NotFitting],
    count: int,
    refusal: str,
) -> list[str]:
    told = [refusal] if refusal else []
    if count:
        names = ", ".join(one["name"] for one in environments[:10])
        if count > 10:
            names = _("%(names)s and %(n)s more") % {"names": names, "n": count - 10}
        told.append(
            ngettext(
                "%(n)s environment would not fit: %(names)s. It keeps what it has; nothing new fits.",
                "%(n)s environments would not fit: %(names)s. They keep what they have; nothing new fits.",
                count,
            )
            % {"n": count, "names": names}
        )
    for r, one in resources.items():
        if one["over"] and not count:
            told.append(_("%(n)s of %(what)s are handed out; nothing new fits.") % _of(one["reserved"], r))
        if one["new_limit"] is not None and one["used"] > one["new_limit"]:
            told.append(_("%(n)s of %(what)s are really in use.") % _of(one["used"], r))
    return told or [_("Everything that is there fits.")]


def _of(amount: float, resource: str) -> dict[str, str]:
    return {"n": f"{amount:g}", "what": str(Resource(resource).label)}
