"""Backups in the panel: what the node is asked, what counts, what outlives the environment, who may."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.test import Client

from panel.backups.models import Backup, Target
from panel.backups.restore import restore_as_new, restore_in_place
from panel.backups.services import back_up, delete_backup
from panel.backups.targets import add_target, remove_target
from panel.environments.consistency import examine
from panel.environments.models import Environment
from panel.environments.services import create_environment, delete_environment
from panel.environments.specs import spec_of
from panel.errors import Conflict, Forbidden, Invalid, NotFound, QuotaExceeded
from panel.images.models import NodeImage
from panel.jobs.models import Job
from panel.nodes.sealed import key_of
from panel.operations.control import cancel, retry
from panel.operations.models import Operation, OperationState
from panel.quotas.models import Quota, Resource
from panel.rights.actor import Actor
from panel.storage.kept import KeptState
from panel.storage.models import Snapshot
from runtime.contract import BackUp, BackupMade, BackupSecrets, ForgetBackup, JobOutcome
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
MIB = 2**20
MADE = BackupMade(snapshot="ab" * 32, repository_id="cd" * 32, bytes=50 * MIB, added_bytes=9, files=3)


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
    return factories.environment(factories.tenant(quota={"backups": 2}))


@pytest.fixture
def target(actor: Actor, row: Environment) -> Target:
    return add_target(actor, row.tenant, name="nightly")[0]


def _reserved(row: Environment) -> float:
    return Quota.objects.get(tenant=row.tenant, resource=Resource.BACKUPS).reserved


def _made(actor: Actor, row: Environment, target: Target) -> Backup:
    made, operation = back_up(actor, row.pk, target.pk)
    factories.job_reported(operation, JobOutcome.SUCCEEDED, backup=MADE)
    made.refresh_from_db()
    return made


def test_the_password_is_made_shown_once_and_in_plain_text_nowhere(actor: Actor, row: Environment) -> None:
    target, password = add_target(actor, row.tenant, name="nightly")
    assert len(password) > 30
    assert password not in target.password
    made, operation = back_up(actor, row.pk, target.pk, name="before the upgrade")
    job = Job.objects.get(pk=operation.pk)
    assert password not in json.dumps(job.spec)
    assert "ssh_keys" not in json.dumps(job.spec)  # what it is of travels locked as well
    work = job.asked.work
    assert isinstance(work, BackUp)
    opened = BackupSecrets.opened(work.secrets, work.repository, key=key_of(row.node.name))
    assert opened.password == password
    about = json.loads(opened.about)
    assert (about["id"], about["name"], about["image"]) == (str(row.pk), row.name, row.image)
    with pytest.raises(ValueError, match="opened"):
        BackupSecrets.opened(work.secrets, work.repository, key=b"of another node")
    other = work.repository.model_copy(update={"name": "mine"})
    with pytest.raises(ValueError, match="opened"):
        BackupSecrets.opened(work.secrets, other, key=key_of(row.node.name))
    assert made.state == KeptState.MAKING


def test_it_counts_from_the_asking_on_and_is_ready_when_the_node_says_so(
    actor: Actor, row: Environment, target: Target
) -> None:
    made, operation = back_up(actor, row.pk, target.pk)
    assert _reserved(row) == 1
    with pytest.raises(Conflict, match="being made"):
        back_up(actor, row.pk, target.pk)
    factories.job_reported(operation, JobOutcome.SUCCEEDED, backup=MADE)
    made.refresh_from_db()
    target.refresh_from_db()
    assert (made.state, made.snapshot, made.bytes) == (KeptState.READY, MADE.snapshot, MADE.bytes)
    assert target.repository_id == MADE.repository_id
    _, second = back_up(actor, row.pk, target.pk)
    work = Job.objects.get(pk=second.pk).asked.work
    assert isinstance(work, BackUp)
    assert work.repository_id == MADE.repository_id
    factories.job_reported(second, JobOutcome.SUCCEEDED, backup=MADE)
    with pytest.raises(QuotaExceeded):
        back_up(actor, row.pk, target.pk)
    assert examine() == []


def test_one_that_fails_or_is_cancelled_leaves_no_row_and_can_be_asked_again(
    actor: Actor, row: Environment, target: Target
) -> None:
    _, operation = back_up(actor, row.pk, target.pk, name="mine")
    factories.job_reported(operation, JobOutcome.FAILED, code="target_full", message="the target is full")
    assert (Backup.objects.count(), _reserved(row)) == (0, 0)
    again = retry(actor, operation.pk)
    assert again is not None
    assert Backup.objects.get().name == "mine"
    cancel(actor, again.pk)
    factories.job_reported(again, JobOutcome.CANCELLED)
    assert (Backup.objects.count(), _reserved(row)) == (0, 0)
    assert Operation.objects.get(pk=again.pk).state == OperationState.CANCELLED


def test_it_outlives_its_environment_and_is_deleted_at_its_target(
    actor: Actor, row: Environment, target: Target
) -> None:
    made = _made(actor, row, target)
    delete_environment(actor, row.pk, now=True)
    factories.gone(row)
    assert _reserved(row) == 1
    with pytest.raises(Conflict, match="gone"):
        restore_in_place(actor, made.pk)
    operation = delete_backup(actor, made.pk)
    work = Job.objects.get(pk=operation.pk).asked.work
    assert isinstance(work, ForgetBackup)
    assert work.snapshot == MADE.snapshot
    factories.job_reported(operation, JobOutcome.FAILED, code="repository_locked", message="No.")
    made.refresh_from_db()
    assert made.state == KeptState.READY
    operation = delete_backup(actor, made.pk)
    factories.job_reported(operation, JobOutcome.SUCCEEDED)
    assert (Backup.objects.count(), _reserved(row)) == (0, 0)
    assert examine() == []


def test_restored_in_place_a_snapshot_is_kept_and_a_refusal_goes_back(
    actor: Actor, row: Environment, target: Target
) -> None:
    made = _made(actor, row, target)
    changed = restore_in_place(actor, made.pk)
    row.refresh_from_db()
    spec = spec_of(row)
    assert spec.origin is not None
    assert spec.origin.backup is not None
    assert (spec.origin.snapshot, spec.origin.backup.snapshot) == (made.pk, MADE.snapshot)
    kept = Snapshot.objects.get()
    assert spec.snapshots == (kept.pk,)
    assert kept.expires_at is not None
    assert (kept.expires_at - datetime.now(UTC)).days in (6, 7)
    assert spec.deadline_s == 3600
    assert changed.operation is not None
    assert (changed.operation.deadline - datetime.now(UTC)).total_seconds() > 3600
    factories.reported(
        row,
        generation=row.generation - 1,
        attempted_generation=row.generation,
        code="wrong_password",
        message="No.",
    )
    row.refresh_from_db()
    assert (row.installs, spec_of(row).origin) == (0, None)
    assert retry(actor, changed.operation.pk) is not None
    row.refresh_from_db()
    factories.reported(row)
    row.refresh_from_db()
    assert row.installs == 1


def test_restored_as_new_it_needs_no_image_on_its_node(actor: Actor, row: Environment, target: Target) -> None:
    """Of another node, or of a pool that was lost, the image may be gone."""
    made = _made(actor, row, target)
    NodeImage.objects.all().delete()
    with pytest.raises(Invalid, match="not ready on any node"):
        create_environment(actor, row.tenant, name="fresh", image=row.image, limits=row.limits)
    assert restore_as_new(actor, made.pk, name="again").environment.image == row.image


def test_of_a_disk_that_was_lost_nothing_is_kept(actor: Actor, row: Environment, target: Target) -> None:
    made = _made(actor, row, target)
    Environment.objects.filter(pk=row.pk).update(code="root_lost")
    operation = restore_in_place(actor, made.pk).operation
    assert operation is not None
    assert operation.details["kept"] is None
    assert not Snapshot.objects.filter(environment=row).exists()


def test_restored_as_new_it_is_like_the_old_and_refused_where_it_does_not_fit(
    actor: Actor, row: Environment, target: Target
) -> None:
    made = _made(actor, row, target)
    with pytest.raises(Invalid, match="50 MiB in files, and the disk has 16 MiB"):
        restore_as_new(actor, made.pk, name="again", limits={**row.limits, "disk_mb": 16})
    changed = restore_as_new(actor, made.pk, name="again")
    new = changed.environment
    assert (new.image, new.limits, new.node_id) == (row.image, row.limits, row.node_id)
    spec = spec_of(new)
    assert spec.origin is not None
    assert spec.origin.backup is not None
    assert spec.origin.environment_id == new.pk


def test_who_may_and_who_sees(actor: Actor, row: Environment, target: Target) -> None:
    made = _made(actor, row, target)
    viewer, stranger = factories.member(row.tenant, "viewer"), factories.member(factories.tenant())
    with pytest.raises(Forbidden):
        back_up(viewer, row.pk, target.pk)
    with pytest.raises(Forbidden):
        delete_backup(viewer, made.pk)
    with pytest.raises(Forbidden):
        restore_as_new(viewer, made.pk, name="mine")
    for refused in (delete_backup, restore_in_place):
        with pytest.raises(NotFound):
            refused(stranger, made.pk)
    own = add_target(stranger, stranger_tenant(stranger), name="own")[0]
    with pytest.raises(NotFound):
        back_up(actor, row.pk, own.pk)
    with pytest.raises(NotFound):
        remove_target(stranger, target.pk)


def stranger_tenant(actor: Actor) -> "object":
    from panel.tenants.models import Tenant

    return Tenant.objects.for_actor(actor).get()


def test_a_target_that_is_taken_out_takes_its_rows_along(
    actor: Actor, row: Environment, target: Target
) -> None:
    _made(actor, row, target)
    _, operation = back_up(actor, row.pk, target.pk)
    with pytest.raises(Conflict, match="under way"):
        remove_target(actor, target.pk)
    factories.job_reported(operation, JobOutcome.SUCCEEDED, backup=MADE)
    remove_target(actor, target.pk)
    assert (Backup.objects.count(), _reserved(row)) == (0, 0)


def test_a_directory_is_refused_where_its_node_gives_none(actor: Actor, row: Environment) -> None:
    for given, may in ((False, False), (True, True), (None, True)):
        factories.node(row.node.name, backup_directory=given)
        if may:
            assert add_target(actor, row.tenant, name=f"given-{given}".lower())[0].node == row.node
            continue
        with pytest.raises(Invalid, match="gives no directory") as refused:
            add_target(actor, row.tenant, name="archive")
        assert refused.value.field == "node"
        assert not Target.objects.exists()


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", {"name": "../etc"}),
        ("kind", {"kind": "nfs"}),
        ("password", {"password": "short"}),
        ("node", {"node": "elsewhere"}),
    ],
)
def test_bad_input_is_refused_by_field(
    actor: Actor, row: Environment, field: str, values: dict[str, str]
) -> None:
    with pytest.raises(Invalid) as refused:
        add_target(actor, row.tenant, **{"name": "nightly", **values})
    assert refused.value.field == field
    assert not Target.objects.exists()


def test_by_the_api(client: Client, actor: Actor, row: Environment) -> None:
    bearer = factories.bearer(actor, None, "*")

    def post(at: str, document: dict[str, object]) -> tuple[int, dict[str, object]]:
        answer = client.post(f"/api/v1{at}", document, content_type="application/json", headers=bearer)
        return answer.status_code, answer.json()

    status, target = post("/backup-targets", {"tenant": row.tenant.slug, "name": "nightly"})
    assert status == 201
    assert target["password"]
    assert "password" not in client.get(f"/api/v1/backup-targets/{target['id']}", headers=bearer).json()
    status, made = post(f"/environments/{row.pk}/backups", {"target": "nightly", "name": "one"})
    assert status == 202
    operation = Operation.objects.get(pk=UUID(made["operation"]["id"]))  # type: ignore[index]
    status, refused = post(f"/environments/{row.pk}/backups/{made['id']}/restore", {})
    assert (status, refused["code"]) == (409, "backup_not_ready")
    factories.job_reported(operation, JobOutcome.SUCCEEDED, backup=MADE)
    [listed] = client.get(f"/api/v1/environments/{row.pk}/backups", headers=bearer).json()["items"]
    assert (listed["state"], listed["bytes"], listed["name"]) == ("ready", MADE.bytes, "one")
    assert client.get("/api/v1/backups", headers=bearer).json()["items"] == [listed]
    status, new = post(f"/backups/{made['id']}/restore", {"as": "new", "name": "again"})
    assert (status, new["name"]) == (202, "again")
    status, refused = post(f"/backups/{made['id']}/restore", {"name": "again"})
    assert (status, refused["field"]) == (422, "as")
    assert client.get(f"/api/v1/environments/{uuid4()}/backups", headers=bearer).status_code == 404
    deleted = client.delete(f"/api/v1/environments/{row.pk}/backups/{made['id']}", headers=bearer)
    assert deleted.status_code == 202
    assert client.delete(f"/api/v1/backup-targets/{target['id']}", headers=bearer).status_code == 409
