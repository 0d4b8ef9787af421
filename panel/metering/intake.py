"""Taking in what environments use, and noticing by it when the newest report of one was lost."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from panel import dispatch, events
from panel.environments.models import Environment, EnvironmentUsage
from panel.metering import services as metering
from panel.metering.counters import GIGABYTE, month_of, since
from panel.metering.history import keep_points
from panel.metering.models import TrafficMonth
from panel.nodes.models import Node
from runtime.contract import Usage, UsageReport

#: A state that differs from the newest report gets so long to be reported by itself.
SETTLE = timedelta(seconds=8)
#: The same while work goes on: then the worker reports, as soon as it is through.
SETTLE_AT_WORK = timedelta(seconds=60)
#: Written down in one transaction. SQLite has one writer: 500 at once kept a create waiting for 115 ms.
_AT_ONCE = 40
_HEARERS: list[Callable[[Node, UsageReport], None]] = []


def hears_usage(hearer: Callable[[Node, UsageReport], None]) -> None:
    """For an app's `ready()`: it is told of each report of a node that is known."""
    _HEARERS.append(hearer)


def observe_usage(report: UsageReport) -> int:
    """Keep the newest use of each environment of that node; tells each tenant once. How many were kept.

    Where the state in it isn't the one that was reported, the node is asked to look: its report was lost with
    Redis, or never written down.
    """
    node = Node.objects.filter(name=report.node).first()
    if node is None:
        return 0
    for hearer in _HEARERS:
        hearer(node, report)
    found = (
        Environment.objects.living()
        .filter(node=node, pk__in=[u.environment_id for u in report.usages])
        .select_related("tenant", "plan_version")
        .only(
            "tenant__time_zone",
            "plan_version__allowances",
            "traffic_state",
            "observed_state",
            "observed_generation",
            "is_at_work",
            "heard_at",
        )
        .in_bulk()
    )
    known = [usage for usage in report.usages if usage.environment_id in found]
    rows: list[EnvironmentUsage] = []
    for start in range(0, len(known), _AT_ONCE):
        began = time.monotonic()
        rows += _keep(known[start : start + _AT_ONCE], found, report.at)
        if connection.vendor == "sqlite" and start + _AT_ONCE < len(known):
            # who waits for SQLite looks again only now and then: as long as it was held, it is left free
            time.sleep(time.monotonic() - began)
    _announce(rows, {pk: row.tenant_id for pk, row in found.items()}, report)
    metering.enforce(_metered(found.values(), report.at), report.at)
    doubtful = [u.environment_id for u in report.usages if _is_doubtful(found.get(u.environment_id), u)]
    if doubtful:
        dispatch.ask_to_look(report.node, doubtful)
    return len(rows)


def _keep(usages: Sequence[Usage], found: Mapping[UUID, Environment], at: datetime) -> list[EnvironmentUsage]:
    """Those that are newer than what is known, written down."""
    fields = [f.name for f in EnvironmentUsage._meta.concrete_fields if not f.primary_key]
    with transaction.atomic():
        # locked, so that of two reports at once each counts from the other
        ids = [usage.environment_id for usage in usages]
        locked = EnvironmentUsage.objects.select_for_update().filter(pk__in=ids).order_by("pk")
        before = {row.pk: row for row in locked}
        rows = [
            _row(usage, before.get(usage.environment_id), at)
            for usage in usages
            if not _is_older(before.get(usage.environment_id), at)
        ]
        metering.count(
            {row.pk: _traffic(row, before.get(row.pk)) for row in rows},
            {row.pk: month_of(at, found[row.pk].tenant.time_zone) for row in rows},
        )
        EnvironmentUsage.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["environment"], update_fields=fields
        )
        keep_points(rows, before)
    return rows


