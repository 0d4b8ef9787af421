"""Backups by a schedule: taken when due, never two at a time, only what is kept stays, failures are said."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from panel.audit.models import AuditRecord
from panel.backups.models import Backup, Reason, Target
from panel.backups.services import back_up
from panel.backups.targets import add_target, remove_target
from panel.environments.consistency import examine
from panel.environments.models import Environment
from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.jobs.models import Job
from panel.operations.control import retry
from panel.operations.models import OPEN_STATES, Operation, OperationKind
from panel.rights.actor import Actor
from panel.storage.models import Schedule, Snapshot, Takes
from panel.storage.schedules import run_due, set_schedule
from runtime.contract import BackupMade, ForgetBackup, JobOutcome
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
MADE = BackupMade(snapshot="ab" * 32, repository_id="cd" * 32, bytes=50 * 2**20, added_bytes=9, files=3)
NIGHTLY = {"takes": "backups", "target": "nightly"}


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
    made = factories.environment(factories.tenant(quota={"backups": 4, "snapshots": 4}))
    factories.reported(made)
    made.refresh_from_db()
    return made


@pytest.fixture
def target(actor: Actor, row: Environment) -> Target:
    return add_target(actor, row.tenant, name="nightly")[0]


def _due() -> None:
    Schedule.objects.update(next_at=timezone.now() - timedelta(days=3))


def _open(kind: OperationKind) -> list[Operation]:
    return list(Operation.objects.filter(kind=kind, state__in=OPEN_STATES))


def _end(snapshot: str) -> None:
    """The backup that is being made."""
    [operation] = _open(OperationKind.BACKUP)
    made = MADE.model_copy(update={"snapshot": snapshot})
    factories.job_reported(operation, JobOutcome.SUCCEEDED, backup=made)


def _round(number: int) -> None:
    """One more that came to its end, and what goes for it."""
    _due()
    assert run_due() == 1
    _end(f"{number:064x}")
    for operation in _open(OperationKind.DELETE_BACKUP):
        factories.job_reported(operation, JobOutcome.SUCCEEDED)


def test_what_was_missed_is_made_up_for_once_and_never_two_at_a_time(
    actor: Actor, row: Environment, target: Target
) -> None:
    set_schedule(actor, row.pk, cron="0 * * * *", **NIGHTLY)
    assert run_due() == 0
    _due()
    assert run_due() == 1
    made = Backup.objects.get()
    assert (made.reason, made.target, made.created_by) == (Reason.SCHEDULE, target, None)
    _due()
    assert run_due() == 0, "the one before is being made still"
    _end(MADE.snapshot)
    assert run_due() == 1
    assert Schedule.objects.get().next_at > timezone.now()


def test_it_stands_beside_the_one_of_snapshots(actor: Actor, row: Environment, target: Target) -> None:
    set_schedule(actor, row.pk, cron="0 3 * * *")
    set_schedule(actor, row.pk, cron="0 4 * * *", takes="backups", target=str(target.pk))
    _due()
    assert run_due() == 2
    assert (Snapshot.objects.count(), Backup.objects.count()) == (1, 1)


def test_only_what_is_kept_stays_and_what_was_asked_for_by_hand(
    actor: Actor, row: Environment, target: Target
) -> None:
    back_up(actor, row.pk, target.pk, name="mine")
    _end(MADE.snapshot)
    set_schedule(actor, row.pk, cron="0 3 * * *", keep={"last": 2}, **NIGHTLY)
    for number in range(4):
        _round(number)
    left = Backup.objects.order_by("created_at")
    assert [one.snapshot for one in left] == [MADE.snapshot, f"{2:064x}", f"{3:064x}"]
    assert examine() == []


def test_several_go_by_one_job_and_a_failed_removal_is_tried_again(
    actor: Actor, row: Environment, target: Target
) -> None:
    set_schedule(actor, row.pk, cron="0 3 * * *", keep={"last": 3}, **NIGHTLY)
    for number in range(3):
        _round(number)
    set_schedule(actor, row.pk, cron="0 3 * * *", keep={"last": 1}, **NIGHTLY)
    _due()
    assert run_due() == 1
    _end(MADE.snapshot)
    [removal] = _open(OperationKind.DELETE_BACKUP)
    work = Job.objects.get(pk=removal.pk).asked.work
    assert isinstance(work, ForgetBackup)
    assert {work.snapshot, *work.others} == {f"{number:064x}" for number in range(3)}
    factories.job_reported(removal, JobOutcome.FAILED, code="repository_locked", message="No.")
    assert Backup.objects.filter(is_going=False).count() == 4
    again = retry(actor, removal.pk)
    assert again is not None
    factories.job_reported(again, JobOutcome.SUCCEEDED)
    assert Backup.objects.get().snapshot == MADE.snapshot
    assert examine() == []


def test_a_full_quota_and_a_failed_job_are_said_where_the_schedule_stands(
    actor: Actor, row: Environment, target: Target, client: Client
) -> None:
    set_schedule(actor, row.pk, cron="0 3 * * *", keep={"last": 9}, **NIGHTLY)
    _due()
    run_due()
    [operation] = _open(OperationKind.BACKUP)
    factories.job_reported(operation, JobOutcome.FAILED, code="target_full", message="the target is full")
    assert Schedule.objects.get().problem == "the target is full"
    for number in range(4):
        _round(number)
    assert Schedule.objects.get().problem == ""
    _due()
    assert run_due() == 0
    assert "backups" in Schedule.objects.get().problem
    client.force_login(actor.user)
    assert "The last one was not taken." in client.get(f"/environments/{row.pk}/backups").content.decode()


def test_a_target_that_is_taken_out_turns_it_off_and_says_so(
    actor: Actor, row: Environment, target: Target
) -> None:
    set_schedule(actor, row.pk, cron="0 3 * * *", **NIGHTLY)
    remove_target(actor, target.pk)
    schedule = Schedule.objects.get()
    assert not schedule.is_on
    assert "nightly" in schedule.problem


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"takes": "backups", "target": "other"}, NotFound),
        ({"takes": "backups"}, NotFound),
        ({"takes": "nothing"}, Invalid),
        ({"takes": "snapshots", "target": "nightly"}, Invalid),
    ],
)
def test_what_makes_no_sense_is_refused(
    actor: Actor, row: Environment, target: Target, values: dict[str, str], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        set_schedule(actor, row.pk, cron="0 3 * * *", **values)
    assert not Schedule.objects.exists()


def test_who_may_not_and_another_node_are_refused(actor: Actor, row: Environment, target: Target) -> None:
    with pytest.raises(Forbidden):
        set_schedule(factories.member(row.tenant, "viewer"), row.pk, cron="0 3 * * *", **NIGHTLY)
    target.node = factories.node("elsewhere")
    target.save()
    with pytest.raises(Conflict):
        set_schedule(actor, row.pk, cron="0 3 * * *", **NIGHTLY)
    assert not Schedule.objects.exists()


def test_by_the_api_and_by_the_page(actor: Actor, row: Environment, target: Target, client: Client) -> None:
    headers = factories.bearer(actor, None, "*")
    body = {"environment": str(row.pk), "cron": "0 3 * * *", **NIGHTLY}
    made = client.post("/api/v1/schedules", json.dumps(body), content_type="application/json", headers=headers)
    assert made.status_code == 201, made.content
    assert (made.json()["takes"], made.json()["target"]) == ("backups", str(target.pk))
    url = f"/api/v1/schedules/{made.json()['id']}"
    changed = client.patch(url, json.dumps({"is_on": False}), content_type="application/json", headers=headers)
    assert (changed.json()["target"], changed.json()["next_at"]) == (str(target.pk), None)
    assert client.delete(url, headers=headers).status_code == 204
    client.force_login(actor.user)
    tab = f"/environments/{row.pk}/backups"
    sent = {"when": "0 3 * * *", "target": str(target.pk), "daily": "5", "is_on": "on"}
    assert client.post(f"{tab}/schedule", sent).status_code == 302
    schedule = Schedule.objects.get()
    assert (schedule.takes, schedule.target, schedule.keep_daily) == (Takes.BACKUPS, target.pk, 5)
    assert 'value="5"' in client.get(tab).content.decode()
    assert client.post(f"{tab}/schedule", {**sent, "when": "", "cron": "x"}).status_code == 422
    assert client.post(f"{tab}/schedule/delete").status_code == 302
    assert not Schedule.objects.exists()
    assert AuditRecord.objects.filter(action="schedule.delete").count() == 2
