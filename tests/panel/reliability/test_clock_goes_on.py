"""The wall clock is set, and put right again or not: schedules, rollouts, stacks and names go on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from panel.clock import services as clock
from panel.clock.models import ClockNote
from panel.domains import owning
from panel.domains.models import Domain
from panel.environments.models import Environment
from panel.environments.tasks import release
from panel.stacks.ready import Failed, is_healthy
from panel.stages import rolling, services
from panel.stages.models import Phase, Rollout
from panel.storage.models import Schedule, Snapshot
from panel.storage.schedules import run_due, set_schedule
from runtime.contract import AppSeen, ObservedState
from runtime.contract import Kind as KindName
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
HOUR = 3600.0
YEAR = 365 * 24 * HOUR
STEPS = [sign * length for sign in (1, -1) for length in (30.0, HOUR, 24 * HOUR, YEAR)]
there_and_back = pytest.mark.parametrize("step", STEPS)
OLD, NEW = (f"docker.io/library/nginx@sha256:{digit * 64}" for digit in "12")


@contextmanager
def set_by(seconds: float) -> Iterator[None]:
    with time_machine.travel(time.time() + seconds, tick=True):
        yield


@there_and_back
def test_a_schedule_runs_at_its_next_time(step: float) -> None:
    schedule = _schedule()
    clock.follow()
    with set_by(step):
        release()
        assert _waits_for(schedule) <= timedelta(days=1, minutes=1)
        Snapshot.objects.update(made_at=timezone.now())
    release()
    # by the clock that was an hour ahead it had run: where its hour lay in between, the next is tomorrow's
    assert _waits_for(schedule) <= timedelta(days=1, hours=1, minutes=1)


def test_a_schedule_runs_after_a_start_with_a_clock_that_was_put_right() -> None:
    schedule = _schedule()
    Schedule.objects.update(next_at=timezone.now() + timedelta(days=365))
    ClockNote.objects.create(boot="another", offset_s=0)
    clock.follow()
    assert _waits_for(schedule) <= timedelta(days=1, minutes=1)


def test_a_clock_that_is_set_back_a_little_runs_no_schedule_twice() -> None:
    schedule = _schedule()
    clock.follow()
    ahead = Schedule.objects.get().next_at + timedelta(seconds=2) - timezone.now()
    with set_by(ahead.total_seconds()):
        clock.follow()
        assert run_due() == 1
        Snapshot.objects.update(made_at=timezone.now())
        next_at = Schedule.objects.get(pk=schedule.pk).next_at
    with set_by(ahead.total_seconds() - 30):
        clock.follow()
        assert Schedule.objects.get(pk=schedule.pk).next_at == next_at


def _schedule() -> Schedule:
    factories.node()
    row = factories.environment(factories.tenant(quota={"snapshots": 9}))
    factories.reported(row)
    return set_schedule(factories.administrator(), row.pk, cron="0 3 * * *")


def _waits_for(schedule: Schedule) -> timedelta:
    schedule.refresh_from_db()
    return schedule.next_at - timezone.now()


@there_and_back
def test_a_rollout_goes_on(step: float) -> None:
    """What its phase is counted from moves along, and a start that lies ahead holds nothing up."""
    row = _app()
    actor = factories.administrator()
    stage = services.add_stage(actor, row.tenant, line="shop", name="live", environments=[row], drain_s=5)
    rollout = services.deploy(actor, stage.pk, NEW)
    assert rolling.step(rollout.pk)
    Rollout.objects.filter(pk=rollout.pk).update(phase=Phase.SETTLE, generation=row.generation)
    began = timezone.now()
    Environment.objects.filter(pk=row.pk).update(image=NEW, started_at=began)
    clock.follow()
    with set_by(step):
        clock.follow()
        assert abs(timezone.now() - Rollout.objects.get(pk=rollout.pk).phase_at) < timedelta(seconds=5)
    with set_by(step + 45):  # as far ahead its node may be
        assert rolling.step(rollout.pk)
        assert Rollout.objects.get(pk=rollout.pk).problem == ""


def _app() -> Environment:
    factories.node(kinds=(KindName.SYSTEM, KindName.APP))
    row = factories.environment(factories.tenant(), kind="app", image=OLD)
    seen = AppSeen(image=OLD, digest=OLD.partition("@")[2])
    factories.reported(row, ObservedState.RUNNING, app=seen, started_at=timezone.now())
    row.refresh_from_db()
    return row


def test_who_waits_in_a_stack_for_one_without_a_check_is_told_so() -> None:
    row = _app()
    assert not is_healthy(row)
    with set_by(-24 * HOUR), pytest.raises(Failed):
        is_healthy(row)


@there_and_back
def test_a_name_that_waits_for_its_proof_is_looked_at_again(step: float, monkeypatch: Any) -> None:
    monkeypatch.setattr(owning, "ask", lambda _row: owning.Asked())
    tenant = factories.tenant()
    now = timezone.now()
    row = Domain.objects.create(tenant=tenant, name="example.org", looked_at=now)
    clock.follow()
    with set_by(step):
        clock.follow()
        assert owning.look_again() == 0
        row.refresh_from_db()
        assert row.looked_at is not None
        assert abs(timezone.now() - row.looked_at) < timedelta(seconds=20), "it isn't asked for sooner"
        assert row.problem == ""
    with set_by(step + 121):
        owning.look_again()
        row.refresh_from_db()
        assert row.problem
