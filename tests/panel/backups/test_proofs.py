"""Proofs in the panel: asked for by button, API and schedule; what came of one is a seal, or nothing."""

import json
import re
from datetime import date
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.utils.formats import date_format

from panel.backups import drills
from panel.backups.models import Backup, DrillReport, Seal, Target
from panel.backups.proving import prove
from panel.backups.services import back_up
from panel.backups.targets import add_target
from panel.environments.models import Environment
from panel.errors import Conflict, Forbidden
from panel.jobs.models import Job
from panel.operations.control import retry
from panel.operations.models import OPEN_STATES, Operation, OperationKind
from panel.rights.actor import Actor
from panel.storage.models import Schedule
from panel.storage.schedules import run_due, set_schedule
from runtime.contract import BackupMade, BootSeen, JobOutcome, ProveBackup
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
MADE = BackupMade(snapshot="ab" * 32, repository_id="cd" * 32, bytes=50 * 2**20, added_bytes=9, files=3)
SEEN = BootSeen(screen="login: <b>", up_after_s=2.5)


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
    made = factories.environment(factories.tenant())
    factories.reported(made)
    made.refresh_from_db()
    return made


@pytest.fixture
def target(actor: Actor, row: Environment) -> Target:
    return add_target(actor, row.tenant, name="nightly")[0]


@pytest.fixture
def backup(actor: Actor, row: Environment, target: Target) -> Backup:
    made, operation = back_up(actor, row.pk, target.pk)
    factories.job_reported(operation, JobOutcome.SUCCEEDED, backup=MADE)
    made.refresh_from_db()
    return made


def _proof() -> Operation:
    return Operation.objects.get(kind=OperationKind.PROVE_BACKUP, state__in=OPEN_STATES)


def test_by_the_api_it_is_asked_for_with_a_probe_and_told(
    actor: Actor, row: Environment, backup: Backup, client: Client
) -> None:
    headers = factories.bearer(actor, None, "*")
    url = f"/api/v1/environments/{row.pk}/backups/{backup.pk}"
    asked = {"probe": ["test", "-e", "/srv"]}
    said = client.post(f"{url}/prove", json.dumps(asked), content_type="application/json", headers=headers)
    assert said.status_code == 202, said.content
    assert said.json()["proof"] is None
    work = Job.objects.get(pk=said.json()["operation"]["id"]).asked.work
    assert isinstance(work, ProveBackup)
    assert work.probe == ("test", "-e", "/srv")
    assert work.environment_id not in (row.pk, backup.pk)
    assert work.source.snapshot == MADE.snapshot
    factories.job_reported(_proof(), JobOutcome.SUCCEEDED, boot=SEEN, message="it started")
    told = client.get(url, headers=headers).json()
    assert told["proof"]["is_proved"] is True
    assert told["proof"]["screen"] == "login: <b>"
    assert told["proved_at"]


def test_the_seal_is_grey_then_green_then_red_and_a_lost_target_changes_nothing(
    actor: Actor, row: Environment, backup: Backup, client: Client
) -> None:
    client.force_login(actor.user)
    tab = f"/environments/{row.pk}/backups"
    assert "not proved" in client.get(tab).content.decode()
    assert client.post(f"/backups/{backup.pk}/prove").status_code == 302
    factories.job_reported(_proof(), JobOutcome.SUCCEEDED, boot=SEEN, message="it started")
    page = client.get(tab).content.decode()
    assert "login: &lt;b&gt;" in page
    assert "it started" in page
    for code, seal in (("target_gone", Seal.PROVED), ("repository_damaged", Seal.FAILED)):
        client.post(f"/backups/{backup.pk}/prove")
        factories.job_reported(_proof(), JobOutcome.FAILED, code=code, message="damaged block")
        backup.refresh_from_db()
        assert backup.seal == seal
    assert backup.proved_at is None
    page = client.get(tab).content.decode()
    assert "the proof failed" in page
    assert "damaged block" in page


def test_one_at_a_time_and_a_failed_one_is_tried_again(actor: Actor, backup: Backup) -> None:
    operation = prove(actor, backup.pk, probe=["true"])
    with pytest.raises(Conflict, match="being proved"):
        prove(actor, backup.pk)
    factories.job_reported(operation, JobOutcome.FAILED, code="not_started", message="No.")
    again = retry(actor, operation.pk)
    assert again is not None
    assert again.details["probe"] == ["true"]


