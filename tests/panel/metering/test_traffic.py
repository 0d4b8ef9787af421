"""Monthly traffic: counted over restarts of counters, acted on once, undone in a new month or by more."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from panel.environments import services as environments
from panel.environments.models import Environment
from panel.environments.specs import spec_of
from panel.errors import Refused
from panel.metering.intake import observe_usage
from panel.metering.models import TrafficMonth
from panel.metering.services import undo_past
from panel.offers.rolling import roll
from panel.operations.models import Operation
from panel.plans.services import create_plan, update_plan
from panel.tenants.models import Tenant
from runtime.contract import DesiredState, InterfaceUse, Usage, UsageReport
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
GB = 10**9


def environment(zone: str = "UTC", **allowances: Any) -> Environment:
    factories.node()
    create_plan(factories.administrator(), name="Metered", limits=factories.LIMITS, allowances=allowances)
    tenant = factories.tenant()
    Tenant.objects.filter(pk=tenant.pk).update(time_zone=zone)
    return factories.environment(Tenant.objects.get(pk=tenant.pk), plan="metered", limits=None)


def seen(row: Environment, come: int, gone: int = 0, *, at: datetime = START, link: int = 7) -> None:
    """The node reports these counters."""
    usage = Usage(environment_id=row.pk, interfaces=(InterfaceUse(link=link, in_bytes=come, out_bytes=gone),))
    observe_usage(UsageReport(node=row.node.name, at=at, usages=(usage,)))
    row.refresh_from_db()


def later(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def month(row: Environment) -> tuple[int, int]:
    found = TrafficMonth.objects.get(environment=row)
    return found.in_bytes, found.out_bytes


def test_counters_that_begin_anew_lose_nothing() -> None:
    row = environment()
    seen(row, 100, 10)
    seen(row, 150, 30, at=later(1))
    seen(row, 40, 5, at=later(2))  # lower: counted from zero
    seen(row, 60, 9, at=later(3), link=8)  # higher, but another link: counted from zero as well
    assert month(row) == (150 + 40 + 60, 30 + 5 + 9)


def test_a_report_that_comes_late_or_twice_counts_once() -> None:
    row = environment()
    seen(row, 100, at=later(1))
    seen(row, 100, at=later(1))
    seen(row, 50, at=later(0))
    assert month(row) == (100, 0)


def test_a_month_begins_at_midnight_of_the_tenant() -> None:
    row = environment(zone="Asia/Jakarta")
    seen(row, 100, at=datetime(2026, 3, 31, 16, 59, tzinfo=UTC))
    seen(row, 130, at=datetime(2026, 3, 31, 17, 0, tzinfo=UTC))
    months = {m.month: m.in_bytes for m in TrafficMonth.objects.filter(environment=row)}
    assert months == {date(2026, 3, 1): 100, date(2026, 4, 1): 30}


def test_used_up_traffic_slows_down_both_ways_and_the_next_month_undoes_it() -> None:
    row = environment(traffic_gb=1, traffic_slow_bit_s=64_000)
    seen(row, GB // 2, GB // 2 - 1)
    assert row.traffic_state == ""
    generation = row.generation
    seen(row, GB // 2, GB // 2, at=later(1))
    assert (row.traffic_state, row.generation) == ("slow", generation + 1)
    limits = spec_of(row).limits
    assert (limits.network_in_bit_s, limits.network_out_bit_s) == (64_000, 64_000)
    assert Operation.objects.get(pk=row.operation_id).details == {"traffic": "slow"}
    seen(row, GB, GB, at=later(2))
    assert row.generation == generation + 1, "acted on once"
    assert undo_past(later(3)) == 0
    assert undo_past(datetime(2026, 4, 1, tzinfo=UTC)) == 1
    row.refresh_from_db()
    assert row.traffic_state == "" and spec_of(row).limits.network_in_bit_s is None


def test_used_up_traffic_suspends_and_says_why_it_does_not_start(client: Client) -> None:
    row = environment(traffic_gb=1, traffic_action="suspend")
    now = datetime.now(UTC)
    seen(row, GB, at=now)
    assert row.traffic_state == "suspend"
    assert spec_of(row).desired is DesiredState.STOPPED
    factories.reported(row)
    row.refresh_from_db()
    assert row.state == "suspended"
    with pytest.raises(Refused, match=r"Its traffic of 1 GB for this month is used up") as refused:
        environments.start(factories.administrator(), row.pk)
    assert refused.value.status == 403
    headers = factories.bearer(factories.member(row.tenant), row.tenant, role="viewer")
    shown = client.get(f"/api/v1/environments/{row.pk}", headers=headers).json()
    assert shown["state"] == "suspended"
    traffic = shown["traffic"]
    assert (traffic["in_bytes"], traffic["limit_bytes"], traffic["state"]) == (GB, GB, "suspend")


def test_a_larger_plan_undoes_it_at_once() -> None:
    row = environment(traffic_gb=1)
    seen(row, GB, at=datetime.now(UTC))
    assert row.traffic_state == "slow"
    plan = row.plan_version
    assert plan is not None
    update_plan(factories.administrator(), plan.plan_id, {"allowances": {"traffic_gb": 2}})
    assert roll() == 1
    row.refresh_from_db()
    assert row.traffic_state == ""
