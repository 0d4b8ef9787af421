"""What an environment used by the minute, for the graphs: counters are kept, rates are their differences."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import fmean
from typing import Any
from uuid import UUID

from django.utils import timezone

from panel.clock.services import oldest
from panel.environments.models import Environment, EnvironmentUsage
from panel.metering.models import UsagePoint

KEPT = timedelta(hours=25)
#: Points of one graph; a longer span leaves some out.
_MOST_POINTS = 360
_FIELDS = ("at", "cpu_ns", "memory_bytes", "disk_bytes", "network_in_bytes", "network_out_bytes")


def keep_points(rows: Iterable[EnvironmentUsage], before: Mapping[UUID, EnvironmentUsage]) -> None:
    """The first of each minute; a no-op, and no query, for all others."""
    points = [
        UsagePoint(environment_id=row.pk, **{name: getattr(row, name) for name in _FIELDS})
        for row in rows
        if (last := before.get(row.pk)) is None or _minute(last) != _minute(row)
    ]
    if points:
        UsagePoint.objects.bulk_create(points, ignore_conflicts=True)


def _minute(row: EnvironmentUsage) -> int:
    return int(row.at.timestamp()) // 60


def forget_past() -> int:
    """How many points were older than what is kept."""
    return UsagePoint.objects.filter(at__lt=oldest(KEPT)).delete()[0]


def history(environment: Environment, hours: float) -> list[dict[str, Any]]:
    """By time: `at` (seconds since 1970), `cpu` (vCPUs), `memory`, `disk` (bytes), `in`, `out` (bit/s).

    Averages since the point before; a counter that is lower began anew at zero. One query.
    """
    since = timezone.now() - timedelta(hours=hours)
    rows = list(UsagePoint.objects.filter(environment=environment, at__gte=since).order_by("at"))
    step = -(-len(rows) // _MOST_POINTS) or 1
    rows = rows[::step]
    return [_between(before, row) for before, row in pairwise(rows)]


def in_lines(points: Sequence[Mapping[str, Any]], most: int = 12) -> list[dict[str, Any]]:
    """A history in so many lines: rates on an average, sizes as they were at the end of each."""
    each = -(-len(points) // most) or 1
    parts = [points[first : first + each] for first in range(0, len(points), each)]
    return [
        {
            "at": datetime.fromtimestamp(part[-1]["at"], UTC),
            **{name: part[-1][name] for name in ("memory", "disk")},
            **{name: fmean(one[name] for one in part) for name in ("cpu", "in", "out")},
        }
        for part in parts
    ]


def sparks(ids: Iterable[UUID], minutes: int = 30) -> dict[str, list[float]]:
    """vCPUs in use of each, minute by minute, for the small curves of a list. One query."""
    since = timezone.now() - timedelta(minutes=minutes + 1)
    rows = UsagePoint.objects.filter(environment__in=list(ids), at__gte=since).order_by("at")
    by_environment: dict[UUID, list[UsagePoint]] = {}
    for row in rows:
        by_environment.setdefault(row.environment_id, []).append(row)
    return {
        str(pk): [_between(before, row)["cpu"] for before, row in pairwise(points)]
        for pk, points in by_environment.items()
    }


def _between(before: UsagePoint, row: UsagePoint) -> dict[str, Any]:
    seconds = (row.at - before.at).total_seconds()

    def rate(field: str) -> float:
        now, then = getattr(row, field), getattr(before, field)
        return float((now - then if now >= then else now) / seconds)

    return {
        "at": round(row.at.timestamp()),
        "cpu": round(rate("cpu_ns") / 1e9, 4),
        "memory": row.memory_bytes,
        "disk": row.disk_bytes,
        "in": round(rate("network_in_bytes") * 8),
        "out": round(rate("network_out_bytes") * 8),
    }
