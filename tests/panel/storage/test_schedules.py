"""Schedules: by the tenant's clock, made up for once, never two at a time, and only what is kept stays."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from panel.environments.consistency import examine
from panel.environments.models import Environment
from panel.errors import Invalid
from panel.rights.actor import Actor
from panel.storage import schedules
from panel.storage.models import Schedule, Snapshot
from panel.storage.schedules import next_run, run_due, set_schedule
from panel.tenancy.services import update_tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

_BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def actor() -> Actor:
    return factories.administrator()


@pytest.fixture
def row() -> Environment:
    factories.node()
    made = factories.environment(factories.tenant(quota={"snapshots": 3}))
    factories.reported(made)
    made.refresh_from_db()
    return made


def _due(row: Environment) -> None:
    Schedule.objects.filter(environment=row).update(next_at=timezone.now() - timedelta(days=3))


@pytest.mark.parametrize(
    ("after", "runs"),
    [
        (datetime(2026, 3, 28, 12, tzinfo=UTC), "2026-03-29T03:00:00+02:00"),  # 02:30 is skipped: right after
        (datetime(2026, 10, 24, 12, tzinfo=UTC), "2026-10-25T02:30:00+02:00"),  # 02:30 comes twice: once
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "2026-10-26T02:30:00+01:00"),
    ],
)
def test_a_clock_change_skips_and_doubles_nothing(after: datetime, runs: str) -> None:
    assert next_run("30 2 * * *", "Europe/Berlin", after).astimezone(_BERLIN).isoformat() == runs


@pytest.mark.parametrize(
    "cron", ["", "x", "* * * *", "0 3 * * * *", "61 * * * *", "0 0 31 2 *", "@daily", "*/5 * * * *"]
)
def test_what_is_no_schedule_is_refused_and_nothing_is_kept(actor: Actor, row: Environment, cron: str) -> None:
    with pytest.raises(Invalid) as refused:
        set_schedule(actor, row.pk, cron=cron)
    assert refused.value.field == "cron"
    assert not Schedule.objects.exists()


def test_what_was_missed_is_made_up_for_once_and_never_two_at_a_time(actor: Actor, row: Environment) -> None:
    set_schedule(actor, row.pk, cron="0 * * * *", keep={"hourly": 2})
    assert run_due() == 0
    _due(row)
    assert run_due() == 1
    assert run_due() == 0
    _due(row)
    assert run_due() == 0, "the one before waits for the node still"
    factories.reported(row)
    assert run_due() == 1
    assert Snapshot.objects.count() == 2
    assert Schedule.objects.get().next_at > timezone.now()


def test_only_what_is_kept_stays(actor: Actor, row: Environment) -> None:
    set_schedule(actor, row.pk, cron="0 3 * * *", keep={"last": 2})
    for _ in range(5):
        _due(row)
        assert run_due() == 1
        factories.reported(row)
    assert Snapshot.objects.count() == 2
    assert examine() == []


def test_a_full_quota_is_told_and_the_next_time_is_tried_again(actor: Actor, row: Environment) -> None:
    set_schedule(actor, row.pk, cron="0 3 * * *", keep={"last": 50})
    for _ in range(4):
        _due(row)
        run_due()
        factories.reported(row)
    schedule = Schedule.objects.get()
    assert Snapshot.objects.count() == 3
    assert "snapshots" in schedule.problem
    assert schedule.next_at > timezone.now()


def test_another_zone_of_the_tenant_is_another_time(actor: Actor, row: Environment) -> None:
    before = set_schedule(actor, row.pk, cron="0 3 * * *").next_at
    update_tenant(actor, row.tenant_id, time_zone="Asia/Jakarta")
    assert Schedule.objects.get().next_at.astimezone(ZoneInfo("Asia/Jakarta")).hour == 3
    assert Schedule.objects.get().next_at != before


def test_the_api_sets_changes_and_deletes_it(row: Environment, client: Client, actor: Actor) -> None:
    headers = factories.bearer(actor, None, "*")
    body = {"environment": str(row.pk), "cron": "0  3 * * *"}
    made = client.post("/api/v1/schedules", json.dumps(body), content_type="application/json", headers=headers)
    assert made.status_code == 201, made.content
    assert made.json()["keep"] == {"last": 0, "hourly": 0, "daily": 7, "weekly": 4, "monthly": 0}
    url = f"/api/v1/schedules/{made.json()['id']}"
    changed = client.patch(url, json.dumps({"is_on": False}), content_type="application/json", headers=headers)
    assert changed.json()["next_at"] is None
    assert changed.json()["cron"] == "0 3 * * *"
    bad = client.patch(
        url, json.dumps({"keep": {"daily": 9999}}), content_type="application/json", headers=headers
    )
    assert bad.status_code == 422
    assert client.get("/api/v1/schedules", headers=headers).json()["count"] == 1
    assert client.delete(url, headers=headers).status_code == 204
    assert client.get(url, headers=headers).status_code == 404


def test_thousands_of_one_tenant_hold_up_no_other(
    row: Environment, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "_MOST_AT_ONCE", 2)
    many = [row, *(factories.environment(row.tenant) for _ in range(3))]
    other = factories.environment(factories.tenant())
    for one in (*many, other):
        factories.reported(one)
        set_schedule(actor, one.pk, cron="0 3 * * *")
        _due(one)
    Schedule.objects.filter(environment=other).update(next_at=timezone.now() - timedelta(minutes=1))
    assert run_due() == 2
    assert Snapshot.objects.filter(environment=other).exists()


def test_one_that_always_fails_keeps_no_place(
    row: Environment, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = factories.environment(factories.tenant())
    factories.reported(other)
    for one in (row, other):
        set_schedule(actor, one.pk, cron="0 3 * * *")
        _due(one)
    Schedule.objects.filter(environment=other).update(next_at=timezone.now() - timedelta(minutes=1))
    take = schedules._take

    def broken(schedule: Schedule, environment: Environment) -> None:
        if environment.pk == row.pk:
            raise RuntimeError("broken")
        take(schedule, environment)

    monkeypatch.setattr(schedules, "_take", broken)
    monkeypatch.setattr(schedules, "_MOST_AT_ONCE", 1)
    assert [run_due(), run_due()] == [0, 1]


def test_those_that_wait_for_a_node_and_those_that_fail_hold_up_no_other(
    row: Environment, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row, *(factories.environment(factories.tenant()) for _ in range(2))]
    for one in rows:
        set_schedule(actor, one.pk, cron="0 3 * * *")
        _due(one)
    monkeypatch.setattr(schedules, "_MOST_AT_ONCE", 1)
    for taken in (1, 2, 3):
        assert run_due() == 1, "the one before waits for its node"
        assert Snapshot.objects.count() == taken
    monkeypatch.setattr(schedules, "_MOST_AT_ONCE", 100)
    for one in rows:
        factories.reported(one)
        _due(one)
    take = schedules._take

    def broken(schedule: Schedule, environment: Environment) -> None:
        if environment.pk == row.pk:
            raise RuntimeError("broken")
        take(schedule, environment)

    monkeypatch.setattr(schedules, "_take", broken)
    assert run_due() == 2
