"""The trash: what was deleted rests, takes only its disk, and comes back as it was."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from panel.environments.consistency import examine
from panel.environments.models import Environment
from panel.environments.services import (
    delete_environment,
    end_trashed,
    start,
    undelete_environment,
    update_environment,
)
from panel.environments.services.operations import retry_operation
from panel.environments.specs import spec_of
from panel.errors import Conflict, Forbidden, QuotaExceeded, Suspended
from panel.networks.addresses import add_addresses
from panel.networks.forwards import add_forward
from panel.networks.models import Address, PortForward
from panel.operations.models import Operation, OperationKind
from panel.quotas.models import Quota
from panel.rights.actor import Actor
from panel.storage.models import Schedule, Snapshot
from panel.storage.schedules import run_due, set_schedule
from panel.storage.services import take_snapshot
from panel.tenancy.lifecycle import delete_due, schedule_deletion, suspend_tenant
from panel.tenancy.services import update_tenant
from panel.tenants.models import Tenant
from runtime.contract import DesiredState, ObservedState
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

QUOTA = {"environments": 3, "cpu": 4, "memory_mb": 256, "disk_mb": 1024, "addresses": 4, "forwards": 4}


@pytest.fixture
def actor() -> Actor:
    return factories.administrator()


@pytest.fixture
def row(actor: Actor) -> Environment:
    factories.node()
    tenant = factories.tenant(quota={**QUOTA, "snapshots": 5})
    update_tenant(actor, tenant.pk, trash_days=7)
    tenant.refresh_from_db()
    return factories.environment(tenant, name="web")


def _reserved(tenant: Tenant) -> dict[str, int]:
    return dict(Quota.objects.filter(tenant=tenant).values_list("resource", "reserved"))


def _deleted(actor: Actor, row: Environment) -> None:
    """Its node has stopped it."""
    delete_environment(actor, row.pk)
    factories.reported(row, ObservedState.STOPPED)
    row.refresh_from_db()


def test_it_rests_and_takes_only_its_disk(actor: Actor, row: Environment) -> None:
    changed = delete_environment(actor, row.pk)
    row.refresh_from_db()
    assert changed.operation is not None
    assert changed.operation.kind == OperationKind.TRASH
    assert row.state == "deleting"  # it still runs
    assert spec_of(row).desired is DesiredState.STOPPED
    assert _reserved(row.tenant)["cpu"] == 500
    factories.reported(row, ObservedState.STOPPED)
    row.refresh_from_db()
    assert row.state == "trashed"
    assert Environment.objects.in_state(row.state).get() == row
    assert row.trash_ends_at is not None
    assert timedelta(days=6.9) < row.trash_ends_at - timezone.now() <= timedelta(days=7)
    held = {key: n for key, n in _reserved(row.tenant).items() if n}
    assert held == {"environments": 1, "disk_mb": 128}
    row.node.refresh_from_db()
    assert (row.node.reserved_cpu, row.node.reserved_memory_mb) == (0, 0)
    assert (row.node.reserved_disk_mb, row.node.placed) == (128, 1)
    assert examine() == []
    assert spec_of(row).network.ipv4 == ()


def test_undelete_brings_everything_back(actor: Actor, row: Environment) -> None:
    add_forward(actor, row.pk, port=22, node_port=20022)
    add_addresses(actor, row.pk, count=1)
    take_snapshot(actor, row.pk, name="kept")
    factories.reported(row)
    before = {(one.address, one.released_at) for one in row.addresses.all()}
    reserved = _reserved(row.tenant)
    _deleted(actor, row)
    assert not PortForward.objects.exists()
    assert not Address.objects.held().exists()
    changed = undelete_environment(actor, row.pk)
    row.refresh_from_db()
    assert changed.operation is not None
    assert changed.operation.details == {}
    assert row.desired_state == DesiredState.RUNNING
    assert {(one.address, one.released_at) for one in row.addresses.all()} == before
    assert [(f.protocol, f.node_port, f.port) for f in row.forwards.all()] == [("tcp", 20022, 22)]
    assert _reserved(row.tenant) == reserved
    assert len(spec_of(row).snapshots) == 1
    factories.reported(row)
    row.refresh_from_db()
    assert row.state == "running"
    assert row.trash == {}
    assert examine() == []


def test_what_was_stopped_comes_back_stopped(actor: Actor, row: Environment) -> None:
    from_before = factories.environment(row.tenant, is_started=False, is_running=False)
    factories.reported(from_before, ObservedState.STOPPED)
    _deleted(actor, from_before)
    undelete_environment(actor, from_before.pk)
    from_before.refresh_from_db()
    assert from_before.desired_state == DesiredState.STOPPED


def test_what_others_took_meanwhile_is_replaced_or_named(actor: Actor, row: Environment) -> None:
    add_forward(actor, row.pk, port=22, node_port=20022)
    factories.reported(row)
    _deleted(actor, row)
    Address.objects.all().delete()  # its rest is over
    other = factories.environment(factories.tenant())
    add_forward(actor, other.pk, port=80, node_port=20022)
    changed = undelete_environment(actor, row.pk)
    assert changed.operation is not None
    assert changed.operation.details["lost_forwards"] == ["tcp 20022 → 22"]
    assert len(changed.operation.details["new_addresses"]) == 2
    row.refresh_from_db()
    assert row.addresses.held().count() == 2
    assert examine() == []


def test_undelete_is_refused_where_there_is_no_room_and_changes_nothing(actor: Actor, row: Environment) -> None:
    _deleted(actor, row)
    factories.environment(row.tenant, limits={**factories.LIMITS, "memory_mb": 256})
    with pytest.raises(QuotaExceeded):
        undelete_environment(actor, row.pk)
    row.refresh_from_db()
    assert row.state == "trashed"
    assert examine() == []


def test_its_name_is_free_meanwhile(actor: Actor, row: Environment) -> None:
    _deleted(actor, row)
    factories.environment(row.tenant, name="web")
    with pytest.raises(Conflict, match="web"):
        undelete_environment(actor, row.pk)
    undelete_environment(actor, row.pk, name="web-old")
    row.refresh_from_db()
    assert row.name == "web-old"
    assert examine() == []


def test_before_its_node_stopped_it_nothing_was_let_go(actor: Actor, row: Environment) -> None:
    delete_environment(actor, row.pk)
    undelete_environment(actor, row.pk)
    factories.reported(row)
    row.refresh_from_db()
    assert row.state == "running"
    assert row.addresses.held().count() == 2
    assert examine() == []


def test_an_old_report_lets_nothing_go(actor: Actor, row: Environment) -> None:
    delete_environment(actor, row.pk)
    row.refresh_from_db()
    factories.reported(row, generation=row.generation - 1, attempted_generation=row.generation - 1)
    assert _reserved(row.tenant)["cpu"] == 500


def test_deleting_again_does_nothing_and_now_deletes_for_good(actor: Actor, row: Environment) -> None:
    _deleted(actor, row)
    assert delete_environment(actor, row.pk).operation is None
    changed = delete_environment(actor, row.pk, now=True)
    assert changed.operation is not None
    assert changed.operation.kind == OperationKind.DELETE
    factories.gone(row)
    row.refresh_from_db()
    assert row.state == "deleted"
    assert not any(_reserved(row.tenant).values())
    row.node.refresh_from_db()
    assert (row.node.reserved_cpu, row.node.reserved_disk_mb, row.node.placed) == (0, 0, 0)
    assert examine() == []


def test_its_days_end(actor: Actor, row: Environment) -> None:
    _deleted(actor, row)
    assert end_trashed() == 0
    assert end_trashed(timezone.now() + timedelta(days=7, seconds=1)) == 1
    row.refresh_from_db()
    assert row.desired_state == DesiredState.DELETED
    assert end_trashed(timezone.now() + timedelta(days=8)) == 0


@pytest.mark.parametrize("how", ["no days", "never made", "now"])
def test_where_there_is_no_trash_it_is_deleted_at_once(actor: Actor, row: Environment, how: str) -> None:
    if how == "no days":
        update_tenant(actor, row.tenant_id, trash_days=0)
    if how == "never made":
        row = factories.environment(row.tenant, is_running=False)
    changed = delete_environment(actor, row.pk, now=how == "now")
    assert changed.operation is not None
    assert changed.operation.kind == OperationKind.DELETE


def test_nothing_else_is_done_with_it(actor: Actor, row: Environment) -> None:
    set_schedule(actor, row.pk, cron="0 * * * *")
    _deleted(actor, row)
    for change in (
        lambda: start(actor, row.pk),
        lambda: update_environment(actor, row.pk, {"limits": {"cpu": 1}}),
        lambda: update_environment(actor, row.pk, {"tags": ["a"]}),
        lambda: take_snapshot(actor, row.pk),
        lambda: add_addresses(actor, row.pk),
    ):
        with pytest.raises(Conflict) as refused:
            change()
        assert refused.value.code == "trashed"
    Schedule.objects.update(next_at=timezone.now() - timedelta(hours=3))
    assert run_due() == 0
    undelete_environment(actor, row.pk)
    factories.reported(row)
    assert run_due() == 1
    assert Snapshot.objects.count() == 1


def test_protection_holds_and_a_suspended_tenant_may_delete_but_bring_nothing_back(
    actor: Actor, row: Environment
) -> None:
    update_environment(actor, row.pk, {"protected": True})
    with pytest.raises(Conflict, match="protected"):
        delete_environment(actor, row.pk)
    update_environment(actor, row.pk, {"protected": False})
    suspend_tenant(actor, row.tenant_id)
    _deleted(actor, row)
    assert row.state == "trashed"
    with pytest.raises(Suspended):
        undelete_environment(actor, row.pk)


def test_who_may_not_delete_may_not_bring_back(actor: Actor, row: Environment) -> None:
    _deleted(actor, row)
    with pytest.raises(Forbidden):
        undelete_environment(factories.member(row.tenant, "viewer"), row.pk)


def test_it_goes_with_its_tenant(actor: Actor, row: Environment) -> None:
    _deleted(actor, row)
    schedule_deletion(actor, row.tenant_id, wait_s=0)
    delete_due()
    row.refresh_from_db()
    assert row.desired_state == DesiredState.DELETED


def test_a_stop_that_fails_is_told_and_tried_again(actor: Actor, row: Environment) -> None:
    changed = delete_environment(actor, row.pk)
    row.refresh_from_db()
    factories.reported(
        row,
        generation=row.generation - 1,
        attempted_generation=row.generation,
        code="unkillable",
        message="It does not end.",
    )
    row.refresh_from_db()
    assert row.state == "failed"
    assert _reserved(row.tenant)["cpu"] == 500
    assert changed.operation is not None
    retry_operation(actor, changed.operation.pk)
    factories.reported(row, ObservedState.STOPPED)
    row.refresh_from_db()
    assert row.state == "trashed"


def test_api_and_pages(client: Client, actor: Actor, row: Environment) -> None:
    bearer: dict[str, Any] = {"headers": factories.bearer(actor, None, "*")}
    at = f"/api/v1/environments/{row.pk}"
    answer = client.delete(at, **bearer)
    assert answer.status_code == 202
    factories.reported(row, ObservedState.STOPPED)
    shown = client.get(at, **bearer).json()
    assert shown["state"] == "trashed"
    assert shown["trash_ends_at"] > shown["trashed_at"]
    everywhere = "/api/v1/environments"
    assert client.get(everywhere, **bearer).json()["items"] == []
    for query in ("state=trashed", "trashed=true"):
        assert [one["name"] for one in client.get(f"{everywhere}?{query}", **bearer).json()["items"]] == ["web"]
    client.force_login(actor.user)
    assert b"web" not in client.get("/environments/").content.split(b'id="environment-list"')[1]
    assert b"web" in client.get("/environments/?state=trashed").content.split(b'id="environment-list"')[1]
    page = client.get(f"/environments/{row.pk}/").content.decode()
    assert "Bring it back" in page
    assert 'name="action"' not in page  # no power
    factories.environment(row.tenant, name="web")
    refused = client.post(f"/environments/{row.pk}/undelete", {"name": "web"})
    assert refused.status_code == 409
    assert "There is an environment named web already." in refused.content.decode()
    answer = client.post(f"{at}/undelete", {"name": "web-2"}, content_type="application/json", **bearer)
    assert answer.status_code == 202
    assert answer.json()["name"] == "web-2"
    assert Operation.objects.filter(environment=row, kind="undelete").exists()
    again = client.post(f"{at}/undelete", {}, content_type="application/json", **bearer)
    assert (again.status_code, again.json()["code"]) == (409, "not_trashed")


def test_the_days_are_a_setting_of_the_tenant(client: Client, actor: Actor, row: Environment) -> None:
    bearer: dict[str, Any] = {
        "headers": factories.bearer(actor, None, "*"),
        "content_type": "application/json",
    }
    made = client.post("/api/v1/tenants", {"name": "By API"}, **bearer).json()
    assert made["trash_days"] == 0
    assert client.patch(f"/api/v1/tenants/{made['id']}", {"trash_days": 366}, **bearer).status_code == 422
    shown = client.patch(f"/api/v1/tenants/{made['id']}", {"trash_days": 30}, **bearer).json()
    assert shown["trash_days"] == 30
    client.force_login(actor.user)
    assert 'value="7"' in client.get("/tenants/create").content.decode()
    client.post("/tenants/create", {"name": "By page", "trash_days": "7"})
    assert Tenant.objects.get(name="By page").trash_days == 7
    client.post(f"/tenants/{row.tenant_id}/trash", {"trash_days": "3"})
    row.tenant.refresh_from_db()
    assert row.tenant.trash_days == 3
