"""Volumes in the panel: what counts, what the node is asked, where one may go, what a refusal leaves."""

from uuid import uuid4

import pytest
from django.test import Client

from panel.environments.consistency import examine
from panel.environments.models import Environment
from panel.environments.services import (
    delete_environment,
    reinstall,
    undelete_environment,
    update_environment,
)
from panel.environments.specs import spec_of
from panel.errors import Conflict, Forbidden, Invalid, NotFound, QuotaExceeded, Refused
from panel.jobs.models import Job
from panel.operations.control import retry
from panel.operations.models import Operation, OperationState
from panel.quotas.models import Quota, Resource
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from panel.volumes.attaching import attach, detach
from panel.volumes.models import Attachment, AttachmentState, Volume, VolumeClass, VolumeState
from panel.volumes.services import change_volume, create_volume, delete_volume
from panel.volumes.usage import take_in
from runtime.contract import DropVolume, JobOutcome, KeepVolume, Kind, ObservedState, UsageReport, VolumeUse
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor() -> Actor:
    return factories.administrator()


@pytest.fixture
def row() -> Environment:
    factories.node()
    return factories.environment(factories.tenant(quota={"disk_mb": 10_000}))


def _reserved(tenant: Tenant) -> int:
    return Quota.objects.get(tenant=tenant, resource=Resource.DISK_MB).reserved


def _made(actor: Actor, row: Environment, name: str = "data", *, size_mb: int = 100, **more: object) -> Volume:
    volume, operation = create_volume(actor, row.tenant, name=name, size_mb=size_mb, **more)  # type: ignore[arg-type]
    factories.job_reported(operation, JobOutcome.SUCCEEDED)
    volume.refresh_from_db()
    assert volume.state == VolumeState.READY
    return volume


def _wanted(row: Environment) -> list[tuple[str, str, bool]]:
    row.refresh_from_db()
    return [(str(one.volume_id), one.path, one.read_only) for one in spec_of(row).volumes]


def test_its_size_counts_from_the_asking_until_it_is_gone(actor: Actor, row: Environment) -> None:
    own = _reserved(row.tenant)
    volume, operation = create_volume(actor, row.tenant, name="data", size_mb=100)
    work = Job.objects.get(pk=operation.pk).asked.work
    assert isinstance(work, KeepVolume)
    assert (work.volume_id, work.size_mb, work.is_new) == (volume.pk, 100, True)
    assert _reserved(row.tenant) == own + 100
    factories.job_reported(operation, JobOutcome.SUCCEEDED)
    assert examine() == []
    operation = delete_volume(actor, volume.pk)
    assert isinstance(Job.objects.get(pk=operation.pk).asked.work, DropVolume)
    assert _reserved(row.tenant) == own + 100
    factories.job_reported(operation, JobOutcome.SUCCEEDED)
    assert _reserved(row.tenant) == own
    assert not Volume.objects.exists()
    assert examine() == []


def test_one_that_could_not_be_made_leaves_nothing_and_is_asked_for_again(
    actor: Actor, row: Environment
) -> None:
    own = _reserved(row.tenant)
    _, operation = create_volume(actor, row.tenant, name="data", size_mb=100)
    factories.job_reported(operation, JobOutcome.FAILED, code="pool_full")
    assert not Volume.objects.exists()
    assert _reserved(row.tenant) == own
    again = retry(actor, operation.pk)
    assert again is not None
    assert Volume.objects.get().name == "data"
    assert again.retry_of_id == operation.pk


@pytest.mark.parametrize(("size_mb", "ends"), [(300, 300), (40, 40)])
def test_resized_it_counts_as_more_at_once_and_as_less_when_it_is_less(
    actor: Actor, row: Environment, size_mb: int, ends: int
) -> None:
    volume = _made(actor, row)
    before = _reserved(row.tenant)
    _, operation = change_volume(actor, volume.pk, size_mb=size_mb)
    assert operation is not None
    assert _reserved(row.tenant) == before + max(0, size_mb - 100)
    assert examine() == []
    with pytest.raises(Conflict):
        change_volume(actor, volume.pk, size_mb=77)
    factories.job_reported(operation, JobOutcome.SUCCEEDED)
    volume.refresh_from_db()
    assert volume.size_mb == ends
    assert _reserved(row.tenant) == before - 100 + ends
    assert examine() == []


@pytest.mark.parametrize("size_mb", [300, 40])
def test_a_size_that_the_node_refused_is_as_it_was(actor: Actor, row: Environment, size_mb: int) -> None:
    volume = _made(actor, row)
    before = _reserved(row.tenant)
    _, operation = change_volume(actor, volume.pk, size_mb=size_mb)
    assert operation is not None
    factories.job_reported(operation, JobOutcome.FAILED, code="below_used")
    volume.refresh_from_db()
    assert (volume.size_mb, volume.state) == (100, VolumeState.READY)
    assert _reserved(row.tenant) == before
    assert examine() == []


