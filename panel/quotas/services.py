"""Reserving and giving back. One conditional UPDATE decides for a tenant and all tenants above it."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import BigIntegerField, Case, F, Q, Value, When
from django.db.models.functions import Greatest

from panel.errors import Invalid, QuotaExceeded
from panel.quotas.models import SCALE, Quota, Resource
from panel.tenants.models import Tenant
from runtime.contract import Limits, TenantEnvelope

#: How much of each resource, in stored units.
Amounts = Mapping[str, int]


def stored(resource: str, value: float) -> int:
    return round(value * SCALE.get(Resource(resource), 1))


def shown(resource: str, value: int) -> float | int:
    """In the API's units: vCPUs as a number that may have a fraction, all else whole."""
    scale = SCALE.get(Resource(resource), 1)
    return value if scale == 1 else value / scale


def amounts_of(limits: Limits) -> dict[str, int]:
    """What one environment with these limits takes, addresses and forwards apart."""
    return {
        Resource.ENVIRONMENTS: 1,
        Resource.CPU: stored(Resource.CPU, limits.cpu),
        Resource.MEMORY_MB: limits.memory_mb,
        Resource.DISK_MB: limits.disk_mb,
    }


def _by_resource(amounts: Amounts) -> Case:
    return Case(
        *[When(resource=resource, then=Value(amount)) for resource, amount in amounts.items()],
        default=Value(0),
        output_field=BigIntegerField(),
    )


def reserve(tenant: Tenant, amounts: Amounts) -> None:
    """Take all of it on every level, or raise `QuotaExceeded` naming what is short.

    The condition is part of the UPDATE, so that of many at once only as many pass as there is room for.
    Must run in a transaction: the rows stay locked (PostgreSQL) or the database does (SQLite) to its end.
    """
    wanted = {resource: amount for resource, amount in amounts.items() if amount > 0}
    if not wanted:
        return
    chain = tenant.chain
    more = F("reserved") + _by_resource(wanted)
    room = Q(limit__isnull=True)
    for resource, amount in wanted.items():
        room |= Q(resource=resource, limit__gte=F("reserved") + amount)
    try:
        with transaction.atomic():
            passed = (
                Quota.objects.filter(tenant_id__in=chain, resource__in=list(wanted))
                .filter(room)
                .update(reserved=more, highest=Greatest(F("highest"), more))
            )
            if passed != len(chain) * len(wanted):
                raise _NoRoom
    except _NoRoom:
        raise _refusal(tenant, wanted) from None


class _NoRoom(Exception):
    """Rolls back the levels that had room when another had none."""


def _refusal(tenant: Tenant, wanted: Amounts) -> QuotaExceeded:
    """What is short, the tenant's own quota before those above it."""
    rows = Quota.objects.filter(tenant_id__in=tenant.chain, resource__in=list(wanted))
    short = [row for row in rows if row.limit is not None and row.reserved + wanted[row.resource] > row.limit]
    for row in sorted(short, key=lambda row: row.tenant_id != tenant.pk):
        return _exceeded(row, tenant, wanted[row.resource])
    return QuotaExceeded("The quota of this tenant had no room for it a moment ago.", next_step="Try again.")


def _exceeded(row: Quota, tenant: Tenant, amount: int) -> QuotaExceeded:
    resource = row.resource
    label = Resource(resource).label
    limit, taken = shown(resource, row.limit or 0), shown(resource, row.reserved)
    whose = "your quota" if row.tenant_id == tenant.pk else "the quota of the tenant above yours"
    error = QuotaExceeded(
        f"Not enough {label}: {shown(resource, amount):g} asked for, but {whose} of {limit:g} has "
        f"{max(limit - taken, 0):g} left.",
        field=resource if resource in {"cpu", "memory_mb", "disk_mb"} else "",
        next_step="Ask for less, free some of it, or ask for a larger quota.",
    )
    error.rows = [row.pk]  # type: ignore[attr-defined]
    return error


def count_hit(error: QuotaExceeded) -> None:
    """Count a refusal. Called after the roll-back of what was refused, else the count would go with it."""
    Quota.objects.filter(pk__in=getattr(error, "rows", [])).update(hits=F("hits") + 1)


