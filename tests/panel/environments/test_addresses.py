"""Addresses are added and taken away after an environment was made, within quota, plan and pool."""

import pytest

from panel.environments.consistency import examine
from panel.environments.models import Environment
from panel.environments.specs import spec_of
from panel.errors import Conflict, Forbidden, Invalid, NoRoom, NotFound, QuotaExceeded
from panel.networks.addresses import add_addresses, remove_address
from panel.networks.forwards import add_forward
from panel.networks.models import Address, AddressPool
from panel.plans.services import create_plan
from panel.quotas.models import Quota
from tests.panel.support import factories
from tests.panel.support.pages import signed_in

pytestmark = pytest.mark.django_db


def held(row: Environment) -> list[str]:
    return [one.address for one in Address.objects.filter(environment=row).held()]


def reserved(row: Environment) -> int:
    return Quota.objects.get(tenant=row.tenant, resource="addresses").reserved


def test_one_more_reaches_the_node_and_the_first_stays_first() -> None:
    factories.node()
    tenant = factories.tenant(quota={"addresses": 3})
    row = factories.environment(tenant)
    first = held(row)[0]
    [made], changed = add_addresses(factories.member(tenant), row.pk)
    assert changed.operation is not None and changed.operation.kind == "addresses"
    row.refresh_from_db()
    assert [str(one) for one in spec_of(row).network.ipv4] == [first, made.address]
    assert reserved(row) == 2
    # whatever number a new one has: the lowest of the pool here
    Address.objects.filter(pool=made.pool, offset=made.pool.first).update(offset=made.pool.last)
    AddressPool.objects.filter(pk=made.pool_id).update(last=made.pool.first)
    add_addresses(factories.member(tenant), row.pk)
    row.refresh_from_db()
    assert str(spec_of(row).network.ipv4[0]) == first


@pytest.mark.parametrize(
    ("facts", "families", "counted"),
    [({}, {4, 6}, 1), ({"ipv6_network": None}, {4}, 1), ({"ipv4_network": None}, {6}, 0)],
    ids=["both", "IPv4", "IPv6"],
)
def test_who_asks_for_none_gets_one_of_each_family_that_the_node_has(
    facts: dict[str, None], families: set[int], counted: int
) -> None:
    factories.node(**facts)
    row = factories.environment(factories.tenant(quota={"addresses": 1}))
    assert {one.family for one in Address.objects.filter(environment=row).held()} == families
    assert len(held(row)) == len(families)
    assert reserved(row) == counted, "IPv6 is free"


def test_a_full_quota_a_small_plan_and_an_empty_pool_change_nothing() -> None:
    factories.node()
    tenant = factories.tenant(quota={"addresses": 1})
    row = factories.environment(tenant)
    owner, before = factories.member(tenant), held(row)
    with pytest.raises(QuotaExceeded):
        add_addresses(owner, row.pk)
    add_addresses(owner, row.pk, family=6)  # IPv6 is free
    create_plan(factories.administrator(), name="One", limits=factories.LIMITS, allowances={"addresses": 1})
    roomy = factories.tenant()
    small = factories.environment(roomy, limits=None, plan="one")
    with pytest.raises(Conflict, match="The plan One gives 1 addresses"):
        add_addresses(factories.member(roomy), small.pk)
    free = factories.environment(roomy)
    taken = Address.objects.filter(environment=free, family=4).get().offset
    AddressPool.objects.filter(family=4).update(first=taken, last=taken)
    with pytest.raises(NoRoom, match="no free address"):
        add_addresses(factories.member(roomy), free.pk)
    assert held(row)[:1] == before[:1]
    assert len(held(free)) == 2


def test_taken_away_it_rests_and_the_quota_has_it_back() -> None:
    factories.node()
    tenant = factories.tenant()
    row = factories.environment(tenant)
    owner = factories.member(tenant)
    [made], _ = add_addresses(owner, row.pk)
    remove_address(owner, row.pk, made.pk)
    assert reserved(row) == 1
    made.refresh_from_db()
    assert made.released_at is not None
    assert made.address not in held(row)
    with pytest.raises(NotFound):
        remove_address(owner, row.pk, made.pk)
    assert examine() == []


def test_the_one_that_forwards_lead_to_stays() -> None:
    factories.node()
    tenant = factories.tenant()
    row = factories.environment(tenant)
    owner = factories.member(tenant)
    add_forward(owner, row.pk, port=80)
    [only] = Address.objects.filter(environment=row, family=4).held()
    with pytest.raises(Conflict, match="its only IPv4 address"):
        remove_address(owner, row.pk, only.pk)
    add_addresses(owner, row.pk)
    remove_address(owner, row.pk, only.pk)


def test_who_may_not_and_what_is_no_number() -> None:
    factories.node()
    tenant = factories.tenant()
    row = factories.environment(tenant)
    with pytest.raises(Forbidden):
        add_addresses(factories.member(tenant, "viewer"), row.pk)
    for values in ({"family": 5}, {"count": 0}, {"count": 17}):
        with pytest.raises(Invalid):
            add_addresses(factories.member(tenant), row.pk, **values)
    with pytest.raises(Conflict, match="at most 16"):
        add_addresses(factories.member(tenant), row.pk, count=16)
    with pytest.raises(NotFound):
        add_addresses(factories.member(factories.tenant()), row.pk)


def test_by_the_page_and_by_the_api() -> None:
    factories.node()
    tenant = factories.tenant(quota={"addresses": 2})
    row = factories.environment(tenant)
    client = signed_in(factories.member(tenant).user)
    url = f"/environments/{row.pk}/network"
    assert client.post(f"{url}/address", {"family": "4", "count": "1"}).status_code == 302
    refused = client.post(f"{url}/address", {"family": "4", "count": "1"})
    assert refused.status_code == 409
    assert "Not enough addresses" in refused.content.decode()
    listed = client.get(f"/api/v1/environments/{row.pk}/addresses").json()
    assert [one["address"] for one in listed["items"]] == held(row)
    last = listed["items"][1]
    answer = client.delete(f"/api/v1/environments/{row.pk}/addresses/{last['id']}")
    assert answer.status_code == 202
    assert last["address"] not in answer.json()["addresses"]
    added = client.post(f"/api/v1/environments/{row.pk}/addresses", {"family": 6}, "application/json")
    assert added.status_code == 202
    assert added.json()["operation"]["kind"] == "addresses"
