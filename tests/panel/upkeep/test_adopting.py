"""An older database over a node with newer environments: none is destroyed, and no address is given twice."""

from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import transaction

from panel.at_rest import plain
from panel.environments.consistency import examine
from panel.environments.models import Environment
from panel.environments.services import (
    create_environment,
    delete_environment,
    undelete_environment,
    update_environment,
)
from panel.environments.specs import held_to, spec_of
from panel.errors import NoRoom
from panel.networks.addresses import add_addresses
from panel.networks.forwards import add_forward
from panel.networks.models import Address, PortForward
from panel.nodes.models import Node, NodeState
from panel.rights.actor import Actor
from panel.storage.models import Snapshot
from panel.storage.services import take_snapshot
from panel.tenancy.lifecycle import suspend_tenant
from panel.tenants.models import Tenant, TenantState
from panel.upkeep.adopting import Taken, lay_beside
from panel.volumes.attaching import attach
from panel.volumes.models import Attachment, Volume
from panel.volumes.services import create_volume
from runtime.contract import EnvironmentSpec, Kind, NodeTold, VolumeThere
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor() -> Actor:
    return factories.administrator()


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """With few addresses, so that one that is given twice is seen."""
    found = factories.node(ipv4_network=IPv4Network("10.77.0.0/28"), slots=24, kinds=(Kind.SYSTEM, Kind.APP))
    place = tmp_path / "etc" / "nodes"
    place.mkdir(parents=True)
    (place / f"{found.name}.key").write_bytes(b"shared with the node")
    monkeypatch.setattr(settings, "WADAH", settings.WADAH.model_copy(update={"home": tmp_path}))
    return found


def _told(node: Node, rows: Sequence[Environment], **more: object) -> NodeTold:
    specs = [spec_of(Environment.objects.select_related("tenant", "node").get(pk=one.pk)) for one in rows]
    values = {"envelopes": {one.tenant_id: one.envelope for one in specs}, **more}
    return NodeTold.model_validate({"node": node.name, "specs": specs, **values})


def _now(spec: EnvironmentSpec) -> dict[str, object]:
    """What the panel would send of it now, in which nothing may differ but whose operation it is."""
    row = Environment.objects.select_related("tenant", "node").get(pk=spec.id)
    return _plain(spec_of(row))


def _plain(spec: EnvironmentSpec) -> dict[str, object]:
    found = spec.model_dump(mode="json", exclude={"operation_id", "envelope", "deadline_s"})
    (found.get("app") or {}).pop("locked", None)  # by another key each time
    return found


def _fill(actor: Actor, tenant: Tenant) -> list[Environment]:
    """Until the node has no address left."""
    made: list[Environment] = []
    while True:
        try:
            made.append(factories.environment(tenant, actor))
        except NoRoom:
            return made


def _lay_beside_an_older_database(told: NodeTold, point: str) -> Taken:
    transaction.savepoint_rollback(point)
    return lay_beside(told, is_restored=True)


def test_what_is_newer_on_the_node_is_taken_in_and_no_address_is_given_twice(actor: Actor, node: Node) -> None:
    tenant = factories.tenant(quota={"environments": 3, "snapshots": 9})
    first, gone = factories.environment(tenant, actor), factories.environment(tenant, actor)
    kept = take_snapshot(actor, first.pk, name="kept")[0]
    factories.reported(first)
    point = transaction.savepoint()
    # what happens between the backup and the day that it is needed
    newer = take_snapshot(actor, first.pk, name="newer")[0]
    add_addresses(actor, first.pk)
    add_forward(actor, first.pk, port=22, node_port=20_022)
    update_environment(actor, first.pk, {"limits": {"memory_mb": 128}, "restart": {"mode": "never"}})
    second = factories.environment(tenant, actor)
    stranger = factories.environment(factories.tenant(), actor)
    delete_environment(actor, gone.pk)
    gone.refresh_from_db()
    factories.gone(gone)
    told = _told(node, [first, second, stranger], buried={gone.pk: gone.generation})
    taken = _lay_beside_an_older_database(told, point)

    assert taken.renewed == [first.name]
    assert set(taken.adopted) == {second.name, stranger.name}
    assert taken.deleted == [gone.name]
    assert (taken.problems, taken.draining) == ([], [])
    for spec in told.specs:
        assert _now(spec) == _plain(spec)
    assert set(Snapshot.objects.values_list("pk", flat=True)) == {kept.pk, newer.pk}
    assert PortForward.objects.get().node_port == 20_022
    stranger.refresh_from_db()
    assert stranger.tenant.slug.startswith("recovered-")
    factories.gone(gone)  # the node is asked once more, and says so
    assert examine() == []
    given = {str(one) for spec in told.specs for one in spec.network.ipv4}
    slots = {spec.slot for spec in told.specs}
    others = _fill(actor, factories.tenant())
    assert others
    fresh = {one.address for other in others for one in other.addresses.filter(family=4)}
    assert not fresh & given
    assert not {other.slot for other in others} & slots
    # and from here on changes reach it: none is older than what it knows
    update_environment(actor, second.pk, {"limits": {"memory_mb": 96}})
    second.refresh_from_db()
    assert second.generation > next(one.generation for one in told.specs if one.id == second.pk)


