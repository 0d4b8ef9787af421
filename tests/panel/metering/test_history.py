"""What the graphs show is what the counters counted."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.test import Client
from django.utils import timezone

from panel.environments.models import Environment, EnvironmentUsage
from panel.metering.history import forget_past, history, in_lines, keep_points
from panel.metering.models import UsagePoint
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def _environment() -> Environment:
    factories.node()
    return factories.environment(factories.tenant())


def _usage(environment: Environment, minutes_ago: float, **counters: int) -> EnvironmentUsage:
    at = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes_ago)
    return EnvironmentUsage(environment=environment, at=at, **counters)


def _keep(*rows: EnvironmentUsage) -> None:
    before: dict[UUID, EnvironmentUsage] = {}
    for row in rows:
        keep_points([row], before)
        before[row.pk] = row


def test_rates_are_averages_between_minutes_also_over_a_restart() -> None:
    environment = _environment()
    _keep(
        _usage(environment, 3, cpu_ns=0, network_in_bytes=0),
        _usage(environment, 2, cpu_ns=30 * 10**9, network_in_bytes=750),
        _usage(environment, 1, cpu_ns=6 * 10**9, network_in_bytes=1500, memory_bytes=7),
    )
    points = history(environment, 1)
    assert [point["cpu"] for point in points] == [0.5, 0.1]
    assert [point["in"] for point in points] == [100, 100]
    assert points[-1]["memory"] == 7


def test_one_point_a_minute_and_a_day_of_them() -> None:
    environment = _environment()
    _keep(
        _usage(environment, 2), _usage(environment, 1.9), _usage(environment, 1), _usage(environment, 60 * 26)
    )
    assert UsagePoint.objects.count() == 3
    assert forget_past() == 1


def test_a_long_span_is_thinned_out() -> None:
    environment = _environment()
    UsagePoint.objects.bulk_create(
        UsagePoint(
            environment=environment, at=timezone.now() - timedelta(minutes=minute), cpu_ns=0, memory_bytes=0,
            disk_bytes=0, network_in_bytes=0, network_out_bytes=0,
        )
        for minute in range(1, 1400)
    )  # fmt: skip
    assert 300 <= len(history(environment, 24)) <= 360


def test_without_a_script_the_graphs_are_a_table(client: Client) -> None:
    environment = _environment()
    of = factories.administrator().user
    client.force_login(of, "allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(f"/environments/{environment.pk}/").content.decode()
    assert "Nothing was measured in this time." in page.partition("<noscript>")[2].partition("</noscript>")[0]
    _keep(*(_usage(environment, 41 - n, cpu_ns=n * 30 * 10**9, memory_bytes=n * 2**20) for n in range(40)))
    page = client.get(f"/environments/{environment.pk}/").content.decode()
    table = page.partition('aria-label="Time shown"')[2].partition("<noscript>")[2].partition("</noscript>")[0]
    assert table.count("<tr>") == 11, "its head, and four minutes a line"
    assert "<td>0.5</td>" in table
    assert "<td>39 MiB</td>" in table


def test_lines_are_averages_of_all_points() -> None:
    points = [{"at": n, "cpu": n, "memory": n, "disk": n, "in": 2 * n, "out": 0} for n in range(30)]
    lines = in_lines(points)
    assert len(lines) <= 12
    assert (lines[0]["cpu"], lines[0]["in"], lines[0]["memory"]) == (1, 2, 2)
    assert lines[-1]["memory"] == 29, "up to the last"
    assert in_lines([]) == []
