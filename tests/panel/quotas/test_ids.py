"""Ranges of user ids: the longest rested comes back before a create is refused."""

from datetime import timedelta

import pytest
from django.utils import timezone

from panel.environments import services
from panel.environments.models import Environment
from panel.errors import NoRoom
from panel.tenants.models import Tenant
from runtime.contract import ObservedState
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def gone(of: Tenant, *, seconds_ago: float) -> Environment:
    """An environment of which nothing has been left for so long."""
    made = factories.environment(of)
    services.delete_environment(factories.administrator(), made.pk)
    factories.reported(made, ObservedState.DELETED)
    Environment.objects.filter(pk=made.pk).update(deleted_at=timezone.now() - timedelta(seconds=seconds_ago))
    return made


def test_a_small_node_goes_on_after_as_many_creates_as_it_has_ranges() -> None:
    factories.node(slots=3)
    tenant = factories.tenant()
    kept = factories.environment(tenant)
    shorter, longer = gone(tenant, seconds_ago=70), gone(tenant, seconds_ago=90)
    assert factories.environment(tenant).slot == longer.slot
    assert factories.environment(tenant).slot == shorter.slot
    kept.refresh_from_db()
    assert kept.slot not in (longer.slot, shorter.slot)


def test_a_range_rests_a_minute_even_when_there_is_no_other() -> None:
    factories.node(slots=1)
    tenant = factories.tenant()
    gone(tenant, seconds_ago=50)
    with pytest.raises(NoRoom, match="in use or resting"):
        factories.environment(tenant)
