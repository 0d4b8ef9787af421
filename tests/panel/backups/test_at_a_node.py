"""Targets in the directory of another node: who may be asked, what is signed, what goes on without the first;
and the node that a backup becomes a new environment on."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from panel.backups.models import Backup, Target
from panel.backups.restore import restore_as_new
from panel.backups.services import back_up, delete_backup
from panel.backups.targets import add_target
from panel.environments.models import Environment
from panel.environments.specs import spec_of
from panel.errors import Conflict, Invalid, NoRoom
from panel.jobs.models import Job
from panel.nodes.models import SILENT_AFTER, Node
from panel.nodes.sealed import key_of
from panel.operations.models import Operation, OperationKind
from panel.quotas.models import Quota, Resource
from panel.rights.actor import Actor
from runtime.contract import (
    BackUp,
    BackupMade,
    BackupPass,
    BackupSecrets,
    BackupServer,
    ForgetBackup,
    JobOutcome,
    Locked,
    NodeLogin,
    NodePlace,
    Repository,
)
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
MADE = BackupMade(snapshot="ab" * 32, repository_id="cd" * 32, bytes=50 * 2**20, added_bytes=9, files=3)
SERVER = BackupServer(host="10.0.0.2", port=8443, certificate="-----BEGIN CERTIFICATE-----\n")


@pytest.fixture
def actor() -> Actor:
    return factories.administrator()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "etc" / "nodes").mkdir(parents=True)
    monkeypatch.setattr(settings, "WADAH", settings.WADAH.model_copy(update={"home": tmp_path}))
    return tmp_path


def node(home: Path, name: str, **facts: Any) -> Node:
    (home / "etc" / "nodes" / f"{name}.key").write_bytes(f"shared with {name}".encode())
    return factories.node(name, **facts)


@pytest.fixture
def row(home: Path) -> Environment:
    """Of the first node, as long as there is no other."""
    node(home, "first")
    made = factories.environment(factories.tenant())
    factories.reported(made)
    made.refresh_from_db()
    return made


@pytest.fixture
def keeper(home: Path, row: Environment) -> Node:
    return node(home, "keeper", backup_server=SERVER)


@pytest.fixture
def target(actor: Actor, row: Environment, keeper: Node) -> Target:
    return add_target(actor, row.tenant, name="far", kind="node", node=keeper.name)[0]


def made_of(actor: Actor, row: Environment, target: Target, made: BackupMade = MADE) -> Backup:
    backup, operation = back_up(actor, row.pk, target.pk)
    factories.job_reported(operation, JobOutcome.SUCCEEDED, backup=made)
    backup.refresh_from_db()
    return backup


def opened(secrets: Locked, repository: Repository, node: str) -> BackupPass:
    found = BackupSecrets.opened(secrets, repository, key=key_of(node))
    assert isinstance(found.login, NodeLogin)
    return BackupPass.verify(found.login.token, public_key_pem=_public(), node="keeper")


def _public() -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    private = load_pem_private_key(settings.SECRETS.ticket_key.encode(), None)
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_the_environments_node_gets_a_pass_for_this_repository(
    actor: Actor, row: Environment, target: Target
) -> None:
    _backup, operation = back_up(actor, row.pk, target.pk)
    job = Job.objects.get(operation=operation)
    work = job.asked.work
    assert isinstance(work, BackUp)
    assert job.asked.node == "first"
    assert work.repository.place == NodePlace(node="keeper", **SERVER.model_dump())
    known = opened(work.secrets, work.repository, "first")
    assert (known.node, known.asker) == ("keeper", "first")
    assert (known.tenant_id, known.name) == (row.tenant_id, "far")


def test_when_the_first_node_is_lost_the_other_goes_on(actor: Actor, row: Environment, target: Target) -> None:
    backup = made_of(actor, row, target)
    Node.objects.filter(name="first").update(last_seen_at=timezone.now() - 2 * SILENT_AFTER)
    changed = restore_as_new(actor, backup.pk, name="again")
    assert changed.environment.node.name == "keeper"
    origin = spec_of(changed.environment).origin
    assert origin is not None
    assert origin.backup is not None
    assert opened(origin.backup.secrets, origin.backup.repository, "keeper").asker == "keeper"
    delete_backup(actor, backup.pk)
    operation = Operation.objects.get(kind=OperationKind.DELETE_BACKUP)
    job = Job.objects.get(operation=operation)
    assert isinstance(job.asked.work, ForgetBackup)
    assert job.asked.node == "keeper"


def test_one_that_lets_nobody_in_is_no_target(home: Path, actor: Actor, row: Environment) -> None:
    node(home, "closed", backup_directory=True)
    with pytest.raises(Invalid) as refused:
        add_target(actor, row.tenant, name="far", kind="node", node="closed")
    assert (refused.value.field, "closed" in refused.value.message) == ("node", True)
    assert refused.value.next_step
    with pytest.raises(Invalid):
        add_target(actor, row.tenant, name="far", kind="node", node="nowhere")
    with pytest.raises(Invalid):
        add_target(actor, row.tenant, name="far", kind="node", node="closed", host="example.com")
    assert not Target.objects.exists()


def test_one_that_stops_to_let_others_in_is_said_to(
    home: Path, actor: Actor, row: Environment, target: Target
) -> None:
    node(home, "keeper")
    with pytest.raises(Conflict) as refused:
        back_up(actor, row.pk, target.pk)
    assert (refused.value.code, "keeper" in refused.value.message) == ("no_backup_server", True)
    assert not Backup.objects.exists()


def test_quota_of_backups_counts_them(actor: Actor, row: Environment, target: Target) -> None:
    made_of(actor, row, target)
    assert Quota.objects.get(tenant=row.tenant, resource=Resource.BACKUPS).reserved == 1


@pytest.mark.parametrize("name", ["first", "keeper"])
def test_a_new_one_comes_where_it_was_asked_for(
    actor: Actor, row: Environment, target: Target, name: str
) -> None:
    backup = made_of(actor, row, target)
    assert restore_as_new(actor, backup.pk, name="again", node=name).environment.node.name == name


def test_where_it_does_not_fit_the_node_and_the_numbers_are_named(
    home: Path, actor: Actor, row: Environment, target: Target
) -> None:
    backup = made_of(actor, row, target)
    node(home, "keeper", backup_server=SERVER, memory_bytes=16 * 2**20)
    with pytest.raises(Invalid) as refused:
        restore_as_new(actor, backup.pk, name="again", node="keeper")
    assert "keeper" in str(refused.value)
    assert f"{row.limits['memory_mb']} MiB" in str(refused.value)
    node(home, "keeper", backup_server=SERVER)
    disk = row.limits["disk_mb"]
    Node.objects.filter(name="keeper").update(disk_ratio=0.1)
    keeper = Node.objects.get(name="keeper")
    most = keeper.bounds()[2]
    assert most is not None
    Node.objects.filter(name="keeper").update(reserved_disk_mb=most - disk + 7)
    with pytest.raises(NoRoom) as sold:
        restore_as_new(actor, backup.pk, name="again", node="keeper")
    assert "keeper" in str(sold.value)
    assert "7 MiB" in str(sold.value)
    with pytest.raises(Invalid) as unknown:
        restore_as_new(actor, backup.pk, name="again", node="nowhere")
    assert unknown.value.field == "node"
    assert Environment.objects.count() == 1


def test_what_lies_in_a_directory_of_one_node_comes_back_there_alone(
    actor: Actor, row: Environment, keeper: Node
) -> None:
    near = add_target(actor, row.tenant, name="near", kind="directory", node="first")[0]
    backup = made_of(actor, row, near)
    with pytest.raises(Invalid) as refused:
        restore_as_new(actor, backup.pk, name="again", node="keeper")
    assert (refused.value.field, refused.value.code) == ("node", "other_node")


def test_pages_ask_for_the_node(client: Client, actor: Actor, row: Environment, target: Target) -> None:
    client.force_login(actor.user)
    form = client.get("/backups/?kind=node").content.decode()
    assert "keeper" in form
    assert ">first<" not in form
    backup = made_of(actor, row, target)
    shown = client.get(f"/environments/{row.pk}/backups").content.decode()
    assert f'id="id_{backup.pk}_node"' in shown
    keeper = Node.objects.get(name="keeper")
    answer = client.post(f"/backups/{backup.pk}/new", {"name": "again", "node": str(keeper.pk)})
    assert answer.status_code == 302
    assert Environment.objects.get(name="again").node == keeper


def test_of_the_api(client: Client, actor: Actor, row: Environment, keeper: Node) -> None:
    headers = factories.bearer(actor, None, "*")
    body = {"tenant": str(row.tenant_id), "name": "far", "kind": "node", "node": "keeper"}
    said = client.post("/api/v1/backup-targets", body, content_type="application/json", headers=headers)
    assert said.status_code == 201, said.content
    found = said.json()
    assert (found["kind"], found["node"], found["where"]) == ("node", str(keeper.pk), "keeper")
    assert found["operation"]["kind"] == OperationKind.CHECK_TARGET
    backup = made_of(actor, row, Target.objects.get(pk=UUID(found["id"])))
    answer = client.post(
        f"/api/v1/backups/{backup.pk}/restore",
        {"as": "new", "name": "again", "node": "keeper"},
        content_type="application/json",
        headers=headers,
    )
    assert answer.status_code == 202, answer.content
    assert Environment.objects.get(name="again").node == keeper
    refused = client.post(
        f"/api/v1/backups/{backup.pk}/restore",
        {"as": "in_place", "node": "keeper"},
        content_type="application/json",
        headers=headers,
    )
    assert refused.status_code == 422
