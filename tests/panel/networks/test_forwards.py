"""A forward takes a port of its node's range, drawn by lot, and leads to an environment that has an address."""

import json
from itertools import pairwise

import pytest
from django.test import Client

from panel.environments.models import Environment
from panel.environments.specs import spec_of
from panel.errors import Conflict, Invalid, NoRoom
from panel.networks.addresses import add_addresses, remove_address
from panel.networks.forwards import add_forward, remove_forward
from panel.networks.models import Address, PortForward
from panel.tenancy.lifecycle import resume_tenant, suspend_tenant
from runtime.tenants import laid_over
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def row() -> Environment:
    factories.node(forward_ports=(20_000, 20_009))
    return factories.environment(factories.tenant(quota={"forwards": 100}))


@pytest.mark.parametrize("node_port", [0, 1, 22, 443, 8080, 19_999, 20_010, 65_535, 65_536, -1])
def test_a_port_outside_the_nodes_range_is_refused_with_the_range(row: Environment, node_port: int) -> None:
    with pytest.raises(Invalid, match="20000 to 20009") as refused:
        add_forward(factories.administrator(), row.pk, port=80, node_port=node_port)
    assert refused.value.field == "node_port"
    assert not PortForward.objects.exists()


def test_the_panels_own_port_is_422_in_the_api(row: Environment, client: Client) -> None:
    headers = factories.bearer(factories.administrator(), None, "*")
    answer = client.post(
        f"/api/v1/environments/{row.pk}/forwards",
        json.dumps({"port": 80, "node_port": 8080}),
        content_type="application/json",
        headers=headers,
    )
    assert answer.status_code == 422, answer.content
    assert answer.json()["field"] == "node_port"


def test_it_leads_to_an_address_or_is_refused() -> None:
    factories.node()
    bare = factories.environment(factories.tenant(), ipv4=0, ipv6=0)
    only6 = factories.environment(factories.tenant(), ipv4=0, ipv6=1)
    actor = factories.administrator()
    with pytest.raises(Invalid, match="no address") as refused:
        add_forward(actor, bare.pk, port=80)
    assert refused.value.code == "no_address"
    add_forward(actor, only6.pk, port=80)
    with pytest.raises(Conflict, match="its only address"):
        remove_address(actor, only6.pk, Address.objects.get(environment=only6).pk)


def test_ports_come_in_no_sequence_until_none_is_left(row: Environment) -> None:
    actor = factories.administrator()
    drawn = [add_forward(actor, row.pk, port=80)[0].node_port for _ in range(10)]
    assert set(drawn) == set(range(20_000, 20_010))
    assert drawn not in (sorted(drawn), sorted(drawn, reverse=True)), "one time in 1.8 million"
    add_forward(actor, row.pk, port=80, protocol="udp")
    with pytest.raises(NoRoom, match="No port"):
        add_forward(actor, row.pk, port=80)
    with pytest.raises(Conflict, match="taken already"):
        add_forward(actor, row.pk, port=80, node_port=20_003)


def test_one_of_before_stays_and_can_be_removed(row: Environment) -> None:
    old = PortForward.objects.create(
        environment=row, tenant=row.tenant, node=row.node, protocol="tcp", node_port=8022, port=22
    )
    assert [one.node_port for one in spec_of(row).network.forwards] == [8022]
    remove_forward(factories.administrator(), row.pk, old.pk)
    assert not PortForward.objects.exists()


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_whose_tenant_is_suspended_is_closed(row: Environment, how: str) -> None:
    actor = factories.administrator()
    suspend_tenant(actor, row.tenant_id, how=how, reason="unpaid")
    row = Environment.objects.get(pk=row.pk)
    assert laid_over(spec_of(row), None).network.closed
    resume_tenant(actor, row.tenant_id)
    assert not laid_over(spec_of(Environment.objects.get(pk=row.pk)), None).network.closed


def test_addresses_and_user_ids_tell_nobody_how_many_came_before() -> None:
    factories.node()
    tenant = factories.tenant()
    rows = [factories.environment(tenant) for _ in range(6)]
    slots = [row.slot for row in rows]
    for numbers in (slots, *_offsets(rows)):
        assert len(set(numbers)) == 6
        steps = {later - earlier for earlier, later in pairwise(numbers)}
        assert not steps <= {-1, 1, 2}, "six in a row, one time in millions"


def _offsets(rows: list[Environment]) -> list[list[int]]:
    return [[Address.objects.get(environment=row, family=family).offset for row in rows] for family in (4, 6)]


def test_every_address_of_a_pool_and_every_range_of_ids_is_handed_out() -> None:
    factories.node(ipv4_network="10.99.0.0/28", ipv6_network=None, slots=13)
    tenant = factories.tenant(quota={"addresses": 100})
    rows = [factories.environment(tenant) for _ in range(13)]
    assert sorted(row.slot or 0 for row in rows) == list(range(13))
    assert sorted(Address.objects.values_list("offset", flat=True)) == list(range(2, 15))
    with pytest.raises(NoRoom):
        add_addresses(factories.administrator(), rows[0].pk)