def test_who_may_run_nothing_inside_proves_nothing(row: Environment, backup: Backup) -> None:
    with pytest.raises(Forbidden):
        prove(factories.member(row.tenant, "viewer"), backup.pk)


def test_an_app_is_refused_by_name(actor: Actor, backup: Backup) -> None:
    backup.document = {**backup.document, "kind": "app"}
    backup.save()
    with pytest.raises(Conflict, match="Only systems"):
        prove(actor, backup.pk)


@pytest.mark.parametrize(("proves", "proofs"), [("never", 0), ("monthly", 1), ("each", 2)])
def test_a_schedule_proves_as_it_says(
    actor: Actor, row: Environment, target: Target, proves: str, proofs: int
) -> None:
    set_schedule(actor, row.pk, cron="0 3 * * *", takes="backups", target="nightly", proves=proves)
    for number in range(2):
        Schedule.objects.update(next_at="2020-01-01T00:00:00Z")
        assert run_due() == 1
        operation = Operation.objects.get(kind=OperationKind.BACKUP, state__in=OPEN_STATES)
        made = MADE.model_copy(update={"snapshot": f"{number:064x}"})
        factories.job_reported(operation, JobOutcome.SUCCEEDED, backup=made)
        for one in Operation.objects.filter(kind=OperationKind.PROVE_BACKUP, state__in=OPEN_STATES):
            factories.job_reported(one, JobOutcome.SUCCEEDED, boot=SEEN)
    assert Operation.objects.filter(kind=OperationKind.PROVE_BACKUP).count() == proofs
    assert Backup.objects.exclude(proof=None).count() == proofs


def test_the_letter_comes_once_a_month_and_names_each(
    actor: Actor,
    row: Environment,
    backup: Backup,
    django_capture_on_commit_callbacks: type[object],
) -> None:
    factories.member(row.tenant, "owner")
    set_schedule(actor, row.pk, cron="0 3 * * *", takes="backups", target="nightly")
    assert drills.report_due() == 0, "nothing to tell of the month before its schedule"
    DrillReport.objects.update(month=date(2020, 1, 1))
    factories.job_reported(prove(actor, backup.pk), JobOutcome.FAILED, code="not_started", message="No.")
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[call-arg, attr-defined]
        assert drills.report_due() == 1
    assert drills.report_due() == 0
    [letter] = mail.outbox
    assert f"{row.name}: THE PROOF FAILED" in letter.body


def test_the_backup_that_is_gone_is_asked_for_no_more(actor: Actor, backup: Backup) -> None:
    operation = prove(actor, backup.pk)
    Backup.objects.all().delete()
    factories.job_reported(operation, JobOutcome.FAILED, code="no_such_backup", message="No.")
    assert retry(actor, operation.pk) is None
    assert UUID(operation.details["prove_backup"]) == backup.pk


def test_a_letter_has_its_readers_days(
    actor: Actor,
    row: Environment,
    backup: Backup,
    django_capture_on_commit_callbacks: type[object],
) -> None:
    """Of two who are a day apart at every moment."""
    zones = ("Pacific/Kiritimati", "Pacific/Pago_Pago")
    for zone in zones:
        user = factories.member(row.tenant, "owner").user
        user.time_zone = zone
        user.save(update_fields=["time_zone"])
    set_schedule(actor, row.pk, cron="0 3 * * *", takes="backups", target="nightly")
    assert drills.report_due() == 0
    DrillReport.objects.update(month=date(2020, 1, 1))
    factories.job_reported(prove(actor, backup.pk), JobOutcome.FAILED, code="not_started", message="No.")
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[call-arg, attr-defined]
        assert drills.report_due() == 1
    backup.refresh_from_db()
    assert backup.proof_at is not None
    days = [date_format(backup.proof_at.astimezone(ZoneInfo(zone)), "j F Y") for zone in zones]
    assert days[0] != days[1]
    assert sorted(days) == sorted(re.findall(r"FAILED on (.*) \(", str(one.body))[0] for one in mail.outbox)
