"""What a tenant may hand out: taken on every level, refused with the number, given back in the end."""

import pytest

from panel.environments import services
from panel.errors import QuotaExceeded
from panel.quotas.models import Quota, Resource
from panel.tenants.models import Tenant
from runtime.contract import ObservedState
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def reserved(of: Tenant, resource: Resource = Resource.MEMORY_MB) -> int:
    return Quota.objects.get(tenant=of, resource=resource).reserved


def test_a_create_is_counted_on_every_level() -> None:
    factories.node()
    top = factories.tenant()
    below = factories.tenant(parent=top)
    factories.environment(below)
    assert reserved(below) == reserved(top) == 64


def test_the_refusal_says_what_is_left_and_takes_nothing() -> None:
    factories.node()
    tenant = factories.tenant(quota={"memory_mb": 100})
    factories.environment(tenant)
    with pytest.raises(QuotaExceeded, match="64 asked for, but your quota of 100 has 36 left"):
        factories.environment(tenant)
    assert reserved(tenant) == 64
    assert Quota.objects.get(tenant=tenant, resource=Resource.MEMORY_MB).hits == 1


def test_a_quota_above_holds_for_the_sum_below() -> None:
    factories.node()
    top = factories.tenant(quota={"environments": 1})
    one, other = factories.tenant(parent=top), factories.tenant(parent=top)
    factories.environment(one)
    with pytest.raises(QuotaExceeded, match="which the tenant above yours has not left"):
        factories.environment(other)
    assert reserved(other) == 0


def test_all_is_given_back_when_nothing_is_left() -> None:
    factories.node()
    tenant = factories.tenant()
    made = factories.environment(tenant)
    services.delete_environment(factories.administrator(), made.pk)
    assert reserved(tenant) == 64, "it still holds memory on its node"
    factories.reported(made, ObservedState.DELETED)
    assert reserved(tenant) == reserved(tenant, Resource.ADDRESSES) == 0
