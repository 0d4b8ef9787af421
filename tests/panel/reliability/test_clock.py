"""The wall clock is set back or forward, by an hour, a day, a year: nothing stands still or is cut short."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from panel.backups.models import Backup
from panel.backups.targets import add_target
from panel.clock import services as clock
from panel.clock.models import ClockNote
from panel.clock.steady import Moment, age_of
from panel.config.beat import SteadyScheduler
from panel.config.celery import app
from panel.config.tasks import housekeeping
from panel.domains import services as domains
from panel.domains.models import FormerDomain
from panel.environments.models import Environment
from panel.environments.tasks import end_overdue, release, resend_behind, resync
from panel.metering import tasks as metering
from panel.metering.models import UsagePoint
from panel.networks.models import Address
from panel.nodes.models import Node
from panel.operations.models import Operation, OperationState
from panel.storage.models import Snapshot
from panel.tenancy import lifecycle
from panel.tenancy.tasks import delete_tenants
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
HOUR = 3600.0
STEPS = [sign * length for sign in (1, -1) for length in (30.0, HOUR, 24 * HOUR, 365 * 24 * HOUR)]
there_and_back = pytest.mark.parametrize("step", STEPS)


@contextmanager
def set_by(seconds: float) -> Iterator[None]:
    """The wall clock, not the one since boot."""
    with time_machine.travel(time.time() + seconds, tick=True):
        yield


@there_and_back
def test_an_open_operation_keeps_its_time(step: float) -> None:
    row = _environment()
    clock.follow()
    with set_by(step):
        Node.objects.update(last_seen_at=timezone.now())
        resync()
        operation = Operation.objects.get(environment=row)
        assert operation.is_open
        left = operation.deadline - timezone.now()
        assert timedelta(0) < left <= operation.deadline - operation.created_at + timedelta(seconds=abs(step))
    with set_by(step + left.total_seconds() + 5):
        end_overdue()
        assert not Operation.objects.get(environment=row).is_open


def _environment() -> Environment:
    """One that its node is behind with, and whose operation is open."""
    factories.node()
    row = factories.environment(factories.tenant(), is_running=False)
    Environment.objects.filter(pk=row.pk).update(sent_at=timezone.now(), send_attempts=1)
    return row


@there_and_back
def test_a_lost_message_is_sent_again(step: float) -> None:
    _environment()
    clock.follow()
    with set_by(step):
        clock.follow()
        Node.objects.update(last_seen_at=timezone.now())
        assert resend_behind() == 0
    with set_by(step + 6):
        Node.objects.update(last_seen_at=timezone.now())
        assert resend_behind() == 1


@there_and_back
def test_a_tenant_that_waits_for_its_end_waits_as_long(step: float) -> None:
    tenant = factories.tenant()
    clock.follow()
    lifecycle.schedule_deletion(factories.administrator(), tenant.pk, wait_s=7 * 86_400)
    with set_by(step):
        delete_tenants()
        tenant.refresh_from_db()
        assert tenant.delete_at is not None
        assert abs((tenant.delete_at - timezone.now()).total_seconds() - 7 * 86_400) < 60
    with set_by(step + 7 * 86_400 + 60):
        lifecycle.delete_due()
        assert not Tenant.objects.filter(pk=tenant.pk).exists()


@pytest.fixture
def shared_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panel.backups.locked.key_of", lambda _: b"shared with the node")


@there_and_back
@pytest.mark.usefixtures("shared_key")
def test_nothing_is_deleted_for_a_step_of_the_clock(step: float) -> None:
    """What is kept for a time is kept for as long, by each sweep; and goes when its time has passed."""
    _kept_things()
    clock.follow()
    with set_by(step):
        _sweep()
        assert _what_is_left() == ALL
    _sweep()
    assert _what_is_left() == ALL


@pytest.mark.usefixtures("shared_key")
def test_what_is_kept_for_a_time_goes_after_a_step_as_well() -> None:
    _kept_things()
    clock.follow()
    year = 365 * 24 * HOUR
    with set_by(year):
        _sweep()
    later = time.clock_gettime(time.CLOCK_BOOTTIME) + 366 * 24 * HOUR
    with set_by(year + 366 * 24 * HOUR), patch("time.clock_gettime", return_value=later):
        _sweep()
        assert _what_is_left() == {"backups": 0, "snapshots": 0, "operations": 0, "points": 0, "names": 0}


@pytest.mark.usefixtures("shared_key")
@pytest.mark.parametrize("back", [True, False])
def test_nothing_is_deleted_for_a_step_that_nobody_saw(back: bool) -> None:
    """As after a start with a clock that is a year ahead, whether it is put right afterwards or not."""
    _kept_things()
    clock.follow()
    until = Backup.objects.get().kept_until
    assert until is not None
    ClockNote.objects.update(boot="another")
    with set_by(365 * 24 * HOUR):
        _sweep()
        assert _what_is_left() == ALL
        if not back:
            resync()
            assert _what_is_left() == ALL
    if back:
        _sweep()
        assert _what_is_left() == ALL
        moved = Backup.objects.get().kept_until
        assert moved is not None
        assert abs((moved - until).total_seconds()) < 60


ALL = {"backups": 1, "snapshots": 1, "operations": 1, "points": 1, "names": 1}


def _kept_things() -> None:
    """One of each that is kept for a time, and of which that isn't over."""
    row = _environment()
    now = timezone.now()
    common = {"tenant": row.tenant, "made_at": now}
    target = add_target(factories.administrator(), row.tenant, name="nightly")[0]
    Backup.objects.create(
        **common,
        target=target,
        environment=row,
        of=row.pk,
        of_name=row.name,
        name="one",
        document={"image": "busybox", "kind": "system"},
        snapshot="0123456789abcdef",
        kept_until=now + timedelta(days=7),
    )
    Snapshot.objects.create(
        **common,
        environment=row,
        name="one",
        image="busybox",
        generation=row.generation,
        expires_at=now + timedelta(days=7),
    )
    Operation.objects.update(state=OperationState.SUCCEEDED, finished_at=now)
    UsagePoint.objects.create(
        environment=row,
        at=now - timedelta(hours=1),
        cpu_ns=0,
        memory_bytes=0,
        disk_bytes=0,
        network_in_bytes=0,
        network_out_bytes=0,
    )
    FormerDomain.objects.create(tenant_id=row.tenant_id, name="example.org", ended_at=now)


