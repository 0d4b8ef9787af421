"""Counting traffic, and acting on a plan's monthly amount: a changed spec, undone when there is more again."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from panel.audit.services import record
from panel.environments.models import Environment
from panel.environments.services import advance
from panel.metering.counters import GIGABYTE, month_of
from panel.metering.models import TrafficMonth
from panel.operations.models import OperationKind
from panel.plans.terms import TrafficAction
from runtime.contract import DesiredState

#: Bytes (towards it, from it) by environment.
Traffic = Mapping[UUID, tuple[int, int]]
_MOST_PER_STATEMENT = 200


def count(traffic: Traffic, months: Mapping[UUID, date]) -> None:
    """Add to the month of each. One statement adds, so that two reports at once lose nothing."""
    moved = [(pk, *both) for pk, both in traffic.items() if any(both)]
    table = connection.ops.quote_name(TrafficMonth._meta.db_table)
    field = TrafficMonth._meta.get_field("environment")
    for start in range(0, len(moved), _MOST_PER_STATEMENT):
        part = moved[start : start + _MOST_PER_STATEMENT]
        places = ", ".join(["(%s, %s, %s, %s)"] * len(part))
        values = [
            value
            for pk, come, gone in part
            for value in (
                field.get_db_prep_value(pk, connection),
                connection.ops.adapt_datefield_value(months[pk]),
                come,
                gone,
            )
        ]
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} (environment_id, month, in_bytes, out_bytes) VALUES {places} "  # noqa: S608 - our own name
                f"ON CONFLICT (environment_id, month) DO UPDATE SET in_bytes = {table}.in_bytes + "
                f"excluded.in_bytes, out_bytes = {table}.out_bytes + excluded.out_bytes",
                values,
            )


def wanted_state(environment: Environment, at: datetime | None = None) -> str:
    """`slow` or `suspend` when this month's traffic of its plan is used up, else empty."""
    version = environment.plan_version
    allowances = version.parsed_allowances if version is not None else None
    if allowances is None or allowances.traffic_gb is None:
        return ""
    month = month_of(at or timezone.now(), environment.tenant.time_zone)
    row = TrafficMonth.objects.filter(environment=environment, month=month).first()
    used = row.total_bytes if row is not None else 0
    return str(allowances.traffic_action) if used >= allowances.traffic_gb * GIGABYTE else ""


def enforce(ids: Iterable[UUID], at: datetime | None = None) -> int:
    """Make each what its month's traffic asks for; how many were changed. A no-op for all others."""
    changed = 0
    for pk in ids:
        with transaction.atomic():
            row = (
                Environment.objects.living()
                .exclude(desired_state=DesiredState.DELETED)
                .select_related("tenant", "node", "plan_version__plan")
                .select_for_update(of=("self",))
                .filter(pk=pk)
                .first()
            )
            if row is None or (wanted := wanted_state(row, at)) == row.traffic_state:
                continue
            before, row.traffic_state = row.traffic_state, wanted
            kind = OperationKind.SUSPEND if wanted == TrafficAction.SUSPEND else OperationKind.UPDATE
            operation = advance(None, row, kind, details={"traffic": wanted or "resumed"})
            record(
                None,
                "environment.traffic",
                tenant_id=row.tenant_id,
                target=row,
                before={"traffic": before},
                after={"traffic": wanted},
                operation_id=operation.pk,
            )
            changed += 1
    return changed


def undo_past(at: datetime | None = None) -> int:
    """Those that were slowed or suspended, and have traffic again: a new month, a larger plan."""
    held = Environment.objects.living().exclude(traffic_state="").values_list("pk", flat=True)
    return enforce(list(held), at)
