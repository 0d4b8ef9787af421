"""Snapshots in the panel: what the node is told, what counts, what happens where the node refuses."""

import json
import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.utils import timezone

from panel.environments.consistency import examine
from panel.environments.models import Environment
from panel.environments.services import delete_environment, reinstall, update_environment
from panel.environments.services.operations import retry_operation
from panel.environments.specs import spec_of
from panel.errors import Conflict, Forbidden, NotFound
from panel.operations.models import OperationState
from panel.people.roles import create_role
from panel.plans.services import create_plan
from panel.quotas.models import Quota, Resource
from panel.rights.actor import Actor
from panel.storage.kept import KeptState
from panel.storage.models import Origin, Reason, Snapshot
from panel.storage.services import (
    clone_snapshot,
    delete_snapshot,
    expire,
    restore_snapshot,
    take_snapshot,
)
from panel.tenancy.services import update_tenant
from panel.tenants.models import Membership
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor() -> Actor:
    return factories.administrator()


@pytest.fixture
def row() -> Environment:
    factories.node()
    made = factories.environment(factories.tenant(quota={"snapshots": 5}))
    factories.reported(made)
    made.refresh_from_db()
    return made


def _reserved(row: Environment) -> float:
    return Quota.objects.get(tenant=row.tenant, resource=Resource.SNAPSHOTS).reserved


def _done(row: Environment) -> None:
    row.refresh_from_db()
    factories.reported(row)
    row.refresh_from_db()


def _refused(row: Environment, code: str = "snapshot_missing") -> None:
    """The node tried the newest, and keeps to what was."""
    row.refresh_from_db()
    factories.reported(
        row, generation=row.generation - 1, attempted_generation=row.generation, code=code, message="No."
    )
    row.refresh_from_db()


def _taken(actor: Actor, row: Environment, name: str = "") -> Snapshot:
    made, _changed = take_snapshot(actor, row.pk, name=name)
    _done(row)
    made.refresh_from_db()
    return made


def test_the_node_is_told_of_each_oldest_first_and_it_is_ready_when_it_says_so(
    actor: Actor, row: Environment
) -> None:
    first, changed = take_snapshot(actor, row.pk)
    assert first.state == KeptState.MAKING
    assert first.name.startswith("20")
    assert changed.operation is not None
    second, _ = take_snapshot(actor, row.pk, name="before the upgrade")
    row.refresh_from_db()
    assert spec_of(row).snapshots == (first.pk, second.pk)
    _done(row)
    assert {one.state for one in Snapshot.objects.all()} == {KeptState.READY}
    assert _reserved(row) == 2
    assert examine() == []


def test_one_that_the_node_refused_is_gone_and_counts_no_more(actor: Actor, row: Environment) -> None:
    _made, changed = take_snapshot(actor, row.pk)
    _refused(row, "quota_full")
    assert not Snapshot.objects.exists()
    assert _reserved(row) == 0
    assert changed.operation is not None
    changed.operation.refresh_from_db()
    assert changed.operation.state == OperationState.FAILED
    again = retry_operation(actor, changed.operation.pk)
    assert Snapshot.objects.get().generation == again.environment.generation
    assert examine() == []


def test_a_deleted_one_counts_until_the_node_took_it_away(actor: Actor, row: Environment) -> None:
    made = _taken(actor, row)
    delete_snapshot(actor, row.pk, made.pk)
    row.refresh_from_db()
    assert spec_of(row).snapshots == ()
    assert _reserved(row) == 1
    with pytest.raises(Conflict, match="being deleted"):
        delete_snapshot(actor, row.pk, made.pk)
    _done(row)
    assert _reserved(row) == 0
    with pytest.raises(NotFound):
        restore_snapshot(actor, row.pk, made.pk)


def test_restored_with_what_it_was_until_now_kept(actor: Actor, row: Environment) -> None:
    made = _taken(actor, row, "good")
    restore_snapshot(actor, row.pk, made.pk)
    row.refresh_from_db()
    spec = spec_of(row)
    assert spec.installs == 1
    assert spec.origin is not None
    assert (spec.origin.environment_id, spec.origin.snapshot) == (row.pk, made.pk)
    kept = Snapshot.objects.get(reason="restore")
    assert spec.snapshots == (made.pk, kept.pk)
    assert kept.name == "before good"
    _done(row)
    update_environment(actor, row.pk, {"description": "later"})
    row.refresh_from_db()
    assert spec_of(row).origin == spec.origin
    reinstall(actor, row.pk)
    row.refresh_from_db()
    assert spec_of(row).origin is None, "a root from its image has no origin"