def _sweep() -> None:
    release()
    metering.usage_history()
    housekeeping()
    domains.forget_former()


def _what_is_left() -> dict[str, int]:
    return {
        "backups": Backup.objects.filter(is_going=False).count(),
        "snapshots": Snapshot.objects.wanted().count(),
        "operations": Operation.objects.filter(state=OperationState.SUCCEEDED).count(),
        "points": UsagePoint.objects.count(),
        "names": FormerDomain.objects.count(),
    }


def test_of_two_who_see_the_step_one_follows_it() -> None:
    row = _environment()
    clock.follow()
    deadline = Operation.objects.get(environment=row).deadline
    with set_by(HOUR):
        assert clock.follow() == pytest.approx(HOUR, abs=5)
        assert clock.follow() == 0
    moved = Operation.objects.get(environment=row).deadline - deadline
    assert abs(moved.total_seconds() - HOUR) < 5


def test_what_nobody_saw_is_mended_too() -> None:
    """As after a start with a clock that was lost: another boot, and stamps of a year ahead."""
    row = _environment()
    ahead = timezone.now() + timedelta(days=365)
    ClockNote.objects.all().delete()
    ClockNote.objects.create(boot="another", offset_s=0)
    Environment.objects.filter(pk=row.pk).update(sent_at=ahead, heard_at=ahead, send_attempts=1)
    Node.objects.update(last_seen_at=ahead)
    Address.objects.update(environment=None, released_at=ahead)
    Operation.objects.update(created_at=ahead, deadline=ahead + timedelta(minutes=10))
    clock.follow()
    now = timezone.now()
    assert not Address.objects.filter(released_at__gt=now).exists()
    assert Node.objects.get().is_online()
    assert Operation.objects.get().deadline < now + timedelta(minutes=11)
    assert [note.boot for note in ClockNote.objects.all()] == [Moment.now().boot]


@there_and_back
def test_readiness_and_the_banner_know_how_old_the_beat_is(step: float) -> None:
    resync()
    with set_by(step):
        assert Client().get("/readyz").status_code == 200
        with patch("time.clock_gettime", return_value=time.clock_gettime(time.CLOCK_BOOTTIME) + 61):
            answer = Client().get("/readyz")
        assert answer.status_code == 503
        assert "beat" in answer.json()["problems"][0]


def test_a_note_of_another_machine_is_as_old_as_it_is_far() -> None:
    now = time.time()
    assert age_of(["other", 5.0, now + HOUR]) == pytest.approx(HOUR, abs=5)
    assert age_of(["other", 5.0, now - HOUR]) == pytest.approx(HOUR, abs=5)
    assert age_of(now) is None
    assert age_of(None) is None


class _Sent(SteadyScheduler):
    """Notes what would be sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        super().__init__(app=app)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        self.sent.append(entry.name)

    producer = None


@there_and_back
def test_the_beat_goes_on(step: float) -> None:
    beat = _Sent()
    while not beat.tick():
        continue
    assert sorted(beat.sent) == sorted(app.conf.beat_schedule)
    beat.sent.clear()
    with set_by(step):
        assert 0 < beat.tick() <= 2
        assert beat.sent == []
        later = SteadyScheduler.now() + 2.1
        with patch.object(SteadyScheduler, "now", return_value=later):
            while not beat.tick():
                continue
    often = [name for name, one in app.conf.beat_schedule.items() if one["schedule"] == 2.0]
    assert sorted(beat.sent) == sorted(often)


def test_a_beat_that_could_not_send_tries_again() -> None:
    beat = _Sent()
    began = SteadyScheduler.now()
    for second in range(0, 8, 2):
        with patch.object(SteadyScheduler, "now", return_value=began + second):
            while not beat.tick():
                continue
    assert beat.sent.count("resync") == 4


@there_and_back
def test_a_session_ends_in_time(step: float) -> None:
    client = Client()
    client.force_login(factories.person(), "allauth.account.auth_backends.AuthenticationBackend")
    session = client.session
    session["born"] = session["seen"] = int(time.time())
    session.save()
    with set_by(step):
        client.get("/environments/")
    with set_by(step + 12 * HOUR + 120):
        assert client.get("/environments/").status_code == 302