def test_one_for_databases_is_asked_for_as_such_and_stays_so_when_tried_again(
    actor: Actor, row: Environment
) -> None:
    _, operation = create_volume(actor, row.tenant, name="pg", size_mb=100, volume_class=VolumeClass.DATABASE)
    factories.job_reported(operation, JobOutcome.FAILED, code="volume_failed")
    again = retry(actor, operation.pk)
    assert again is not None
    assert Volume.objects.get().volume_class == VolumeClass.DATABASE
    work = Job.objects.get(pk=again.pk).asked.work
    assert isinstance(work, KeepVolume) and work.volume_class == "database"
    with pytest.raises(Invalid) as refused:
        create_volume(actor, row.tenant, name="other", size_mb=100, volume_class="fast")
    assert refused.value.field == "volume_class"


def test_quota_names_and_sizes_are_refused_with_a_sentence(actor: Actor, row: Environment) -> None:
    _made(actor, row)
    for values in (
        {"name": "more", "size_mb": 20_000},
        {"name": "data", "size_mb": 50},
        {"name": "Data!", "size_mb": 50},
        {"name": "small", "size_mb": 1},
        {"name": "vast", "size_mb": 2**40},
        {"name": "there", "size_mb": 50, "node": "nowhere"},
    ):
        with pytest.raises((QuotaExceeded, Conflict, Invalid)):
            create_volume(actor, row.tenant, **values)  # type: ignore[arg-type]
    assert Volume.objects.count() == 1
    assert examine() == []


def test_attached_it_is_in_the_spec_and_there_when_the_node_says_so(actor: Actor, row: Environment) -> None:
    volume = _made(actor, row)
    made, changed = attach(actor, volume.pk, row.pk)
    assert _wanted(row) == [(str(volume.pk), "/mnt/data", False)]
    assert made.state == AttachmentState.ATTACHING
    with pytest.raises(Conflict):
        delete_volume(actor, volume.pk)
    factories.reported(changed.environment)
    made.refresh_from_db()
    assert made.state == AttachmentState.ATTACHED
    changed = detach(actor, volume.pk, row.pk)
    assert _wanted(row) == []
    with pytest.raises(Conflict):
        detach(actor, volume.pk, row.pk)
    factories.reported(changed.environment)
    assert not Attachment.objects.exists()
    delete_volume(actor, volume.pk)


def test_a_place_that_the_node_refused_is_not_asked_for_again(actor: Actor, row: Environment) -> None:
    volume = _made(actor, row)
    _, changed = attach(actor, volume.pk, row.pk, path="/srv/data")
    asked = changed.environment
    factories.reported(
        asked,
        generation=asked.generation - 1,
        attempted_generation=asked.generation,
        code="no_place",
        operation_id=changed.operation.pk if changed.operation else None,
    )
    assert changed.operation is not None
    changed.operation.refresh_from_db()
    assert changed.operation.state == OperationState.FAILED
    assert _wanted(row) == []
    assert row.generation == asked.generation + 1
    assert not Attachment.objects.exists()
    retry(actor, changed.operation.pk)
    assert _wanted(row) == [(str(volume.pk), "/srv/data", False)]


def test_what_is_in_use_stays_attached(actor: Actor, row: Environment) -> None:
    volume = _made(actor, row)
    factories.reported(attach(actor, volume.pk, row.pk)[1].environment)
    changed = detach(actor, volume.pk, row.pk)
    asked = changed.environment
    assert changed.operation is not None
    factories.reported(
        asked,
        generation=asked.generation - 1,
        attempted_generation=asked.generation,
        code="volume_held",
        operation_id=changed.operation.pk,
    )
    assert _wanted(row) == [(str(volume.pk), "/mnt/data", False)]
    assert Attachment.objects.get().state == AttachmentState.ATTACHED


def test_to_one_or_read_only_to_several_or_shared(actor: Actor, row: Environment) -> None:
    volume = _made(actor, row)
    other = factories.environment(row.tenant)
    third = factories.environment(row.tenant)
    attach(actor, volume.pk, row.pk, read_only=True)
    attach(actor, volume.pk, other.pk, read_only=True)
    with pytest.raises(Conflict):
        attach(actor, volume.pk, third.pk)
    change_volume(actor, volume.pk, is_shared=True)
    attach(actor, volume.pk, third.pk)
    with pytest.raises(Conflict):
        change_volume(actor, volume.pk, is_shared=False)


