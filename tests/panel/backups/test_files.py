"""Files of a backup in the panel: who may look, what is no path, what the node is asked; putting back."""

import json
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from panel.audit.models import AuditRecord
from panel.backups import files
from panel.backups.models import Backup
from panel.backups.services import back_up
from panel.backups.targets import add_target
from panel.environments.models import Environment
from panel.environments.services import delete_environment
from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.jobs.models import Job
from panel.nodes.agent import Agent
from panel.operations.control import retry
from panel.rights.actor import Actor
from runtime.contract import BackupLook, BackupMade, JobOutcome, PutBackFiles
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
MADE = BackupMade(snapshot="ab" * 32, repository_id="cd" * 32, bytes=50 * 2**20, added_bytes=9, files=3)
ENTRY = {
    "name": "hosts", "raw": "aG9zdHM=", "sort": "file", "size": 7, "mode": "0644", "uid": 0, "gid": 0,
    "changed_at": 1.0, "target": "",
}  # fmt: skip


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
def backup(actor: Actor, row: Environment) -> Backup:
    target, _ = add_target(actor, row.tenant, name="nightly", password="of the tenant alone")
    made, operation = back_up(actor, row.pk, target.pk)
    factories.job_reported(operation, JobOutcome.SUCCEEDED, backup=MADE)
    made.refresh_from_db()
    return made


def test_the_node_is_asked_with_what_it_alone_can_open(
    actor: Actor, row: Environment, backup: Backup, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[tuple[str, str, bytes]]()

    async def ask(
        self: Agent, method: str, path: str, ticket: str, data: bytes = b"", *, timeout_s: float = 1
    ) -> dict[str, object]:
        asked.append((method, path, data))
        return {"entries": [ENTRY], "total": 1, "next": ""}

    monkeypatch.setattr(Agent, "ask", ask)
    headers = factories.bearer(actor, None, "*")
    found = client.get(f"/api/v1/backups/{backup.pk}/files", {"path": "/etc"}, headers=headers)
    assert found.status_code == 200, found.content
    [entry] = found.json()["items"]
    assert (entry["name"], entry["type"], entry["size"]) == ("hosts", "file", 7)
    [(method, path, body)] = asked
    assert (method, path) == ("POST", f"/v1/environments/{row.pk}/backup/files")
    assert b"of the tenant alone" not in body
    assert BackupLook.model_validate_json(body).path == "/etc"


def test_a_node_that_is_away_is_said(actor: Actor, backup: Backup, client: Client) -> None:
    headers = factories.bearer(actor, None, "*")
    url = f"/api/v1/backups/{backup.pk}/files"
    for path in ("", "/content", "/archive"):
        answer = client.get(f"{url}{path}", {"path": "/etc"}, headers=headers)
        assert answer.status_code == 503, answer.content
    assert AuditRecord.objects.filter(action="environment.file_read").count() == 2


def test_who_may_run_commands_inside_may_look_and_put_back(row: Environment, backup: Backup) -> None:
    operator = factories.member(row.tenant, "operator")
    files.list_files(operator, backup.pk, "etc").place.give_back()
    for look in (files.list_files, files.put_back):
        with pytest.raises(Forbidden):
            look(factories.member(row.tenant, "viewer"), backup.pk, "etc")  # type: ignore[operator]
        with pytest.raises(NotFound):
            look(factories.member(factories.tenant()), backup.pk, "etc")  # type: ignore[operator]


@pytest.mark.parametrize(("path", "path64"), [("../x", ""), ("a\0b", ""), ("x" * 5000, ""), ("", "//4=")])
def test_what_is_no_path_is_refused(actor: Actor, backup: Backup, path: str, path64: str) -> None:
    with pytest.raises(Invalid):
        files.list_files(actor, backup.pk, path, path64)
    for nothing in ("", "/", "./"):
        with pytest.raises(Invalid):
            files.put_back(actor, backup.pk, nothing)


def test_putting_back_is_an_operation_that_is_tried_again(
    actor: Actor, row: Environment, backup: Backup, client: Client
) -> None:
    headers = factories.bearer(actor, None, "*")
    url = f"/api/v1/backups/{backup.pk}/put-back"
    said = client.post(
        url, json.dumps({"path": "/etc/fstab"}), content_type="application/json", headers=headers
    )
    assert said.status_code == 202, said.content
    operation = Job.objects.get(pk=said.json()["operation"]["id"]).operation
    work = operation.jobs.get().asked.work
    assert isinstance(work, PutBackFiles)
    assert (work.path, work.environment_id) == ("/etc/fstab", row.pk)
    factories.job_reported(operation, JobOutcome.FAILED, code="target_gone", message="No.")
    again = retry(actor, operation.pk)
    assert again is not None
    factories.job_reported(again, JobOutcome.SUCCEEDED)
    backup.refresh_from_db()
    assert backup.state == "ready"
    client.force_login(actor.user)
    assert client.get(f"/backups/{backup.pk}/files").status_code == 200


def test_of_an_environment_that_is_gone_files_are_seen_and_not_put_back(
    actor: Actor, row: Environment, backup: Backup
) -> None:
    delete_environment(actor, row.pk, now=True)
    with pytest.raises(Conflict):
        files.put_back(actor, backup.pk, "/etc")
    factories.gone(row)
    files.list_files(actor, backup.pk, "/etc").place.give_back()