def release(tenant: Tenant, amounts: Amounts) -> None:
    """Give back on every level; never below zero."""
    wanted = {resource: amount for resource, amount in amounts.items() if amount > 0}
    if wanted:
        Quota.objects.filter(tenant_id__in=tenant.chain, resource__in=list(wanted)).update(
            reserved=Greatest(F("reserved") - _by_resource(wanted), Value(0))
        )


def take_anyway(tenant: Tenant, amounts: Amounts) -> None:
    """Count what is held in any case, even above the limit: an environment whose shrinking failed."""
    wanted = {resource: amount for resource, amount in amounts.items() if amount > 0}
    if wanted:
        Quota.objects.filter(tenant_id__in=tenant.chain, resource__in=list(wanted)).update(
            reserved=F("reserved") + _by_resource(wanted)
        )


def open_rows(tenant: Tenant, limits: Mapping[str, float | None]) -> None:
    """The rows of a new tenant, one per resource, not limited where `limits` says nothing."""
    known = check(limits)
    Quota.objects.bulk_create(
        [Quota(tenant=tenant, resource=r, limit=_stored_or_none(r, known.get(r))) for r in Resource.values]
    )


def set_limits(tenant: Tenant, limits: Mapping[str, float | None]) -> None:
    """Change the named limits. One below what is reserved is kept: nothing new fits then."""
    for resource, value in check(limits).items():
        Quota.objects.filter(tenant=tenant, resource=resource).update(limit=_stored_or_none(resource, value))


def check(limits: Mapping[str, float | None]) -> dict[str, float | None]:
    """Raises `Invalid` for an unknown resource or a number that can't be."""
    for resource, value in limits.items():
        if resource not in Resource.values:
            names = ", ".join(Resource.values)
            raise Invalid(f"There is no resource {resource}; known are {names}.", field=f"quota.{resource}")
        if value is not None and not 0 <= value < 2**53:
            raise Invalid(f"{resource} must be 0 or more, or null for no limit.", field=f"quota.{resource}")
    return dict(limits)


def _stored_or_none(resource: str, value: float | None) -> int | None:
    return None if value is None else stored(resource, value)


def limits_of(tenant: Tenant) -> dict[str, float | int | None]:
    rows = {row.resource: row.limit for row in Quota.objects.filter(tenant=tenant)}
    return {r: None if rows.get(r) is None else shown(r, int(rows[r] or 0)) for r in Resource.values}


def usage_of(tenant: Tenant, used: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Per resource `limit reserved used highest hits`; `used` comes from what nodes reported."""
    answer: dict[str, dict[str, Any]] = {}
    for row in Quota.objects.filter(tenant=tenant):
        r = row.resource
        answer[r] = {
            "limit": None if row.limit is None else shown(r, row.limit),
            "reserved": shown(r, row.reserved),
            "used": used.get(r, shown(r, row.reserved)),
            "highest": shown(r, row.highest),
            "hits": row.hits,
        }
    return {r: answer[r] for r in Resource.values if r in answer}


def envelope_of(chain: Iterable[UUID]) -> TenantEnvelope:
    """The tightest limit along the chain, per resource, for the kernel to hold the sum to."""
    lowest: dict[str, int] = {}
    rows = Quota.objects.filter(
        tenant_id__in=list(chain),
        resource__in=[Resource.CPU, Resource.MEMORY_MB, Resource.DISK_MB],
        limit__isnull=False,
    ).values_list("resource", "limit")
    for resource, limit in rows:
        if limit is not None:
            lowest[resource] = min(limit, lowest.get(resource, limit))
    cpu = lowest.get(Resource.CPU)
    memory = lowest.get(Resource.MEMORY_MB)
    disk = lowest.get(Resource.DISK_MB)
    return TenantEnvelope(
        cpu=None if cpu is None else max(cpu / SCALE[Resource.CPU], 0.05),
        memory_mb=None if memory is None else max(memory, 16),
        disk_mb=None if disk is None else max(disk, 16),
    )
