"""Targets on servers in the panel: what is refused, what is kept secret, whom a stored word is shown to."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from django.conf import settings
from django.test import Client

from panel import at_rest
from panel.audit.models import AuditRecord
from panel.backups.models import Backup, Target
from panel.backups.restore import restore_as_new
from panel.backups.services import back_up, delete_backup
from panel.environments.models import Environment
from panel.environments.services import delete_environment
from panel.environments.specs import spec_of
from panel.jobs.models import Job
from panel.nodes.sealed import key_of
from panel.operations.control import retry
from panel.operations.models import Operation, OperationKind, OperationState
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from runtime.contract import (
    BackupMade,
    BackupSecrets,
    CheckTarget,
    ForgetBackup,
    JobOutcome,
    S3Keys,
    SftpLogin,
    SftpPlace,
    TargetSeen,
)
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
WORD, SECRET = "the-word-of-the-account", "the-secret-of-the-bucket"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJeaq+FXuwagAoOJxNW7w0RRzm+bFXXRAf2TN/psc/Ox"
SFTP = {
    "kind": "sftp", "host": "backups.example.com", "user": "acme", "path": "wadah", "login_password": WORD,
}  # fmt: skip
S3 = {
    "kind": "s3", "endpoint": "https://s3.example.com", "bucket": "acme-backups", "prefix": "wadah",
    "access_key": "AKIAACME", "secret_key": SECRET,
}  # fmt: skip
MADE = BackupMade(snapshot="ab" * 32, repository_id="cd" * 32, bytes=9, added_bytes=9, files=3)


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


class Asking:
    """Of the API, as one person."""

    def __init__(self, client: Client, actor: Actor, of: Tenant | None = None, role: str = ""):
        self.client, self.headers = client, factories.bearer(actor, of, *self._words(of, role), role=role)

    @staticmethod
    def _words(of: Tenant | None, role: str) -> list[str]:
        if role:
            return []
        return ["*"] if of is None else ["backup.manage", "environment.view", "tenant.view"]

    def __call__(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        answer = self.client.generic(
            method,
            f"/api/v1{path}",
            json.dumps(body) if body is not None else "",
            content_type="application/json",
            headers=self.headers,
        )
        return answer.status_code, json.loads(answer.content or b"null")


@pytest.fixture
def administrator(client: Client) -> Asking:
    return Asking(client, factories.administrator())


@pytest.fixture
def owner(client: Client, row: Environment) -> Asking:
    return Asking(client, factories.member(row.tenant), row.tenant)


def added(asking: Asking, row: Environment, document: dict[str, Any], **more: Any) -> Any:
    status, found = asking(
        "POST", "/backup-targets", {"tenant": str(row.tenant_id), "name": "far", **document, **more}
    )
    assert status == 201, found
    return found


def checked(of: str, outcome: JobOutcome = JobOutcome.SUCCEEDED, **report: Any) -> None:
    for one in Operation.objects.filter(kind=OperationKind.CHECK_TARGET, state=OperationState.PENDING):
        if one.details["check_target"] == of:
            factories.job_reported(one, outcome, **report)


@pytest.mark.parametrize(("document", "secret"), [(SFTP, WORD), (S3, SECRET)])
def test_what_opens_it_is_in_no_answer_job_audit_or_column(
    owner: Asking, row: Environment, document: dict[str, Any], secret: str
) -> None:
    found = added(owner, row, document)
    assert found["node"] is None
    _, listed = owner("GET", "/backup-targets")
    target = Target.objects.get()
    job = Job.objects.get()
    kept = json.dumps(
        [
            found,
            listed,
            job.spec,
            target.login,
            target.place,
            *AuditRecord.objects.values_list("after", flat=True),
        ],
        default=str,
    )
    assert secret not in kept
    work = job.asked.work
    assert isinstance(work, CheckTarget)
    opened = BackupSecrets.opened(work.secrets, work.repository, key=key_of(row.node.name))
    assert opened.login is not None
    assert secret in opened.login.model_dump_json()
    assert isinstance(opened.login, SftpLogin | S3Keys)
    assert opened.password == found["password"]
    # another place under the same words opens nothing
    assert work.repository.place is not None
    stolen = work.repository.model_copy(
        update={"place": work.repository.place.model_copy(update={"is_inward": True})}
    )
    with pytest.raises(ValueError, match="opened"):
        BackupSecrets.opened(work.secrets, stolen, key=key_of(row.node.name))


def test_the_key_of_a_server_is_pinned_by_the_first_check_shown_and_forgotten_on_demand(
    owner: Asking, row: Environment
) -> None:
    found = added(owner, row, SFTP)
    at = f"/backup-targets/{found['id']}"
    assert found["host_key_fingerprint"] is None
    checked(found["id"], target=TargetSeen(repository_id="cd" * 32, host_key=HOST_KEY))
    _, shown = owner("GET", at)
    assert shown["host_key_fingerprint"].startswith("SHA256:")
    assert shown["place"]["host_key"] == HOST_KEY
    assert (shown["is_made"], shown["problem"]) == (True, "")
    assert shown["checked_at"]
    owner("POST", f"{at}/check")
    other = HOST_KEY.replace("JeaqFX"[:1], "K", 1)
    checked(found["id"], target=TargetSeen(repository_id="cd" * 32, host_key=other))
    assert owner("GET", at)[1]["place"]["host_key"] == HOST_KEY  # the first one stays
    owner("POST", f"{at}/check")
    checked(found["id"], JobOutcome.FAILED, code="host_key_changed", message="Another key.")
    assert "Another key." in owner("GET", at)[1]["problem"]
    status, changed = owner("PATCH", at, {"host_key": ""})
    assert (status, changed["host_key_fingerprint"], changed["problem"]) == (200, None, "")


def test_a_check_is_tried_again_and_is_for_who_manages_backups(
    owner: Asking, client: Client, row: Environment
) -> None:
    found = added(owner, row, S3)
    checked(found["id"], JobOutcome.FAILED, code="target_unreachable", message="Not there.")
    failed = Operation.objects.get(kind=OperationKind.CHECK_TARGET)
    assert failed.state == OperationState.FAILED
    again = retry(factories.administrator(), failed.pk)
    assert again is not None
    assert again.kind == OperationKind.CHECK_TARGET
    viewer = Asking(client, factories.member(row.tenant), row.tenant, role="viewer")
    assert viewer("POST", f"/backup-targets/{found['id']}/check")[0] == 403
    assert viewer("PATCH", f"/backup-targets/{found['id']}", {"prefix": "x"})[0] == 403
    another = factories.tenant()
    stranger = Asking(client, factories.member(another), another)
    assert stranger("POST", f"/backup-targets/{found['id']}/check")[0] == 404


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({**SFTP, "host": "-oProxyCommand=id"}, "host"),
        ({**SFTP, "host": "a b"}, "host"),
        ({**SFTP, "host": "user@host"}, "host"),
        ({**SFTP, "host": ""}, "host"),
        ({**SFTP, "user": "-l"}, "user"),
        ({**SFTP, "path": "../other"}, "path"),
        ({**SFTP, "path": "a b;id"}, "path"),
        ({**SFTP, "port": 0}, "port"),
        ({**SFTP, "host_key": "ssh-ed25519"}, "host_key"),
        ({**SFTP, "host_key": "ssh-ed25519 AAAA\nother"}, "host_key"),
        ({**SFTP, "login_password": ""}, "login_password"),
        ({**SFTP, "login_password": "two\nlines"}, "password"),
        ({**SFTP, "private_key": "no key"}, "private_key"),
        ({**SFTP, "bucket": "acme"}, "bucket"),
        ({**S3, "endpoint": "http://s3.example.com"}, "endpoint"),
        ({**S3, "endpoint": "https://key:word@s3.example.com"}, "endpoint"),
        ({**S3, "endpoint": "https://s3.example.com/path"}, "endpoint"),
        ({**S3, "endpoint": "ftp://s3.example.com"}, "endpoint"),
        ({**S3, "endpoint": "https://"}, "endpoint"),
        ({**S3, "endpoint": "https://s3.example.com:99999"}, "endpoint"),
        ({**S3, "bucket": "A"}, "bucket"),
        ({**S3, "prefix": "a/../b"}, "prefix"),
        ({**S3, "access_key": ""}, "access_key"),
        ({**S3, "secret_key": "two words"}, "secret_key"),
        ({**S3, "ca": "\x00"}, "ca"),
        ({**S3, "node": "node-1"}, "node"),
        ({"kind": "ftp"}, "kind"),
        ({"kind": "directory", "host": "backups.example.com"}, "host"),
    ],
)
def test_what_no_server_is_called_is_refused_by_its_field(
    owner: Asking, row: Environment, document: dict[str, Any], field: str
) -> None:
    status, said = owner("POST", "/backup-targets", {"tenant": str(row.tenant_id), "name": "far", **document})
    assert (status, said.get("field")) == (422, field), said
    assert not Target.objects.exists()
    assert WORD not in str(said)
    assert SECRET not in str(said)


def _key(word: str = "") -> str:
    private = Ed25519PrivateKey.generate()
    if word:
        locked = BestAvailableEncryption(word.encode())
        return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked).decode()
    return private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def test_a_private_key_is_taken_without_a_passphrase_alone(owner: Asking, row: Environment) -> None:
    document = {**SFTP, "login_password": "", "tenant": str(row.tenant_id), "name": "far"}
    status, said = owner("POST", "/backup-targets", {**document, "private_key": _key("word")})
    assert (status, said["field"]) == (422, "private_key")
    assert owner("POST", "/backup-targets", {**document, "private_key": _key()})[0] == 201


def test_what_is_inward_and_what_is_bounded_is_for_administrators(
    owner: Asking, administrator: Asking, row: Environment
) -> None:
    near = {**SFTP, "host": "10.0.0.5", "inward": True}
    document = {"tenant": str(row.tenant_id), "name": "far", **near}
    assert owner("POST", "/backup-targets", document)[0] == 403
    assert not Target.objects.exists()
    at = f"/backup-targets/{added(administrator, row, near)['id']}"
    assert owner("PATCH", at, {"upload_mbit_s": 10})[0] == 403
    assert owner("PATCH", at, {"host": "10.0.0.6", "login_password": WORD})[0] == 403  # led elsewhere inside
    assert owner("PATCH", at, {"path": "other"})[0] == 403
    assert administrator("PATCH", at, {"upload_mbit_s": 0})[0] == 422
    status, changed = administrator("PATCH", at, {"upload_mbit_s": 10, "download_mbit_s": 100})
    assert (status, changed["upload_mbit_s"], changed["download_mbit_s"]) == (200, 10, 100)
    owner("POST", f"{at}/check")
    work = Job.objects.order_by("-sent_at").first()
    assert work is not None
    assert isinstance(work.asked.work, CheckTarget)
    assert work.asked.work.repository.upload_mbit_s == 10
    assert owner("PATCH", at, {"login_password": "another-word"})[0] == 200
    assert administrator("PATCH", at, {"upload_mbit_s": None})[1]["upload_mbit_s"] is None


def test_another_server_is_not_shown_what_opened_the_old_one(owner: Asking, row: Environment) -> None:
    at = f"/backup-targets/{added(owner, row, {**SFTP, 'host_key': HOST_KEY + ' me@home'})['id']}"
    assert owner("GET", at)[1]["place"]["host_key"] == HOST_KEY
    for moved in ({"host": "evil.example.com"}, {"port": 2222}, {"user": "other"}):
        status, said = owner("PATCH", at, moved)
        assert (status, said["field"]) == (422, "private_key"), said
    status, changed = owner("PATCH", at, {"host": "new.example.com", "login_password": "its-own"})
    assert (status, changed["place"]["host"], changed["host_key_fingerprint"]) == (200, "new.example.com", None)
    assert owner("PATCH", at, {"path": "elsewhere"})[0] == 200
    assert "its-own" in at_rest.plain(Target.objects.get().login)
    assert owner("PATCH", at, {"bucket": "acme"})[0] == 422


def test_of_a_server_every_node_makes_backups_and_reads_them(
    administrator: Asking, row: Environment, tmp_path: Path
) -> None:
    far = added(administrator, row, SFTP)
    target = Target.objects.get(pk=far["id"])
    actor = factories.administrator()
    made, operation = back_up(actor, row.pk, target.pk)
    factories.job_reported(
        operation, JobOutcome.SUCCEEDED, backup=MADE.model_copy(update={"host_key": HOST_KEY})
    )
    target.refresh_from_db()
    assert target.place is not None
    assert (target.place["host_key"], target.repository_id) == (HOST_KEY, MADE.repository_id)
    other = factories.node()
    (tmp_path / "etc" / "nodes" / f"{other.name}.key").write_bytes(b"of the other one")
    row.node.state = "draining"  # what is new goes to the other
    row.node.save()
    changed = restore_as_new(actor, made.pk, name="moved")
    assert changed.environment.node_id == other.pk
    spec = spec_of(changed.environment)
    assert spec.origin is not None
    assert spec.origin.backup is not None
    place = spec.origin.backup.repository.place
    assert isinstance(place, SftpPlace)
    opened = BackupSecrets.opened(
        spec.origin.backup.secrets, spec.origin.backup.repository, key=b"of the other one"
    )
    assert opened.login is not None
    row.node.state = "enabled"
    row.node.save()
    delete_environment(actor, row.pk, now=True)
    factories.gone(row)
    going = delete_backup(actor, made.pk)
    assert isinstance(Job.objects.get(pk=going.pk).asked.work, ForgetBackup)
    factories.job_reported(going, JobOutcome.SUCCEEDED)
    assert not Backup.objects.exists()


def test_its_key_at_rest_is_exchanged(owner: Asking, row: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.fernet import Fernet

    added(owner, row, S3)
    newer = [Fernet.generate_key().decode(), *settings.SECRETS.field_keys]
    assert at_rest.encrypt_anew(Target.objects.all(), "login", newer) == 1
    stored = Target.objects.get().login
    assert SECRET.encode() in at_rest.box(newer[:1]).decrypt(stored)
