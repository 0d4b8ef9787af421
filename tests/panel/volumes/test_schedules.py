"""Schedules of volumes' snapshots: by the same rules as those of environments, on their page and in the API."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from panel.environments.consistency import examine
from panel.errors import Forbidden, Invalid, NotFound
from panel.jobs.models import Job
from panel.operations.models import Operation, OperationKind
from panel.rights.actor import Actor
from panel.storage.models import Of, Schedule
from panel.storage.schedules import delete_schedule, run_due, set_schedule
from panel.volumes.models import Volume, VolumeSnapshot
from panel.volumes.services import create_volume, delete_volume
from runtime.contract import JobOutcome, SnapshotVolume
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

DONE, FAILED = JobOutcome.SUCCEEDED, JobOutcome.FAILED


@pytest.fixture
def actor() -> Actor:
    return factories.administrator()


@pytest.fixture
def volume(actor: Actor) -> Volume:
    factories.node()
    tenant = factories.tenant(quota={"disk_mb": 10_000, "snapshots": 3})
    made, operation = create_volume(actor, tenant, name="data", size_mb=100)
    factories.job_reported(operation, DONE)
    made.refresh_from_db()
    return made


def _run() -> int:
    """As if all of them had been missed for days."""
    Schedule.objects.update(next_at=timezone.now() - timedelta(days=3))
    return run_due()


def _open(kind: OperationKind) -> Operation:
    return Operation.objects.get(kind=kind, finished_at=None)


def test_what_is_due_is_taken_once_and_what_is_kept_for_nothing_goes(actor: Actor, volume: Volume) -> None:
    set_schedule(actor, volume.pk, of=Of.VOLUME, cron="0 * * * *", keep={"last": 2})
    assert run_due() == 0
    for count in (1, 2, 3):
        assert _run() == 1
        operation = _open(OperationKind.SNAPSHOT_VOLUME)
        work = Job.objects.get(pk=operation.pk).asked.work
        assert isinstance(work, SnapshotVolume)
        assert work.volume_id == volume.pk
        assert _run() == 0  # never two at a time
        factories.job_reported(operation, DONE)
        assert VolumeSnapshot.objects.filter(volume=volume).count() == count
    gone = _open(OperationKind.DELETE_SNAPSHOT)
    factories.job_reported(gone, DONE)
    left = VolumeSnapshot.objects.filter(volume=volume)
    assert [(one.reason, one.is_going) for one in left] == [("schedule", False)] * 2
    assert examine() == []


def test_what_could_not_be_taken_is_told_and_tried_again(actor: Actor, volume: Volume) -> None:
    set_schedule(actor, volume.pk, of=Of.VOLUME, cron="0 3 * * *", keep={"last": 50})
    assert _run() == 1
    factories.job_reported(_open(OperationKind.SNAPSHOT_VOLUME), FAILED, message="the disk is away")
    assert Schedule.objects.get().problem == "the disk is away"
    for _ in range(3):
        _run()
        factories.job_reported(_open(OperationKind.SNAPSHOT_VOLUME), DONE)
    assert Schedule.objects.get().problem == ""
    assert _run() == 0
    schedule = Schedule.objects.get()
    assert "snapshots" in schedule.problem
    assert schedule.next_at > timezone.now()


def test_work_on_the_volume_is_waited_for_and_its_end_ends_the_schedule(actor: Actor, volume: Volume) -> None:
    set_schedule(actor, volume.pk, of=Of.VOLUME, cron="0 3 * * *")
    operation = delete_volume(actor, volume.pk)
    assert _run() == 0
    assert Schedule.objects.get().last_at is None
    factories.job_reported(operation, DONE)
    assert not Schedule.objects.exists()


def test_who_may_not_manage_the_volume_sets_and_deletes_none(actor: Actor, volume: Volume) -> None:
    stranger = factories.member(factories.tenant(), "owner")
    viewer = factories.member(volume.tenant, "viewer")
    set_schedule(actor, volume.pk, of=Of.VOLUME, cron="0 3 * * *")
    for who, refusal in ((stranger, NotFound), (viewer, Forbidden)):
        with pytest.raises(refusal):
            set_schedule(who, volume.pk, of=Of.VOLUME, cron="0 4 * * *")
        with pytest.raises(refusal):
            delete_schedule(who, volume.pk, of=Of.VOLUME)
    with pytest.raises(Invalid):
        set_schedule(actor, volume.pk, of=Of.VOLUME, cron="0 3 * * *", target="nightly")
    with pytest.raises(Invalid):
        set_schedule(actor, volume.pk, of=Of.VOLUME, cron="0 3 * * *", takes="pictures")
    assert Schedule.objects.get().cron == "0 3 * * *"


def test_the_api_sets_changes_and_deletes_it(volume: Volume, client: Client, actor: Actor) -> None:
    headers = factories.bearer(actor, None, "*")
    url = "/api/v1/schedules"

    def send(method: str, to: str, **body: object) -> tuple[int, dict[str, object]]:
        text = json.dumps(body)
        answer = client.generic(method, to, text, content_type="application/json", headers=headers)
        return answer.status_code, answer.json() if answer.content else {}

    assert send("POST", url, cron="0 3 * * *")[0] == 422
    assert send("POST", url, cron="0 3 * * *", volume=str(volume.pk), environment=str(volume.pk))[0] == 422
    assert send("POST", url, cron="0 3 * * *", environment=str(volume.pk))[0] == 404
    status, made = send("POST", url, cron="0 3 * * *", volume=str(volume.pk), keep={"daily": 3})
    assert (status, made["volume"], made["environment"]) == (201, str(volume.pk), None)
    one = f"{url}/{made['id']}"
    status, changed = send("PATCH", one, is_on=False)
    assert (status, changed["is_on"], changed["keep"]) == (200, False, made["keep"])
    assert send("DELETE", one)[0] == 204
    assert not Schedule.objects.exists()


def test_its_page_sets_and_deletes_it(volume: Volume, client: Client, actor: Actor) -> None:
    client.force_login(actor.user)
    at = f"/volumes/{volume.pk}/"
    client.post(f"{at}schedule", {"when": "", "cron": "61 * * * *"})
    assert not Schedule.objects.exists()
    answer = client.post(f"{at}schedule", {"when": "0 3 * * *", "daily": "7", "is_on": "on"})
    assert (answer.status_code, answer["Location"]) == (302, at)
    assert Schedule.objects.get().volume == volume
    assert "By the clock of" in client.get(at).content.decode()
    client.post(f"{at}schedule/delete")
    assert not Schedule.objects.exists()