def _traffic(row: EnvironmentUsage, before: EnvironmentUsage | None) -> tuple[int, int]:
    """Bytes towards it and from it since the report before."""
    if before is None:
        return row.network_in_bytes, row.network_out_bytes
    same = row.network_link == before.network_link
    return (
        since(row.network_in_bytes, before.network_in_bytes, is_same_link=same),
        since(row.network_out_bytes, before.network_out_bytes, is_same_link=same),
    )


def _metered(rows: Iterable[Environment], at: datetime) -> list[UUID]:
    """Those that have used up this month's traffic of their plan since the report before; one query."""
    limits = {
        (row.pk, month_of(at, row.tenant.time_zone)): limit * GIGABYTE
        for row in rows
        if row.plan_version is not None
        and not row.traffic_state
        and (limit := row.plan_version.allowances.get("traffic_gb"))
    }
    if not limits:
        return []
    months = TrafficMonth.objects.filter(environment__in=[pk for pk, _ in limits]).filter(
        month__in={month for _, month in limits}
    )
    return [
        row.environment_id
        for row in months
        if row.total_bytes >= limits.get((row.environment_id, row.month), float("inf"))
    ]


def _is_doubtful(row: Environment | None, usage: Usage) -> bool:
    """The kernel shows another state than the newest report, and did so for a while."""
    if row is None or usage.state is None or row.heard_at is None:
        return False
    settle = SETTLE_AT_WORK if row.is_at_work else SETTLE
    is_same = usage.state == row.observed_state and usage.generation == row.observed_generation
    return not is_same and row.heard_at < timezone.now() - settle


def _is_older(before: EnvironmentUsage | None, at: datetime) -> bool:
    return before is not None and before.at >= at


def _row(usage: Usage, before: EnvironmentUsage | None, at: datetime) -> EnvironmentUsage:
    row = EnvironmentUsage(
        at=at,
        **usage.model_dump(exclude={"state", "generation", "interfaces"}),
        network_in_bytes=sum(one.in_bytes for one in usage.interfaces),
        network_out_bytes=sum(one.out_bytes for one in usage.interfaces),
        network_link=usage.interfaces[0].link if usage.interfaces else 0,
    )
    if before is not None:
        seconds = (at - before.at).total_seconds()
        row.memory_hit_at = _hit_at(usage.memory_hits, before.memory_hits, at) or before.memory_hit_at
        row.process_hit_at = _hit_at(usage.process_hits, before.process_hits, at) or before.process_hit_at
        row.cpu = _rate(usage.cpu_ns, before.cpu_ns, seconds) / 1e9
        row.network_in_bit_s = _rate(row.network_in_bytes, before.network_in_bytes, seconds) * 8
        row.network_out_bit_s = _rate(row.network_out_bytes, before.network_out_bytes, seconds) * 8
    return row


def _hit_at(now: int, before: int, at: datetime) -> datetime | None:
    """Now, where a limit was hit since the report before; a counter that began anew counts from zero."""
    return at if now > (before if now >= before else 0) else None


def _rate(now: int, before: int, seconds: float) -> float:
    """Per second; a counter that began anew counts from zero."""
    return (now - before if now >= before else now) / seconds if seconds > 0 else 0.0


def _announce(rows: Iterable[EnvironmentUsage], tenants: dict[UUID, UUID], report: UsageReport) -> None:
    """The values themselves, in short: a bar that moves isn't worth a request per environment."""
    by_tenant: dict[UUID, dict[str, Any]] = {}
    for row in rows:
        short = {
            "cpu": round(row.cpu, 3),
            "memory_bytes": row.memory_bytes,
            "disk_bytes": row.disk_bytes,
            "processes": row.processes,
            "network_in_bit_s": round(row.network_in_bit_s),
            "network_out_bit_s": round(row.network_out_bit_s),
        }
        by_tenant.setdefault(tenants[row.environment_id], {})[str(row.environment_id)] = short
    for tenant_id, usages in by_tenant.items():
        events.publish("usage", report.node, tenant_id, at=report.at.isoformat(), usages=usages)