@pytest.mark.parametrize(
    "path",
    ["/", "data", "/proc/data", "/dev", "/run/x", "/mnt/../etc", "/mnt/", "/a b", "/mnt//x", "/" + "a" * 300],
)
def test_an_odd_path_is_refused(actor: Actor, row: Environment, path: str) -> None:
    volume = _made(actor, row)
    with pytest.raises(Invalid):
        attach(actor, volume.pk, row.pk, path=path)
    assert not Attachment.objects.exists()


def test_one_does_not_lie_on_another(actor: Actor, row: Environment) -> None:
    attach(actor, _made(actor, row, "one").pk, row.pk, path="/srv/data")
    for path in ("/srv/data", "/srv", "/srv/data/deep"):
        with pytest.raises(Conflict):
            attach(actor, _made(actor, row, f"v{len(path)}").pk, row.pk, path=path)


def test_it_stays_within_its_tenant(actor: Actor, row: Environment) -> None:
    volume = _made(actor, row)
    strange = factories.environment(factories.tenant())
    with pytest.raises(Conflict):
        attach(actor, volume.pk, strange.pk)
    owner = factories.member(strange.tenant)
    with pytest.raises(NotFound):
        attach(owner, volume.pk, strange.pk)
    viewer = factories.member(row.tenant, "viewer")
    with pytest.raises(Forbidden):
        attach(viewer, volume.pk, row.pk)
    with pytest.raises(NotFound):
        delete_volume(owner, volume.pk)


def test_it_outlives_its_environment(actor: Actor, row: Environment) -> None:
    volume = _made(actor, row)
    factories.reported(attach(actor, volume.pk, row.pk)[1].environment)
    changed = delete_environment(actor, row.pk, now=True)
    factories.reported(changed.environment, ObservedState.DELETED)
    assert not Attachment.objects.exists()
    assert examine() == []
    other = factories.environment(row.tenant)
    attach(actor, volume.pk, other.pk)


def test_in_the_trash_it_is_free_for_others_and_comes_back_with_it(actor: Actor, row: Environment) -> None:
    Tenant.objects.filter(pk=row.tenant_id).update(trash_days=7)
    volume = _made(actor, row)
    factories.reported(attach(actor, volume.pk, row.pk, path="/srv/data")[1].environment)
    changed = delete_environment(actor, row.pk)
    factories.reported(changed.environment, ObservedState.STOPPED)
    assert not Attachment.objects.exists()
    changed = undelete_environment(actor, row.pk)
    assert _wanted(row) == [(str(volume.pk), "/srv/data", False)]


def test_its_use_is_as_its_node_says(actor: Actor, row: Environment) -> None:
    volume = _made(actor, row)
    told = UsageReport(
        node=row.node.name, at=row.created_at, volumes=(VolumeUse(volume_id=volume.pk, bytes=5),)
    )
    take_in(row.node, told)
    take_in(
        factories.node("elsewhere"),
        told.model_copy(update={"volumes": (VolumeUse(volume_id=volume.pk, bytes=9),)}),
    )
    volume.refresh_from_db()
    assert volume.used_bytes == 5
    with pytest.raises(Refused):
        change_volume(actor, uuid4(), size_mb=50)


def test_a_tenant_that_goes_takes_its_volumes_along(actor: Actor, row: Environment) -> None:
    from panel.tenancy import lifecycle

    volume = _made(actor, row)
    factories.reported(delete_environment(actor, row.pk, now=True).environment, ObservedState.DELETED)
    Environment.objects.filter(pk=row.pk).update(slot=None)
    Tenant.objects.filter(pk=row.tenant_id).update(delete_at=row.created_at)
    lifecycle.delete_due()
    operation = Operation.objects.get(kind="delete_volume")
    assert Tenant.objects.filter(pk=row.tenant_id).exists()
    lifecycle.delete_due()
    assert Operation.objects.filter(kind="delete_volume").count() == 1
    factories.job_reported(operation, JobOutcome.SUCCEEDED)
    lifecycle.delete_due()
    assert not Tenant.objects.filter(pk=row.tenant_id).exists()
    assert not Volume.objects.filter(pk=volume.pk).exists()


def test_a_reinstall_leaves_it_attached(actor: Actor, row: Environment) -> None:
    volume = _made(actor, row)
    attach(actor, volume.pk, row.pk)
    reinstall(actor, row.pk)
    assert _wanted(row) == [(str(volume.pk), "/mnt/data", False)]