def test_a_restore_that_the_node_refused_is_not_asked_for_again_by_the_next_change(
    actor: Actor, row: Environment
) -> None:
    made = _taken(actor, row)
    restore_snapshot(actor, row.pk, made.pk, keeps_current=False)
    _done(row)
    was = spec_of(row)
    restore_snapshot(actor, row.pk, made.pk)
    _refused(row)
    now = spec_of(row)
    assert (now.installs, now.origin) == (was.installs, was.origin)
    assert Origin.objects.get().before is None
    assert Snapshot.objects.count() == 1
    assert examine() == []


def test_a_clone_has_the_disk_and_the_size_of_the_other(actor: Actor, row: Environment) -> None:
    made = _taken(actor, row)
    clone = clone_snapshot(actor, row.pk, made.pk, name="copy").environment
    spec = spec_of(clone)
    assert spec.origin is not None
    assert (spec.origin.environment_id, spec.origin.snapshot) == (row.pk, made.pk)
    assert (clone.tenant_id, clone.node_id, clone.limits) == (row.tenant_id, row.node_id, row.limits)
    with pytest.raises(Conflict):
        clone_snapshot(actor, row.pk, made.pk, name="copy")
    assert Environment.objects.count() == 2


def test_all_of_it_goes_with_the_environment(actor: Actor, row: Environment) -> None:
    _taken(actor, row)
    delete_environment(actor, row.pk)
    factories.gone(row)
    assert not Snapshot.objects.exists()
    assert _reserved(row) == 0
    assert examine() == []


def test_plan_and_quota_bound_their_number(actor: Actor, row: Environment) -> None:
    for _ in range(5):
        take_snapshot(actor, row.pk)
    with pytest.raises(Conflict, match="snapshots"):
        take_snapshot(actor, row.pk)
    assert Snapshot.objects.count() == 5


def test_who_may_not_is_refused_and_strangers_find_nothing(row: Environment) -> None:
    with pytest.raises(Forbidden):
        take_snapshot(factories.member(row.tenant, "viewer"), row.pk)
    with pytest.raises(NotFound):
        take_snapshot(factories.member(factories.tenant()), row.pk)


def test_the_api_takes_lists_restores_clones_and_deletes(
    row: Environment, client: Client, actor: Actor
) -> None:
    headers = factories.bearer(actor, None, "*")
    base = f"/api/v1/environments/{row.pk}/snapshots"

    def post(path: str, body: object = None) -> tuple[int, dict[str, object]]:
        answer = client.post(path, json.dumps(body or {}), content_type="application/json", headers=headers)
        return answer.status_code, answer.json()

    status, made = post(base, {"name": "one"})
    assert (status, made["state"]) == (202, "making")
    assert post(f"{base}/{made['id']}/restore")[1]["code"] == "snapshot_not_ready"
    _done(row)
    listed = client.get(base, headers=headers).json()
    assert [one["state"] for one in listed["items"]] == ["ready"]
    assert post(f"{base}/{uuid4()}/restore")[0] == 404
    assert post(f"{base}/{made['id']}/clone", {"name": "two"})[0] == 202
    assert post(f"{base}/{made['id']}/restore", {"keep_current": False})[0] == 202
    assert client.delete(f"{base}/{made['id']}", headers=headers).status_code == 202
    assert post(base, {"name": "x" * 64})[0] == 422
    assert post(base, {"name": "a\nb"})[0] == 422
    assert UUID(str(made["id"])) == Snapshot.objects.get().pk


