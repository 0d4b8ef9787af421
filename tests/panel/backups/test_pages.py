"""Pages of backups: a person names a target, backs up, goes back, makes a new one, deletes; and who may not."""

from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from panel.backups.models import Backup, Target
from panel.backups.targets import add_target
from panel.environments.models import Environment
from panel.environments.services import delete_environment
from panel.operations.models import Operation
from panel.rights.actor import Actor
from panel.storage.kept import KeptState
from runtime.contract import BackupMade, JobOutcome
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
MADE = BackupMade(snapshot="ab" * 32, repository_id="cd" * 32, bytes=50 * 2**20, added_bytes=9, files=3)


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
    return made


@pytest.fixture
def signed(client: Client, actor: Actor) -> Client:
    client.force_login(actor.user)
    return client


def _made(row: Environment) -> Backup:
    """The newest of it, once its node has said that it is."""
    backup = Backup.objects.filter(of=row.pk).first()
    assert backup is not None
    operation = Operation.objects.get(kind="backup", details__backup=str(backup.pk))
    factories.job_reported(operation, JobOutcome.SUCCEEDED, backup=MADE)
    backup.refresh_from_db()
    return backup


def test_from_a_target_to_a_backup_and_back(signed: Client, row: Environment) -> None:
    tab = f"/environments/{row.pk}/backups"
    assert "no target yet" in signed.get(tab).content.decode()
    sent = {"name": "nightly", "tenant": str(row.tenant_id), "node": str(row.node_id), "password": ""}
    answer = signed.post("/backups/", sent, follow=True)
    assert 'id="target-password"' in answer.content.decode()
    assert 'id="target-password"' not in signed.get("/backups/").content.decode()
    target = Target.objects.get()
    answer = signed.post(f"{tab}/make", {"target": str(target.pk), "name": "before"}, follow=True)
    assert "before" in answer.content.decode()
    backup = _made(row)
    page = signed.get(tab).content.decode()
    assert "50 MiB" in page
    assert f"/backups/{backup.pk}/restore" in page
    assert signed.post(f"/backups/{backup.pk}/restore").status_code == 302
    assert Operation.objects.filter(environment=row, kind="restore").exists()
    assert signed.post(f"/backups/{backup.pk}/delete", {"typed_name": row.name})["Location"] == tab
    backup.refresh_from_db()
    assert backup.state is KeptState.GOING


def test_a_new_one_from_it_and_a_name_that_is_none(signed: Client, actor: Actor, row: Environment) -> None:
    target = add_target(actor, row.tenant, name="nightly")[0]
    signed.post(f"/environments/{row.pk}/backups/make", {"target": str(target.pk)})
    backup = _made(row)
    wrong = signed.post(f"/backups/{backup.pk}/new", {"name": "No Name"})
    assert wrong.status_code == 422
    assert "No Name" in wrong.content.decode()
    answer = signed.post(f"/backups/{backup.pk}/new", {"name": "again"})
    made = Environment.objects.get(name="again")
    assert answer["Location"] == f"/environments/{made.pk}/"


def test_what_outlives_its_environment_stands_with_the_targets(
    signed: Client, actor: Actor, row: Environment
) -> None:
    target = add_target(actor, row.tenant, name="nightly")[0]
    signed.post(f"/environments/{row.pk}/backups/make", {"target": str(target.pk), "name": "the-last"})
    backup = _made(row)
    assert "the-last" not in signed.get("/backups/").content.decode()
    delete_environment(actor, row.pk, now=True)
    factories.gone(row)
    page = signed.get("/backups/").content.decode()
    assert "the-last" in page
    assert f"/backups/{backup.pk}/new" in page
    assert f"/backups/{backup.pk}/restore" not in page
    assert signed.post(f"/backups/{backup.pk}/delete", {"typed_name": row.name})["Location"] == "/backups/"


def test_a_target_of_any_of_several_tenants(signed: Client, row: Environment) -> None:
    tenants = [row.tenant, factories.tenant(), factories.tenant()]
    for number, one in enumerate(tenants):
        sent = {"name": f"nightly-{number}", "tenant": str(one.pk), "node": str(row.node_id)}
        assert signed.post("/backups/", sent).status_code == 302
    assert {one.tenant_id for one in Target.objects.all()} == {one.pk for one in tenants}


def test_those_left_are_shown_however_many_others_there_are(
    signed: Client, actor: Actor, row: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("panel.backups.views._MOST_SHOWN", 1)
    target = add_target(actor, row.tenant, name="nightly")[0]
    gone = factories.environment(row.tenant)
    for one, name in ((gone, "the-last"), (row, "a-newer-one")):
        factories.reported(one)
        signed.post(f"/environments/{one.pk}/backups/make", {"target": str(target.pk), "name": name})
        _made(one)
    delete_environment(actor, gone.pk, now=True)
    factories.gone(gone)
    page = signed.get("/backups/").content.decode()
    assert "the-last" in page
    assert "a-newer-one" not in page


def test_more_backups_cost_no_more_queries(signed: Client, actor: Actor, row: Environment) -> None:
    target = add_target(actor, row.tenant, name="nightly")[0]
    tab = f"/environments/{row.pk}/backups"

    def queries() -> int:
        signed.post(f"{tab}/make", {"target": str(target.pk)})
        _made(row)
        with CaptureQueriesContext(connection) as seen:
            assert signed.get(tab).status_code == 200
        return len(seen.captured_queries)

    few = [queries() for _ in range(2)][-1]
    many = min(queries() for _ in range(4))  # now and then one more, which notes when its person was seen
    assert many <= few


def test_one_that_failed_is_told_of(signed: Client, actor: Actor, row: Environment) -> None:
    target = add_target(actor, row.tenant, name="nightly")[0]
    tab = f"/environments/{row.pk}/backups"
    signed.post(f"{tab}/make", {"target": str(target.pk)})
    assert "The last backup failed" not in signed.get(tab).content.decode()
    operation = Operation.objects.get(kind="backup")
    factories.job_reported(operation, JobOutcome.FAILED)
    page = signed.get(tab).content.decode()
    assert "The last backup failed." in page
    assert f"/operations/{operation.pk}" in page


def test_a_viewer_sees_and_is_offered_nothing(client: Client, actor: Actor, row: Environment) -> None:
    target = add_target(actor, row.tenant, name="nightly")[0]
    client.force_login(factories.member(row.tenant, "viewer").user)
    page = client.get(f"/environments/{row.pk}/backups").content.decode()
    assert "Back up now" not in page
    sent = {"target": str(target.pk)}
    assert client.post(f"/environments/{row.pk}/backups/make", sent).status_code == 403
    sent = {"name": "x", "tenant": str(row.tenant_id), "node": str(row.node_id)}
    assert client.post("/backups/", sent).status_code == 422
    assert not Backup.objects.exists()