def test_pages_and_api_from_a_volume_to_its_end(client: Client, actor: Actor, row: Environment) -> None:
    client.force_login(actor.user)
    sent = {
        "name": "data",
        "size_mb": "100",
        "tenant": str(row.tenant_id),
        "node": str(row.node_id),
        "volume_class": "standard",
    }
    assert client.post("/volumes/", {**sent, "name": "No!"}).status_code == 422
    assert client.post("/volumes/", sent).status_code == 302
    volume = Volume.objects.get()
    factories.job_reported(Operation.objects.get(kind="make_volume"), JobOutcome.SUCCEEDED)
    tab = f"/environments/{row.pk}/volumes"
    assert "data (100 MiB)" in client.get(tab).content.decode()
    answer = client.post(f"{tab}/attach", {"volume": str(volume.pk), "path": "/proc/x"})
    assert answer.status_code == 422
    assert client.post(f"{tab}/attach", {"volume": str(volume.pk), "path": ""}).status_code == 302
    row.refresh_from_db()
    factories.reported(row)
    assert "/mnt/data" in client.get(tab).content.decode()
    assert row.name in client.get("/volumes/").content.decode()
    assert client.post(f"/volumes/{volume.pk}/resize", {"size_mb": "1"}).status_code == 422
    shown = client.get(f"/api/v1/volumes/{volume.pk}").json()
    assert [(one["path"], one["state"]) for one in shown["attached"]] == [("/mnt/data", "attached")]
    assert client.post(f"{tab}/{volume.pk}/detach").status_code == 302
    row.refresh_from_db()
    factories.reported(row)
    assert client.post(f"/volumes/{volume.pk}/delete").status_code == 302
    factories.job_reported(Operation.objects.get(kind="delete_volume"), JobOutcome.SUCCEEDED)
    assert "No volume yet" in client.get("/volumes/").content.decode()


def _app(row: Environment, volumes: object) -> Environment:
    values = {"kind": "app", "image": "registry.example.com/a/b:1", "is_running": False}
    return factories.environment(row.tenant, app={"volumes": volumes}, **values)


def test_a_new_app_begins_with_volumes(actor: Actor, row: Environment) -> None:
    factories.node(row.node.name, kinds=(Kind.SYSTEM, Kind.APP))
    data, conf = _made(actor, row), _made(actor, row, "conf")
    made = _app(row, ["data:/srv/data", {"volume": str(conf.pk), "path": "/etc/app", "read_only": True}])
    assert _wanted(made) == [(str(conf.pk), "/etc/app", True), (str(data.pk), "/srv/data", False)]
    assert "volumes" not in made.intent["app"]
    factories.reported(made)
    assert {one.state for one in made.attachments.all()} == {AttachmentState.ATTACHED}


@pytest.mark.parametrize(
    "volumes",
    [
        "data:/srv",
        ["/etc:/etc"],
        ["./data:/srv"],
        ["data"],
        ["data:/srv:rx"],
        ["nothing:/srv"],
        ["data:/proc/x"],
        ["data:/srv", "data:/srv/data"],
        ["taken:/srv"],
        [7],
        [{"volume": "data", "path": "/srv", "mode": "ro"}],
    ],
)
def test_what_names_no_volume_refuses_the_create(actor: Actor, row: Environment, volumes: object) -> None:
    factories.node(row.node.name, kinds=(Kind.SYSTEM, Kind.APP))
    _made(actor, row)
    attach(actor, _made(actor, row, "taken").pk, row.pk)
    with pytest.raises((Invalid, Conflict)):
        _app(row, volumes)
    assert Environment.objects.filter(tenant=row.tenant).count() == 1
    assert Attachment.objects.count() == 1
    assert examine() == []


def test_those_of_one_that_is_there_are_attached(actor: Actor, row: Environment) -> None:
    factories.node(row.node.name, kinds=(Kind.SYSTEM, Kind.APP))
    made = _app(row, [])
    with pytest.raises(Invalid):
        update_environment(actor, made.pk, {"app": {"volumes": ["data:/srv"]}})


def test_who_may_not_run_commands_inside_brings_no_files_in_by_a_volume(
    actor: Actor, row: Environment, client: Client
) -> None:
    """A volume at /root with keys for SSH on it, written to from elsewhere, was root."""
    volume, owner = _made(actor, row), factories.member(row.tenant)
    narrow = ["volume.manage", "environment.view", "environment.change", "tenant.view"]
    asked = {"environment": str(row.pk), "path": "/root"}

    def attach_with(*permissions: str) -> int:
        headers = factories.bearer(owner, row.tenant, *permissions)
        at = f"/api/v1/volumes/{volume.pk}/attach"
        return client.post(at, asked, content_type="application/json", headers=headers).status_code

    assert attach_with(*narrow) == 403
    assert not Attachment.objects.exists()
    assert attach_with(*narrow, "environment.exec") == 202
