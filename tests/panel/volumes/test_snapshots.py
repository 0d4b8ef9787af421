"""Snapshots of volumes in the panel: what counts, what the node is asked, what a refusal leaves, who may."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from panel.environments.consistency import examine
from panel.environments.models import Environment
from panel.errors import Conflict, Forbidden, Invalid, NotFound, QuotaExceeded
from panel.jobs.models import Job
from panel.operations.control import retry
from panel.operations.models import Operation
from panel.quotas.models import Quota, Resource
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from panel.volumes import snapshots
from panel.volumes.attaching import attach
from panel.volumes.models import Volume, VolumeSnapshot, VolumeState
from panel.volumes.services import change_volume, create_volume, delete_all, delete_volume
from runtime.contract import (
    DropVolumeSnapshot,
    JobOutcome,
    KeepVolume,
    RestoreVolume,
    SnapshotMeasured,
    SnapshotVolume,
    VolumeMeasured,
)
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

DONE, FAILED = JobOutcome.SUCCEEDED, JobOutcome.FAILED


@pytest.fixture
def actor() -> Actor:
    return factories.administrator()


@pytest.fixture
def row() -> Environment:
    factories.node()
    return factories.environment(factories.tenant(quota={"disk_mb": 10_000, "snapshots": 3}))


@pytest.fixture
def volume(actor: Actor, row: Environment) -> Volume:
    made, operation = create_volume(actor, row.tenant, name="data", size_mb=100)
    factories.job_reported(operation, DONE)
    made.refresh_from_db()
    return made


def _counted(tenant: Tenant) -> int:
    return Quota.objects.get(tenant=tenant, resource=Resource.SNAPSHOTS).reserved


def _work(operation: Operation) -> Any:
    return Job.objects.get(pk=operation.pk).asked.work


def _taken(actor: Actor, volume: Volume, name: str = "") -> VolumeSnapshot:
    made, operation = snapshots.take(actor, volume.pk, name=name)
    factories.job_reported(operation, DONE)
    made.refresh_from_db()
    return made


def test_one_counts_from_the_asking_until_it_is_gone(actor: Actor, volume: Volume) -> None:
    made, operation = snapshots.take(actor, volume.pk, name="first")
    assert _work(operation) == SnapshotVolume(
        volume_id=volume.pk, tenant_id=volume.tenant_id, size_mb=100, snapshot=made.pk
    )
    assert _counted(volume.tenant) == 1
    told = SnapshotMeasured(snapshot=made.pk, bytes=30, own_bytes=10)
    factories.job_reported(operation, DONE, volume=VolumeMeasured(snapshots=(told,)))
    made.refresh_from_db()
    assert (made.state, made.own_bytes, made.shared_bytes) == ("ready", 10, 20)
    assert examine() == []
    operation = snapshots.delete(actor, volume.pk, made.pk)
    assert isinstance(_work(operation), DropVolumeSnapshot)
    with pytest.raises(Conflict):
        snapshots.restore(actor, volume.pk, made.pk)
    assert _counted(volume.tenant) == 1
    factories.job_reported(operation, DONE)
    assert _counted(volume.tenant) == 0
    assert not VolumeSnapshot.objects.exists()
    assert examine() == []


def test_one_that_could_not_be_made_leaves_nothing_and_is_asked_for_again(actor: Actor, volume: Volume) -> None:
    _, operation = snapshots.take(actor, volume.pk, name="first")
    factories.job_reported(operation, FAILED, code="pool_full")
    assert not VolumeSnapshot.objects.exists()
    assert _counted(volume.tenant) == 0
    again = retry(actor, operation.pk)
    assert again is not None
    assert VolumeSnapshot.objects.get().name == "first"


def test_the_quota_of_snapshots_holds_for_them(actor: Actor, volume: Volume) -> None:
    for _ in range(3):
        _taken(actor, volume)
    with pytest.raises(QuotaExceeded):
        snapshots.take(actor, volume.pk)
    assert VolumeSnapshot.objects.count() == 3
    with pytest.raises(QuotaExceeded):
        snapshots.restore(actor, volume.pk, VolumeSnapshot.objects.all()[0].pk)
    volume.refresh_from_db()
    assert volume.state == VolumeState.READY


def test_going_back_keeps_what_it_was_and_nobody_attaches_it_meanwhile(
    actor: Actor, row: Environment, volume: Volume
) -> None:
    made = _taken(actor, volume, "first")
    operation = snapshots.restore(actor, volume.pk, made.pk)
    kept = VolumeSnapshot.objects.get(reason="restore")
    assert kept.name == "before first"
    work = _work(operation)
    assert isinstance(work, RestoreVolume)
    assert (work.snapshot, work.before) == (made.pk, kept.pk)
    for forbidden in (
        lambda: attach(actor, volume.pk, row.pk),
        lambda: change_volume(actor, volume.pk, size_mb=200),
        lambda: delete_volume(actor, volume.pk),
        lambda: snapshots.take(actor, volume.pk),
        lambda: snapshots.restore(actor, volume.pk, made.pk),
    ):
        with pytest.raises(Conflict) as refused:
            forbidden()
        assert refused.value.code == "busy"
    factories.job_reported(operation, DONE)
    volume.refresh_from_db()
    kept.refresh_from_db()
    assert (volume.state, kept.state) == ("ready", "ready")
    assert _counted(volume.tenant) == 2
    attach(actor, volume.pk, row.pk)


def test_a_restore_that_the_node_refused_leaves_no_snapshot(actor: Actor, volume: Volume) -> None:
    made = _taken(actor, volume)
    operation = snapshots.restore(actor, volume.pk, made.pk)
    factories.job_reported(operation, FAILED, code="volume_held")
    volume.refresh_from_db()
    assert volume.state == VolumeState.READY
    assert [one.pk for one in VolumeSnapshot.objects.all()] == [made.pk]
    assert _counted(volume.tenant) == 1
    again = retry(actor, operation.pk)
    assert again is not None
    assert isinstance(_work(again), RestoreVolume)


def test_an_attached_one_does_not_go_back(actor: Actor, row: Environment, volume: Volume) -> None:
    made = _taken(actor, volume)
    attach(actor, volume.pk, row.pk)
    with pytest.raises(Conflict) as refused:
        snapshots.restore(actor, volume.pk, made.pk)
    assert refused.value.code == "attached"
    assert _counted(volume.tenant) == 1


def test_while_one_is_made_the_size_stays(actor: Actor, volume: Volume) -> None:
    _, operation = snapshots.take(actor, volume.pk)
    with pytest.raises(Conflict):
        change_volume(actor, volume.pk, size_mb=200)
    factories.job_reported(operation, DONE)
    change_volume(actor, volume.pk, size_mb=200)
    with pytest.raises(Conflict):
        snapshots.take(actor, volume.pk)


def test_a_new_volume_of_one_is_as_large_and_is_asked_for_again(actor: Actor, volume: Volume) -> None:
    made = _taken(actor, volume)
    other, operation = snapshots.clone(actor, volume.pk, made.pk, name="other")
    work = _work(operation)
    assert isinstance(work, KeepVolume)
    assert work.copy_of is not None
    assert (work.copy_of.volume_id, work.copy_of.snapshot, work.size_mb) == (volume.pk, made.pk, 100)
    factories.job_reported(operation, FAILED, code="pool_full")
    assert not Volume.objects.filter(pk=other.pk).exists()
    again = retry(actor, operation.pk)
    assert again is not None
    assert _work(again).copy_of == work.copy_of
    factories.job_reported(again, FAILED, code="pool_full")
    factories.job_reported(snapshots.delete(actor, volume.pk, made.pk), DONE)
    with pytest.raises(NotFound):
        retry(actor, again.pk)


def test_with_its_volume_they_go(actor: Actor, volume: Volume) -> None:
    _taken(actor, volume)
    factories.job_reported(delete_volume(actor, volume.pk), DONE)
    assert not VolumeSnapshot.objects.exists()
    assert _counted(volume.tenant) == 0
    assert examine() == []


def test_with_their_tenant_they_go(actor: Actor, volume: Volume) -> None:
    _taken(actor, volume)
    assert not delete_all(volume.tenant)
    factories.job_reported(Operation.objects.get(kind="delete_volume"), DONE)
    assert delete_all(volume.tenant)
    assert not VolumeSnapshot.objects.exists()


@pytest.mark.parametrize("role", ["viewer", "billing"])
def test_who_may_not_manage_volumes_takes_none(volume: Volume, role: str, actor: Actor) -> None:
    other = factories.member(volume.tenant, role)
    made = _taken(actor, volume)
    for forbidden in (
        lambda: snapshots.take(other, volume.pk),
        lambda: snapshots.delete(other, volume.pk, made.pk),
        lambda: snapshots.restore(other, volume.pk, made.pk),
        lambda: snapshots.clone(other, volume.pk, made.pk, name="other"),
    ):
        with pytest.raises((Forbidden, NotFound)):
            forbidden()


def test_of_another_volume_or_nobodys_there_is_none(actor: Actor, volume: Volume) -> None:
    other, operation = create_volume(actor, volume.tenant, name="other", size_mb=100)
    factories.job_reported(operation, DONE)
    made = _taken(actor, volume)
    for pk in (made.pk, uuid4()):
        with pytest.raises(NotFound):
            snapshots.restore(actor, other.pk, pk)
        with pytest.raises(NotFound):
            snapshots.clone(actor, other.pk, pk, name="third")


def test_what_cannot_be_is_refused_with_its_field(actor: Actor, volume: Volume) -> None:
    made = _taken(actor, volume)
    with pytest.raises(Invalid) as refused:
        snapshots.take(actor, volume.pk, name="a\nb")
    assert refused.value.field == "name"
    with pytest.raises(Invalid):
        snapshots.clone(actor, volume.pk, made.pk, name="other", size_mb=1)
    with pytest.raises(Conflict):
        snapshots.clone(actor, volume.pk, made.pk, name="data")


def test_page_and_api_from_a_snapshot_to_its_end(client: Client, actor: Actor, volume: Volume) -> None:
    client.force_login(actor.user)
    at, api = f"/volumes/{volume.pk}", f"/api/v1/volumes/{volume.pk}/snapshots"
    assert "No snapshot yet" in client.get(f"{at}/").content.decode()
    assert client.post(f"{at}/snapshots/take", {"name": "first"}).status_code == 302
    told = SnapshotMeasured(snapshot=VolumeSnapshot.objects.get().pk, bytes=30 * 2**20, own_bytes=10 * 2**20)
    factories.job_reported(
        Operation.objects.get(kind="snapshot_volume"), DONE, volume=VolumeMeasured(snapshots=(told,))
    )
    text = client.get(f"{at}/").content.decode()
    assert "first" in text
    assert "10 MiB its own, 20 MiB shared" in " ".join(text.split())
    [shown] = client.get(api).json()["items"]
    assert (shown["own_bytes"], shown["shared_bytes"]) == (10 * 2**20, 20 * 2**20)
    one = UUID(shown["id"])
    assert client.post(f"{at}/snapshots/{one}/clone", {"name": "No!"}).status_code == 422
    assert client.post(f"{at}/snapshots/{one}/clone", {"name": "other"}).status_code == 302
    assert client.post(f"{at}/snapshots/{one}/restore").status_code == 302
    factories.job_reported(Operation.objects.get(kind="restore_volume"), DONE)
    assert client.get(f"{api}/{one}").json()["state"] == "ready"
    assert client.post(f"{at}/snapshots/{one}/delete").status_code == 302
    factories.job_reported(Operation.objects.get(kind="delete_snapshot"), DONE)
    assert client.get(f"{api}/{one}").status_code == 404
