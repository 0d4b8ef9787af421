"""Reads of quotas: what a tenant holds, and what the kernel is told."""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet, UUIDField

from panel.prepared import Given, Prepared
from panel.quotas.models import MEASURED, SCALE, Quota, Resource
from panel.quotas.sums import promised
from panel.quotas.units import shown, shown_or_none
from panel.tenants.models import Tenant
from runtime.contract import TenantEnvelope

_HELD = (Resource.CPU, Resource.MEMORY_MB, Resource.SWAP_MB, Resource.PROCESSES, Resource.DISK_MB)


def show(row: Quota, used: Mapping[str, float]) -> dict[str, Any]:
    """As OpenVZ's beancounters, in the API's units: `used` held, `highest_used` maxheld, `soft` barrier,
    `limit`, `hits` failcnt; and what is `reserved`, with its `highest`."""
    r = row.resource
    now_used = used.get(r, shown(r, row.reserved))
    return {
        "limit": shown_or_none(r, row.limit),
        "soft": shown_or_none(r, row.soft),
        "grace_s": row.grace_s,
        "soft_since": row.soft_since.isoformat() if row.soft_since else None,
        "overbook": row.overbook_percent / 100,
        "reserved": shown(r, row.reserved),
        "used": now_used,
        "highest": shown(r, row.highest),
        "highest_used": max(shown(r, row.highest_used), now_used) if r in MEASURED else shown(r, row.highest),
        "hits": row.hits,
        "alert": row.alerted or None,
    }


def usage_of(tenant: Tenant, used: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Per resource what `show` gives; `used` comes from what nodes reported."""
    answer = {row.resource: show(row, used) for row in Quota.objects.filter(tenant=tenant)}
    return {r: answer[r] for r in Resource.values if r in answer}


def room_of(tenant: Tenant) -> dict[str, int | None]:
    """What is left per resource, in stored units, of the first quota upwards that has one; None: no limit."""
    rows = {(q.tenant_id, q.resource): q for q in Quota.objects.filter(tenant_id__in=tenant.chain)}
    room: dict[str, int | None] = {}
    for resource in Resource.values:
        upwards = [rows.get((one, resource)) for one in reversed(tenant.chain)]
        first = next((q for q in upwards if q is not None and q.limit is not None), None)
        room[resource] = None
        if first is not None and first.limit is not None:
            most = first.limit * first.overbook_percent // 100
            room[resource] = max(most - first.reserved, 0)
    return room


def _held(of: Q) -> "QuerySet[Quota, tuple[str, int | None, int, int]]":
    rows = Quota.objects.filter(of, resource__in=_HELD, limit__isnull=False)
    return rows.values_list("resource", "limit", "reserved", "overbook_percent")


def _prepared(depth: int) -> "Prepared[tuple[str, int | None, int, int]]":
    of = [Q(tenant=Given(f"tenant{at}", UUIDField())) for at in range(depth)]
    return Prepared(lambda: _held(reduce(or_, of)))


#: By the number of tenants in a chain, for as many as most have.
_HELD_BY = {depth: _prepared(depth) for depth in range(1, 5)}


def _held_by(chain: Sequence[UUID]) -> Iterable[tuple[str, int | None, int, int]]:
    if prepared := _HELD_BY.get(len(chain)):
        return prepared.all(**{f"tenant{at}": tenant for at, tenant in enumerate(chain)})
    return _held(Q(tenant_id__in=chain))


def envelope_of(chain: Iterable[UUID]) -> TenantEnvelope:
    """The tightest limit along the chain, per resource, for the kernel to hold the sum to.

    Not below what is handed out: a limit that was lowered sinks as far as environments are given up.
    """
    lowest: dict[str, int] = {}
    for resource, limit, reserved, percent in _held_by(list(chain)):
        held = promised(limit, reserved, percent)
        lowest[resource] = min(held, lowest.get(resource, held))
    cpu = lowest.get(Resource.CPU)
    memory = lowest.get(Resource.MEMORY_MB)
    processes = lowest.get(Resource.PROCESSES)
    disk = lowest.get(Resource.DISK_MB)
    return TenantEnvelope(
        cpu=None if cpu is None else max(cpu / SCALE[Resource.CPU], 0.05),
        memory_mb=None if memory is None else max(memory, 16),
        swap_mb=lowest.get(Resource.SWAP_MB),
        processes=None if processes is None else max(processes, 16),
        disk_mb=None if disk is None else max(disk, 16),
    )
