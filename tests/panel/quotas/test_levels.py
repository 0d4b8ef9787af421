"""Tenants below tenants: a limit is taken from above, and every sum is right at any depth."""

import random
from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from panel.environments import services as environments
from panel.environments.models import Environment
from panel.errors import QuotaExceeded
from panel.networks.forwards import add_forward
from panel.quotas.models import Quota, Resource
from panel.quotas.recount import Sums, expected
from panel.tenancy.lifecycle import cancel_deletion, delete_due, schedule_deletion
from panel.tenancy.services import update_tenant
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def held_by_limits(tenant: UUID, limits: Mapping[str, Any]) -> Sums:
    """What one environment takes, from its stored limits."""
    return {
        (tenant, "environments"): 1,
        (tenant, "cpu"): round(limits["cpu"] * 1000),
        (tenant, "memory_mb"): limits["memory_mb"],
        (tenant, "swap_mb"): limits.get("swap_mb", 0),
        (tenant, "disk_mb"): limits["disk_mb"],
        (tenant, "processes"): limits.get("processes", 512),
    }


def reserved(of: Tenant, resource: str = Resource.MEMORY_MB) -> int:
    return Quota.objects.get(tenant=of, resource=resource).reserved


def differing() -> dict[tuple[str, str], tuple[int, int]]:
    """Every sum that isn't what a count of everything gives: (is, should be)."""
    own: Sums = defaultdict(int)
    for row in Environment.objects.living():
        for key, amount in held_by_limits(row.tenant_id, row.limits).items():
            own[key] += amount
        own[row.tenant_id, "addresses"] += row.addresses.filter(released_at=None, family=4).count()
        own[row.tenant_id, "forwards"] += row.forwards.count()
    sums = expected(
        Tenant.objects.values_list("pk", "parent_id", "path"),
        own,
        Quota.objects.values_list("tenant_id", "resource", "limit", "overbook_percent"),
    )
    return {
        (str(row.tenant_id), row.resource): (row.reserved, sums[row.tenant_id, row.resource])
        for row in Quota.objects.all()
        if row.reserved != sums[row.tenant_id, row.resource]
    }


def test_a_childs_limit_comes_out_of_its_parents() -> None:
    top = factories.tenant(quota={"memory_mb": 1000})
    factories.tenant(parent=top, quota={"memory_mb": 600})
    assert reserved(top) == 600
    with pytest.raises(QuotaExceeded, match=r"500 asked for, but your quota of 1000 has 400 left"):
        factories.tenant(parent=top, quota={"memory_mb": 500})
    assert reserved(top) == 600
    assert Tenant.objects.filter(parent=top).count() == 1


def test_what_a_limited_child_makes_takes_nothing_more_from_above() -> None:
    factories.node()
    top = factories.tenant(quota={"memory_mb": 1000})
    child = factories.tenant(parent=top, quota={"memory_mb": 600})
    factories.environment(child)
    assert (reserved(child), reserved(top)) == (64, 600)


def test_a_limit_grows_only_by_what_the_parent_has_left() -> None:
    top = factories.tenant(quota={"memory_mb": 1000})
    child = factories.tenant(parent=top, quota={"memory_mb": 600})
    with pytest.raises(QuotaExceeded, match="of 1000 has 400 left") as refused:
        update_tenant(factories.administrator(), child.pk, quota={"memory_mb": 1001})
    assert refused.value.field == "quota.memory_mb"
    update_tenant(factories.administrator(), child.pk, quota={"memory_mb": 1000})
    assert reserved(top) == 1000
    update_tenant(factories.administrator(), child.pk, quota={"memory_mb": None})
    assert reserved(top) == 0


def test_a_limit_set_below_what_is_held_frees_above_as_environments_go() -> None:
    factories.node()
    top = factories.tenant(quota={"memory_mb": 1000})
    child = factories.tenant(parent=top, quota={"memory_mb": 600})
    made = [factories.environment(child) for _ in range(3)]
    update_tenant(factories.administrator(), child.pk, quota={"memory_mb": 100})
    assert reserved(top) == 192, "what is held is still taken from above"
    with pytest.raises(QuotaExceeded):
        factories.environment(child)
    environments.update_environment(factories.administrator(), made[0].pk, {"limits": {"memory_mb": 16}})
    assert reserved(top) == 144
    assert differing() == {}


def test_tenants_are_as_deep_as_one_likes_and_the_refusal_comes_from_the_top() -> None:
    factories.node()
    chain = [factories.tenant(quota={"environments": 2})]
    for _ in range(119):
        chain.append(factories.tenant(parent=chain[-1]))
    assert len(chain[-1].path) > 3900
    factories.environment(chain[-1])
    factories.environment(chain[60])
    with pytest.raises(QuotaExceeded, match="which the tenant above yours has not left"):
        factories.environment(chain[-1])
    assert [reserved(one) for one in (chain[0], chain[60], chain[61], chain[-1])] == [128, 128, 64, 64]
    assert Tenant.objects.filter(path__startswith=chain[100].path).count() == 20
    assert differing() == {}


def test_every_sum_stays_right_whatever_happens() -> None:
    chance = random.Random(4)
    factories.node()
    administrator = factories.administrator()
    tenants = [factories.tenant(quota={"memory_mb": 4000, "environments": 40})]
    living: list[Environment] = []
    done: dict[str, int] = defaultdict(int)
    for _ in range(120):
        tenant = chance.choice(tenants)
        what = chance.choice(["tenant", "create", "create", "resize", "delete", "limit", "forward"])
        try:
            if what == "tenant":
                limit = chance.choice([None, 100, 300])
                tenants.append(factories.tenant(parent=tenant, quota={"memory_mb": limit, "environments": 3}))
            elif what == "create":
                living.append(factories.environment(tenant, is_running=False))
            elif what == "limit":
                quota = {
                    "memory_mb": chance.choice([None, 50, 200, 500]),
                    "environments": chance.choice([1, 5]),
                }
                update_tenant(administrator, tenant.pk, quota=quota)
            elif living:
                row = chance.choice(living)
                if what == "resize":
                    size = {"memory_mb": chance.choice([16, 80, 200]), "cpu": chance.choice([0.1, 1])}
                    environments.update_environment(administrator, row.pk, {"limits": size})
                elif what == "forward":
                    add_forward(administrator, row.pk, port=80)
                else:
                    living.remove(row)
                    environments.delete_environment(administrator, row.pk)
                    factories.gone(row)
            done[what] += 1
        except QuotaExceeded:
            done["refused"] += 1
        assert differing() == {}, what
    assert min(done[what] for what in ("tenant", "create", "resize", "delete", "limit", "refused")) >= 2


def test_a_deleted_child_gives_back_its_limit() -> None:
    top = factories.tenant(quota={"memory_mb": 1000})
    child = factories.tenant(parent=top, quota={"memory_mb": 600})
    schedule_deletion(factories.administrator(), child.pk, wait_s=0)
    assert delete_due() == 1
    assert reserved(top) == 0


def test_a_kept_child_keeps_its_limit() -> None:
    top = factories.tenant(quota={"memory_mb": 1000})
    child = factories.tenant(parent=top, quota={"memory_mb": 600})
    schedule_deletion(factories.administrator(), child.pk, wait_s=60)
    cancel_deletion(factories.administrator(), child.pk)
    assert delete_due() == 0
    assert reserved(top) == 600
