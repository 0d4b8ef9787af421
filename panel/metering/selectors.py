"""Reads of traffic."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

from django.utils import timezone

from panel.environments.answers import Traffic
from panel.environments.models import Environment
from panel.metering.counters import GIGABYTE, month_of, next_month
from panel.metering.models import TrafficMonth


def traffic_of(environment: Environment) -> Traffic:
    """This month's, as the API shows it. Costs a query, and one for the plan when it wasn't selected."""
    zone = environment.tenant.time_zone
    month = month_of(timezone.now(), zone)
    row = TrafficMonth.objects.filter(environment=environment, month=month).first()
    version = environment.plan_version
    allowances = version.parsed_allowances if version is not None else None
    limit = allowances.traffic_gb if allowances is not None else None
    ends = datetime.combine(next_month(month), time(), ZoneInfo(zone))
    return {
        "month": f"{month:%Y-%m}",
        "ends_at": ends.isoformat(),
        "in_bytes": row.in_bytes if row else 0,
        "out_bytes": row.out_bytes if row else 0,
        "limit_bytes": None if limit is None else round(limit * GIGABYTE),
        "action": str(allowances.traffic_action) if allowances is not None and limit is not None else None,
        "state": environment.traffic_state or None,
    }