def test_an_address_that_changed_hands_is_whose_the_node_says(actor: Actor, node: Node) -> None:
    """And so are a port and a range of user ids, of what the database still believes to be there."""
    tenant = factories.tenant()
    old = factories.environment(tenant, actor)
    add_forward(actor, old.pk, port=22, node_port=20_022)
    point = transaction.savepoint()
    fresh = factories.environment(tenant, actor)
    told = _told(node, [fresh])
    (spec,) = told.specs
    taken_over = spec.model_copy(
        update={
            "slot": old.slot,
            "network": spec_of(old).network,
        }
    )
    told = told.model_copy(update={"specs": (taken_over,)})
    _lay_beside_an_older_database(told, point)
    assert _now(taken_over) == _plain(taken_over)
    old.refresh_from_db()
    assert old.slot != taken_over.slot
    assert not Address.objects.filter(environment=old, released_at=None).exists()
    assert PortForward.objects.get().environment_id == fresh.pk
    assert examine() == []


def test_an_app_keeps_its_secrets_and_an_environment_its_volume(actor: Actor, node: Node) -> None:
    tenant = factories.tenant()
    point = transaction.savepoint()
    volume, operation = create_volume(actor, tenant, name="data", size_mb=64)
    Volume.objects.filter(pk=volume.pk).update(made_at=volume.created_at)
    app = create_environment(
        actor,
        tenant,
        name="app",
        kind="app",
        image="registry.test/web:1",
        limits=factories.LIMITS,
        app={"secrets": {"key": "of the app"}, "env": {"A": "b"}},
    ).environment
    factories.reported(app)
    attach(actor, volume.pk, str(app.pk))
    factories.reported(app)
    there = VolumeThere(id=volume.pk, size_mb=64)
    strange = VolumeThere(id=uuid4(), size_mb=32)
    told = _told(node, [app], volumes=(there, strange))
    taken = _lay_beside_an_older_database(told, point)
    assert taken.strange == [str(strange.id)]
    for spec in told.specs:
        assert _now(spec) == _plain(spec)
    app.refresh_from_db()
    assert plain(app.secrets["key"]["1"]) == "of the app"
    assert Attachment.objects.get().volume.size_mb == 64
    assert operation is not None
    assert examine() == []


def test_who_was_suspended_since_stays_so(actor: Actor, node: Node) -> None:
    tenant = factories.tenant()
    row = factories.environment(tenant, actor)
    point = transaction.savepoint()
    suspend_tenant(actor, tenant.pk, reason="attacks")
    tenant.refresh_from_db()
    told = _told(node, [row], envelopes={tenant.pk: held_to(tenant)})
    _lay_beside_an_older_database(told, point)
    tenant.refresh_from_db()
    assert tenant.state == TenantState.SUSPENDED
    assert held_to(tenant).revision >= told.envelopes[tenant.pk].revision


def test_what_was_brought_back_from_the_trash_is_out_of_it(actor: Actor, node: Node) -> None:
    tenant = factories.tenant()
    Tenant.objects.filter(pk=tenant.pk).update(trash_days=7)
    row = factories.environment(tenant, actor)
    delete_environment(actor, row.pk)
    factories.reported(row)
    point = transaction.savepoint()
    undelete_environment(actor, row.pk)
    told = _told(node, [row])
    _lay_beside_an_older_database(told, point)
    row.refresh_from_db()
    assert row.trashed_at is None
    assert _now(told.specs[0]) == _plain(told.specs[0])
    assert examine() == []


def test_what_cant_be_taken_in_stays_apart_and_nothing_new_comes_beside_it(
    actor: Actor, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = factories.node()
    tenant = factories.tenant()
    point = transaction.savepoint()
    row = factories.environment(tenant, actor)
    home = Node.objects.get(pk=row.node_id)
    told = _told(home, [row])

    def refuses(*_: object) -> None:
        raise ValueError("a spec of another time")

    monkeypatch.setattr("panel.upkeep.adopting.adopt", refuses)
    taken = _lay_beside_an_older_database(told, point)
    assert "a spec of another time" in taken.problems[0]
    assert {one.state for one in Node.objects.all()} == {NodeState.DRAINING}
    assert set(taken.draining) == {home.name, (other if home.pk == node.pk else node).name}
    with pytest.raises(NoRoom):
        create_environment(actor, tenant, name="new", image="busybox", limits=factories.LIMITS)


def test_what_the_rows_know_as_well_is_left_as_it_is(actor: Actor, node: Node) -> None:
    row = factories.environment(factories.tenant(), actor)
    told = _told(node, [row])
    update_environment(actor, row.pk, {"limits": {"memory_mb": 128}})
    taken = lay_beside(told, is_restored=False)
    assert taken == Taken()
    row.refresh_from_db()
    assert row.limits["memory_mb"] == 128
