"""What an environment can go back to: one list of snapshots and backups, on its overview and by the API."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from panel.backups.models import Backup
from panel.backups.services import back_up
from panel.backups.targets import add_target
from panel.environments.features import Point
from panel.environments.models import Environment
from panel.environments.points import WIDTH, placed, points_of
from panel.rights.actor import Actor
from panel.storage.kept import KeptState
from panel.storage.models import Snapshot
from panel.storage.services import take_snapshot
from runtime.contract import BackupMade, JobOutcome
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


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
    made = factories.environment(factories.tenant(quota={"backups": 2, "snapshots": 5}))
    factories.reported(made)
    return made


def _snapshot(actor: Actor, row: Environment, name: str, days: int) -> Snapshot:
    made, _ = take_snapshot(actor, row.pk, name=name)
    row.refresh_from_db()
    factories.reported(row)
    Snapshot.objects.filter(pk=made.pk).update(created_at=timezone.now() - timedelta(days=days))
    return made


def _backup(actor: Actor, row: Environment, name: str, days: int) -> Backup:
    target, _ = add_target(actor, row.tenant, name="archive")
    made, operation = back_up(actor, row.pk, target.pk, name=name)
    told = BackupMade(repository_id="c" * 64, snapshot="5" * 64, bytes=1, added_bytes=1, files=1)
    factories.job_reported(operation, JobOutcome.SUCCEEDED, backup=told)
    proof = {"at": timezone.now().isoformat(), "is_proved": True, "said": {}, "screen": "", "up_after_s": 2}
    Backup.objects.filter(pk=made.pk).update(created_at=timezone.now() - timedelta(days=days), proof=proof)
    return made


def test_an_overview_names_each_with_its_seal_and_leads_to_it(
    client: Client, actor: Actor, row: Environment
) -> None:
    client.force_login(actor.user)
    overview, snapshots, backups = (f"/environments/{row.pk}/{rest}" for rest in ("", "snapshots", "backups"))
    empty = client.get(overview).content.decode()
    assert "Nothing yet: take a" in empty
    assert f'href="{snapshots}"' in empty and f'href="{backups}"' in empty
    old, new = _snapshot(actor, row, "first", 9), _snapshot(actor, row, "later", 1)
    kept = _backup(actor, row, "nightly", 3)
    page = client.get(overview).content.decode()
    ways = [f"{snapshots}#snapshot-{new.pk}", f"{backups}#backup-{kept.pk}", f"{snapshots}#snapshot-{old.pk}"]
    assert sorted(ways, key=page.index) == ways, "the newest first"
    assert "proved" in page and "Nothing yet" not in page
    assert f'id="snapshot-{old.pk}"' in client.get(snapshots).content.decode()
    assert f'id="backup-{kept.pk}"' in client.get(backups).content.decode()


def test_the_api_has_them_all_or_since_a_moment(client: Client, actor: Actor, row: Environment) -> None:
    client.force_login(actor.user)
    _snapshot(actor, row, "first", 9)
    _backup(actor, row, "nightly", 3)
    address = f"/api/v1/environments/{row.pk}/points"
    told = client.get(address).json()
    assert told["count"] == 2
    assert [(one["kind"], one["name"], one["seal"]) for one in told["items"]] == [
        ("backup", "nightly", "proved"),
        ("snapshot", "first", None),
    ]
    assert all(
        (one["reason"], one["state"], one["goes_at"]) == ("asked", "ready", None) for one in told["items"]
    )
    since = (datetime.now(UTC) - timedelta(days=5)).isoformat()
    assert [one["name"] for one in client.get(address, {"since": since}).json()["items"]] == ["nightly"]
    pages = [client.get(address, {"limit": 1, "offset": number}).json() for number in range(3)]
    assert [[one["name"] for one in page["items"]] for page in pages] == [["nightly"], ["first"], []]
    assert {page["count"] for page in pages} == {2}
    client.force_login(factories.member(factories.tenant(), "viewer").user)
    assert client.get(address).status_code == 404


def test_where_they_lie_in_time() -> None:
    now = timezone.now()

    def at(days: float) -> Point:
        moment = now - timedelta(days=days)
        return Point("snapshot", uuid4(), moment, "", "asked", "", KeptState.READY, "")

    assert placed([], now) == []
    assert [one.x for one in placed([at(0), at(5), at(10)], now)] == [WIDTH - 8, WIDTH // 2, 8]
    assert [one.x for one in placed([at(-1)], now)] == [WIDTH - 8], "a clock that is ahead"


def test_no_more_is_read_than_is_shown(client: Client, actor: Actor, row: Environment) -> None:
    """However many there are."""
    Snapshot.objects.bulk_create(
        Snapshot(environment=row, tenant=row.tenant, name=f"s-{number}", generation=1) for number in range(200)
    )
    found = points_of(row, 30)
    assert (len(found.newest), found.count) == (30, 200)
    with CaptureQueriesContext(connection) as told:
        points_of(row, 30)
    read = [one["sql"] for one in told if "COUNT(" not in one["sql"] and "storage_snapshot" in one["sql"]]
    assert read and all("LIMIT 30" in one for one in read)
    client.force_login(actor.user)
    assert "and 170 older ones" in client.get(f"/environments/{row.pk}/").content.decode()