def test_the_page_offers_what_may_be_done(row: Environment, client: Client, actor: Actor) -> None:
    made = _taken(actor, row, "good one")
    url = f"/environments/{row.pk}/snapshots"
    client.force_login(factories.member(row.tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    assert "good one" in client.get(url).content.decode()
    assert client.post(f"{url}/take", {"name": "two"}).status_code == 302
    _done(row)
    refused = client.post(f"{url}/{made.pk}/clone", {"name": "No Name"})
    assert refused.status_code == 422
    assert refused.content.decode().count('class="field-error"') == 1
    ids = re.findall(r' id="([^"]+)"', refused.content.decode())
    assert len(ids) == len(set(ids))
    assert client.post(f"{url}/{made.pk}/restore").status_code == 302
    viewer = factories.member(row.tenant, "viewer").user
    client.force_login(viewer, "allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(url).content.decode()
    assert "good one" in page
    assert "snapshots/take" not in page


def test_an_init_that_crashed_says_nothing_of_a_snapshot_that_waits(actor: Actor, row: Environment) -> None:
    made, _changed = take_snapshot(actor, row.pk)
    row.refresh_from_db()
    factories.reported(
        row, generation=row.generation - 1, attempted_generation=row.generation, code="init_crashed"
    )
    assert Snapshot.objects.get().pk == made.pk
    _done(row)
    assert Snapshot.objects.get().state == KeptState.READY


def test_a_copy_of_the_disk_takes_the_right_to_look_into_it(row: Environment, actor: Actor) -> None:
    made = _taken(actor, row)
    narrow = create_role(
        actor,
        row.tenant,
        name="Snapshots only",
        permissions=["environment.view", "environment.create", "snapshot.manage"],
    )
    person = factories.person()
    Membership.objects.create(tenant=row.tenant, user=person, role="custom", custom_role=narrow)
    with pytest.raises(Forbidden):
        clone_snapshot(Actor(person), row.pk, made.pk, name="copy")


def test_a_protected_disk_is_not_replaced_without_a_way_back(row: Environment, actor: Actor) -> None:
    made = _taken(actor, row)
    update_environment(actor, row.pk, {"protected": True})
    _done(row)
    with pytest.raises(Conflict, match="protected"):
        restore_snapshot(actor, row.pk, made.pk, keeps_current=False)
    restore_snapshot(actor, row.pk, made.pk)


def _with_days(actor: Actor, row: Environment) -> None:
    update_tenant(actor, row.tenant_id, trash_days=7)
    row.refresh_from_db()


def test_a_reinstall_can_be_undone_for_the_days_of_the_trash(actor: Actor, row: Environment) -> None:
    assert reinstall(actor, row.pk).operation is not None
    _done(row)
    assert not Snapshot.objects.exists()  # a tenant without days
    _with_days(actor, row)
    changed = reinstall(actor, row.pk, image="debian-12")
    row.refresh_from_db()
    kept = Snapshot.objects.get()
    assert (kept.reason, kept.image) == (Reason.REINSTALL, "busybox")
    assert changed.operation is not None
    assert changed.operation.details["undo"] == str(kept.pk)
    assert spec_of(row).snapshots == (kept.pk,)
    _done(row)
    restore_snapshot(actor, row.pk, kept.pk, keeps_current=False)
    row.refresh_from_db()
    assert row.image == "busybox"  # the name of what is there
    _refused(row)
    row.refresh_from_db()
    assert row.image == "debian-12"
    assert expire() == 0
    assert expire(timezone.now() + timedelta(days=8)) == 1
    _done(row)
    assert not Snapshot.objects.exists()
    assert _reserved(row) == 0
    assert examine() == []


def test_no_room_for_the_undo_keeps_nobody_from_reinstalling(actor: Actor, row: Environment) -> None:
    _with_days(actor, row)
    Quota.objects.filter(tenant=row.tenant, resource=Resource.SNAPSHOTS).update(limit=0)
    changed = reinstall(actor, row.pk)
    assert changed.operation is not None
    assert changed.operation.details["undo"] is None
    assert not Snapshot.objects.exists()
    assert examine() == []


@pytest.mark.parametrize(("days", "stays"), [(0, 7), (3, 3)])
def test_what_a_disk_was_before_a_restore_goes_by_itself(
    actor: Actor, row: Environment, days: int, stays: int
) -> None:
    made = _taken(actor, row, "good")
    update_tenant(actor, row.tenant_id, trash_days=days)
    restore_snapshot(actor, row.pk, made.pk)
    _done(row)
    assert expire(timezone.now() + timedelta(days=stays, hours=-1)) == 0
    assert expire(timezone.now() + timedelta(days=stays, hours=1)) == 1
    _done(row)
    assert list(Snapshot.objects.all()) == [made], "asked for, it stays"
    assert _reserved(row) == 1
    assert examine() == []


@pytest.mark.parametrize("way", ["limits", "plan"])
def test_a_smaller_disk_can_be_undone_for_the_days_of_the_trash(
    actor: Actor, row: Environment, way: str
) -> None:
    smaller = {**row.limits, "disk_mb": row.limits["disk_mb"] // 2}
    create_plan(factories.administrator(), name="Less", limits=smaller)
    change: dict[str, Any] = {"plan": "less"} if way == "plan" else {"limits": {"disk_mb": smaller["disk_mb"]}}
    _with_days(actor, row)
    update_environment(actor, row.pk, {"limits": {"memory_mb": row.limits["memory_mb"] * 2}})
    assert not Snapshot.objects.exists(), "nothing of the disk is at stake"
    changed = update_environment(actor, row.pk, change)
    row.refresh_from_db()
    kept = Snapshot.objects.get()
    assert kept.reason == Reason.SHRINK and kept.expires_at is not None
    assert changed.operation is not None and changed.operation.details["undo"] == str(kept.pk)
    assert spec_of(row).snapshots == (kept.pk,)
    _done(row)
    assert expire(timezone.now() + timedelta(days=8)) == 1
    _done(row)
    assert _reserved(row) == 0
    assert examine() == []
