"""Backups of volumes in the panel: what counts, what the node is asked, what a refusal leaves, who may."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from panel.backups import of_volumes, services
from panel.backups.models import Backup, Target
from panel.backups.scheduled import failed
from panel.backups.targets import add_target
from panel.environments.consistency import examine
from panel.environments.models import Environment
from panel.errors import Conflict, Forbidden, Invalid, NotFound, QuotaExceeded
from panel.jobs.models import Job
from panel.operations.control import retry
from panel.operations.models import Operation, OperationKind, SubjectType
from panel.quotas.models import Quota, Resource
from panel.rights.actor import Actor
from panel.storage.models import Schedule
from panel.storage.schedules import run_due, set_schedule
from panel.volumes.attaching import attach
from panel.volumes.models import Volume, VolumeSnapshot, VolumeState
from panel.volumes.services import create_volume, delete_volume
from runtime.contract import BackUp, BackupMade, ForgetBackup, JobOutcome, KeepVolume, RestoreVolume
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

DONE, FAILED = JobOutcome.SUCCEEDED, JobOutcome.FAILED
MADE = BackupMade(snapshot="ab" * 32, repository_id="cd" * 32, bytes=5 * 2**20, added_bytes=2**20, files=3)


@pytest.fixture
def actor() -> Actor:
    return factories.administrator()


@pytest.fixture
def row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    node = factories.node()
    place = tmp_path / "etc" / "nodes"
    place.mkdir(parents=True)
    (place / f"{node.name}.key").write_bytes(b"shared with the node")
    monkeypatch.setattr(settings, "WADAH", settings.WADAH.model_copy(update={"home": tmp_path}))
    return factories.environment(factories.tenant(quota={"disk_mb": 10_000, "backups": 2, "snapshots": 5}))


@pytest.fixture
def volume(actor: Actor, row: Environment) -> Volume:
    made, operation = create_volume(actor, row.tenant, name="data", size_mb=100)
    factories.job_reported(operation, DONE)
    made.refresh_from_db()
    return made


@pytest.fixture
def target(actor: Actor, row: Environment) -> Target:
    return add_target(actor, row.tenant, name="nightly")[0]


def _counted(volume: Volume) -> int:
    return Quota.objects.get(tenant=volume.tenant, resource=Resource.BACKUPS).reserved


def _work(operation: Operation) -> Any:
    return Job.objects.get(pk=operation.pk).asked.work


def _made(actor: Actor, volume: Volume, target: Target) -> Backup:
    made, operation = of_volumes.back_up(actor, volume.pk, target.pk)
    factories.job_reported(operation, DONE, backup=MADE)
    made.refresh_from_db()
    return made


def test_one_counts_from_the_asking_until_it_is_gone(actor: Actor, volume: Volume, target: Target) -> None:
    made, operation = of_volumes.back_up(actor, volume.pk, target.pk, name="first")
    work = _work(operation)
    assert isinstance(work, BackUp)
    assert (work.volume_id, work.environment_id, work.backup) == (volume.pk, None, made.pk)
    assert (operation.subject_type, operation.subject_id) == (SubjectType.VOLUME, str(volume.pk))
    assert _counted(volume) == 1
    with pytest.raises(Conflict) as busy:
        of_volumes.back_up(actor, volume.pk, target.pk)
    assert busy.value.code == "busy"
    factories.job_reported(operation, DONE, backup=MADE)
    made.refresh_from_db()
    assert (made.state, made.bytes) == ("ready", MADE.bytes)
    assert examine() == []
    operation = services.delete_backup(actor, made.pk)
    assert isinstance(_work(operation), ForgetBackup)
    factories.job_reported(operation, DONE)
    assert _counted(volume) == 0
    assert not Backup.objects.exists()


def test_one_that_failed_leaves_nothing_and_is_asked_for_again(
    actor: Actor, volume: Volume, target: Target
) -> None:
    _, operation = of_volumes.back_up(actor, volume.pk, target.pk, name="first")
    factories.job_reported(operation, FAILED, code="target_unreachable")
    assert not Backup.objects.exists()
    assert _counted(volume) == 0
    again = retry(actor, operation.pk)
    assert again is not None
    assert Backup.objects.get().name == "first"


def test_the_quota_of_backups_holds_for_them(actor: Actor, volume: Volume, target: Target) -> None:
    for _ in range(2):
        _made(actor, volume, target)
    with pytest.raises(QuotaExceeded):
        of_volumes.back_up(actor, volume.pk, target.pk)


def test_put_back_it_keeps_what_it_was(actor: Actor, row: Environment, volume: Volume, target: Target) -> None:
    made = _made(actor, volume, target)
    attach(actor, volume.pk, row.pk)
    with pytest.raises(Conflict) as attached:
        of_volumes.restore_in_place(actor, made.pk)
    assert attached.value.code == "attached"
    volume.attachments.all().delete()
    operation = of_volumes.restore_in_place(actor, made.pk)
    work = _work(operation)
    assert isinstance(work, RestoreVolume)
    assert work.backup is not None
    assert (work.backup.snapshot, work.snapshot) == (MADE.snapshot, None)
    factories.job_reported(operation, FAILED, code="target_unreachable")
    volume.refresh_from_db()
    assert (volume.state, VolumeSnapshot.objects.count()) == (VolumeState.READY, 0)
    again = retry(actor, operation.pk)
    assert again is not None
    factories.job_reported(again, DONE)
    kept = VolumeSnapshot.objects.get()
    assert (kept.reason, kept.state, kept.pk) == ("restore", "ready", _work(again).before)


def test_it_outlives_its_volume_and_is_made_into_a_new_one(
    actor: Actor, volume: Volume, target: Target
) -> None:
    made = _made(actor, volume, target)
    factories.job_reported(delete_volume(actor, volume.pk), DONE)
    with pytest.raises(Conflict) as gone:
        of_volumes.restore_in_place(actor, made.pk)
    assert gone.value.code == "gone"
    with pytest.raises(Invalid) as small:
        of_volumes.restore_as_new(actor, made.pk, name="other", size_mb=1)
    assert small.value.field == "size_mb"
    other, operation = of_volumes.restore_as_new(actor, made.pk, name="other")
    work = _work(operation)
    assert isinstance(work, KeepVolume)
    assert work.backup is not None
    assert (work.volume_id, work.size_mb, work.backup.snapshot) == (other.pk, 100, MADE.snapshot)
    factories.job_reported(operation, FAILED, code="target_unreachable")
    again = retry(actor, operation.pk)
    assert again is not None
    assert _work(again).backup is not None
    factories.job_reported(again, DONE)
    assert Volume.objects.get().name == "other"
    factories.job_reported(services.delete_backup(actor, made.pk), DONE)
    assert not Backup.objects.exists()
    assert examine() == []


@pytest.mark.parametrize("role", ["viewer", "billing"])
def test_who_may_not_makes_and_restores_none(actor: Actor, volume: Volume, target: Target, role: str) -> None:
    made, other = _made(actor, volume, target), factories.member(volume.tenant, role)
    for forbidden in (
        lambda: of_volumes.back_up(other, volume.pk, target.pk),
        lambda: of_volumes.restore_in_place(other, made.pk),
        lambda: of_volumes.restore_as_new(other, made.pk, name="other"),
        lambda: services.delete_backup(other, made.pk),
    ):
        with pytest.raises((Forbidden, NotFound)):
            forbidden()


def test_page_and_api_from_a_backup_to_its_end(
    client: Client, actor: Actor, volume: Volume, target: Target
) -> None:
    client.force_login(actor.user)
    at = "/backups/volumes/"
    assert "No backup of a volume yet" in client.get(at).content.decode()
    sent = {"volume": str(volume.pk), "target": str(target.pk), "name": "zeroth"}
    assert client.post(at, {**sent, "target": "x"}).status_code == 422
    assert client.post(at, sent).status_code == 302
    factories.job_reported(Operation.objects.get(kind="backup"), DONE, backup=MADE)
    assert "zeroth" in client.get(at).content.decode()
    [shown] = client.get(f"/api/v1/volumes/{volume.pk}/backups").json()["items"]
    assert (shown["volume"], shown["environment"], shown["image"]) == (str(volume.pk), None, "")
    assert client.get("/api/v1/backups").json()["items"] == [shown]
    assert "zeroth" not in client.get("/backups/").content.decode()
    one = shown["id"]
    assert client.post(f"{at}{one}/new", {"name": "No!"}).status_code == 422
    assert client.post(f"/backups/{one}/keep", {"keep_days": "0"}).status_code == 422
    assert client.post(f"/backups/{one}/keep", {"keep_days": "9"})["Location"] == at
    assert "Kept until" in client.get(at).content.decode()
    assert client.post(f"{at}{one}/new", {"name": "other"}).status_code == 302
    answer = client.post(f"/api/v1/backups/{one}/restore-volume", {}, content_type="application/json")
    assert answer.status_code == 202, answer.content
    assert answer.json()["state"] == "restoring"
    factories.job_reported(Operation.objects.get(kind="restore_volume"), DONE)
    assert client.post(f"{at}{one}/delete").status_code == 302
    factories.job_reported(Operation.objects.get(kind="delete_backup"), DONE)
    assert client.get(f"/api/v1/backups/{one}").status_code == 404
    again = client.post(
        f"/api/v1/volumes/{volume.pk}/backups", {"target": "nightly"}, content_type="application/json"
    )
    assert again.status_code == 202


def _due() -> int:
    """As if it had been missed for days."""
    Schedule.objects.update(next_at=timezone.now() - timedelta(days=3))
    return run_due()


def _open(kind: OperationKind) -> Operation:
    return Operation.objects.get(kind=kind, finished_at=None)


def test_a_schedule_takes_and_retires_them(actor: Actor, volume: Volume, target: Target) -> None:
    set_schedule(
        actor, volume.pk, of="volume", takes="backups", cron="0 3 * * *", target="nightly", keep={"last": 1}
    )
    with pytest.raises(NotFound):
        set_schedule(actor, volume.pk, of="volume", takes="backups", cron="0 3 * * *", target="elsewhere")
    for _ in range(2):
        assert _due() == 1
        operation = _open(OperationKind.BACKUP)
        assert operation.subject_id == str(volume.pk)
        assert _due() == 0  # never two at a time
        factories.job_reported(operation, DONE, backup=MADE)
    newest, oldest = Backup.objects.order_by("-created_at")
    assert (newest.reason, newest.is_going, oldest.is_going) == ("schedule", False, True)
    assert Backup.objects.with_schedule().get(pk=newest.pk).kept_by == "schedule"
    factories.job_reported(_open(OperationKind.DELETE_BACKUP), DONE)
    assert _due() == 1
    factories.job_reported(_open(OperationKind.BACKUP), FAILED, message="the target is full")
    assert Schedule.objects.get().problem == "the target is full"
    assert examine() == []


def test_a_backup_of_something_gone_touches_no_schedule_of_a_volume(
    actor: Actor, row: Environment, volume: Volume, target: Target
) -> None:
    set_schedule(actor, volume.pk, of="volume", takes="backups", cron="0 3 * * *", target="nightly")
    made = _made(actor, volume, target)
    for of in ({"environment": None}, {"environment": None, "volume": None}):
        for name, value in of.items():
            setattr(made, name, value)
        made.volume_id = None
        failed(made, "it is full")
    assert Schedule.objects.get().problem == ""


def test_the_page_of_the_schedule(actor: Actor, volume: Volume, target: Target, client: Client) -> None:
    client.force_login(actor.user)
    at = f"/volumes/{volume.pk}/backups/schedule"
    assert "nightly" in client.get(at).content.decode()
    assert client.post(f"{at}/set", {"when": "0 3 * * *", "target": "elsewhere"}).status_code == 422
    answer = client.post(f"{at}/set", {"when": "0 3 * * *", "target": str(target.pk), "is_on": "on"})
    assert (answer.status_code, answer["Location"]) == (302, at)
    made = Schedule.objects.get()
    assert (made.volume, made.target, made.takes) == (volume, target.pk, "backups")
    client.post(f"{at}/delete")
    assert not Schedule.objects.exists()


def test_its_files_are_seen_on_a_page_also_when_the_volume_is_gone(
    actor: Actor, volume: Volume, target: Target, client: Client
) -> None:
    made = _made(actor, volume, target)
    client.force_login(actor.user)
    at = f"/backups/volumes/{made.pk}/files"
    assert at in client.get("/backups/volumes/").content.decode()
    shown = client.get(at).content.decode()
    assert f'data-api="/api/v1/backups/{made.pk}/files"' in shown
    assert "data-put-back=" not in shown
    operation = delete_volume(actor, volume.pk)
    factories.job_reported(operation, DONE)
    assert client.get(at).status_code == 200
    operator, viewer = (factories.member(volume.tenant, role) for role in ("operator", "viewer"))
    client.force_login(operator.user)
    assert client.get(at).status_code == 200
    client.force_login(viewer.user)
    assert client.get(at).status_code == 403
    assert client.get(f"/api/v1/backups/{made.pk}/files").status_code == 403
