"""Usage as beancounters: held, the most ever held, barrier, limit, hits; and soft limits with a grace time."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from panel.environments import services as environments
from panel.environments.models import Environment
from panel.errors import Conflict, Invalid, QuotaExceeded
from panel.metering.intake import observe_usage
from panel.quotas.models import Quota
from panel.quotas.selectors import envelope_of
from panel.tenancy.peaks import note_peaks
from panel.tenancy.services import update_tenant
from panel.tenancy.usage import usage_of
from panel.tenants.models import Tenant
from runtime.contract import Usage, UsageReport
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

MIB = 2**20


def uses(row: Environment, memory_mb: int, seconds: int = 0) -> None:
    usage = Usage(environment_id=row.pk, memory_bytes=memory_mb * MIB, memory_hits=3, processes=7)
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    observe_usage(UsageReport(node=row.node.name, at=at, usages=(usage,)))


def test_all_columns_of_one_resource() -> None:
    factories.node()
    top = factories.tenant(quota={"memory_mb": 200})
    row = factories.environment(top)
    update_tenant(factories.administrator(), top.pk, soft={"memory_mb": 150}, grace_s={"memory_mb": 60})
    with pytest.raises(QuotaExceeded):
        factories.environment(top, limits={**factories.LIMITS, "memory_mb": 150})
    uses(row, 50)
    note_peaks()
    uses(row, 10, seconds=1)
    shown = usage_of(top)["memory_mb"]
    assert shown == {
        "limit": 200, "soft": 150, "grace_s": 60, "soft_since": None, "overbook": 1.0, "reserved": 64,
        "used": 10, "highest": 64, "highest_used": 50, "hits": 1, "alert": None,
    }  # fmt: skip
    assert note_peaks() == 0, "the highest stays"


def test_the_highest_counts_for_all_above() -> None:
    factories.node()
    top = factories.tenant()
    middle = factories.tenant(parent=top)
    for tenant in (middle, factories.tenant(parent=middle)):
        uses(factories.environment(tenant), 30)
    note_peaks()
    peaks = [Quota.objects.get(tenant=one, resource="memory_mb").highest_used for one in (top, middle)]
    assert peaks == [60, 60]


def test_each_environment_shows_what_it_takes(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    small = factories.environment(tenant)
    large = factories.environment(tenant, limits={**factories.LIMITS, "memory_mb": 512})
    uses(small, 20)
    headers = factories.bearer(factories.member(tenant), tenant, role="billing")
    items = client.get(f"/api/v1/tenants/{tenant.pk}/environments", headers=headers).json()["items"]
    assert [one["name"] for one in items] == [large.name, small.name]
    memory = items[1]["resources"]["memory_mb"]
    assert memory == {"limit": 64, "used": 20, "highest_used": 0, "hits": 3}


def test_a_soft_limit_may_be_passed_until_its_grace_time_is_over() -> None:
    factories.node()
    tenant = factories.tenant(quota={"environments": 5})
    update_tenant(
        factories.administrator(), tenant.pk, soft={"environments": 1}, grace_s={"environments": 3600}
    )
    factories.environment(tenant)
    second = factories.environment(tenant)
    assert usage_of(tenant)["environments"]["soft_since"] is not None
    Quota.objects.filter(tenant=tenant).update(soft_since=timezone.now() - timedelta(seconds=3601))
    with pytest.raises(QuotaExceeded, match="your soft limit of 1 has 0 left, and its grace time is over"):
        factories.environment(tenant)
    environments.delete_environment(factories.administrator(), second.pk)
    factories.gone(second)
    assert usage_of(tenant)["environments"]["soft_since"] is None
    factories.environment(tenant)


def test_a_soft_limit_above_the_limit_is_refused_and_sinks_with_it() -> None:
    tenant = factories.tenant(quota={"cpu": 4})
    administrator = factories.administrator()
    with pytest.raises(Invalid, match="at most its limit of 4"):
        update_tenant(administrator, tenant.pk, soft={"cpu": 5})
    update_tenant(administrator, tenant.pk, soft={"cpu": 3})
    update_tenant(administrator, tenant.pk, quota={"cpu": 2})
    assert usage_of(tenant)["cpu"]["soft"] == 2


def test_an_overbooked_tenant_hands_out_more_and_the_kernel_is_told_the_limit() -> None:
    factories.node()
    tenant = factories.tenant(quota={"memory_mb": 128})
    administrator = factories.administrator()
    update_tenant(administrator, tenant.pk, overbook={"memory_mb": 2})
    for _ in range(4):
        factories.environment(tenant)
    with pytest.raises(QuotaExceeded):
        factories.environment(tenant)
    assert envelope_of(tenant.chain).memory_mb == 128
    with pytest.raises(Conflict, match="can't have tenants below it"):
        factories.tenant(parent=tenant)
    with pytest.raises(Conflict, match="handed out already"):
        update_tenant(administrator, tenant.pk, overbook={"memory_mb": 1})


def test_overbooked_environments_stay_on_one_node() -> None:
    nodes = [factories.node(), factories.node()]
    tenant = factories.tenant(quota={"memory_mb": 1000})
    update_tenant(factories.administrator(), tenant.pk, overbook={"memory_mb": 2})
    assert len({factories.environment(tenant).node for _ in range(4)}) == 1
    spread = factories.tenant(quota={"memory_mb": 1000})
    for one in nodes:
        row = factories.environment(spread)
        Environment.objects.filter(pk=row.pk).update(node=one, slot=100)
    with pytest.raises(Conflict, match="Its environments are on 2 nodes"):
        update_tenant(factories.administrator(), spread.pk, overbook={"memory_mb": 2})


def test_a_parent_that_has_children_does_not_overbook() -> None:
    top = factories.tenant(quota={"memory_mb": 100})
    factories.tenant(parent=top)
    with pytest.raises(Conflict, match="tenants below it can't overbook"):
        update_tenant(factories.administrator(), top.pk, overbook={"memory_mb": 2})


def test_the_kernel_is_never_told_less_than_was_handed_out() -> None:
    factories.node()
    tenant = factories.tenant(quota={"memory_mb": 128})
    for _ in range(2):
        factories.environment(tenant)
    update_tenant(factories.administrator(), tenant.pk, quota={"memory_mb": 50})
    assert envelope_of(Tenant.objects.get(pk=tenant.pk).chain).memory_mb == 128


def test_the_kernel_is_told_the_swap_of_all_together() -> None:
    factories.node()
    top = factories.tenant(quota={"memory_mb": 1000, "swap_mb": 100})
    tenant = factories.tenant(parent=top, quota={"swap_mb": 64})
    assert envelope_of(tenant.chain).swap_mb == 64
    assert envelope_of(top.chain).swap_mb == 100
    assert envelope_of(factories.tenant().chain).swap_mb is None
    factories.environment(tenant, limits={**factories.LIMITS, "swap_mb": 48})
    update_tenant(factories.administrator(), tenant.pk, quota={"swap_mb": 0})
    assert envelope_of(Tenant.objects.get(pk=tenant.pk).chain).swap_mb == 48, "never less than is handed out"
