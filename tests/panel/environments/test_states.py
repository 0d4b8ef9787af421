"""An environment has one state: what it is shown with is what the page and the API find it by."""

import itertools
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from django.http import QueryDict

from panel.environments import selectors
from panel.environments.listing import list_environments
from panel.environments.models import Environment
from panel.environments.states import State
from panel.networks.models import Address
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    factories.node()
    return factories.tenant()


def _on_page(actor: Actor, query: str) -> list[str]:
    return [row.name for row in list_environments(actor, None, QueryDict(query)).rows]


def _by_api(actor: Actor, **filters: Any) -> list[str]:
    return [row.name for row in selectors.environments(actor, filters)]


def _found_in(state: str) -> tuple[list[str], list[str]]:
    actor = factories.administrator()
    return _on_page(actor, f"state={state}"), _by_api(actor, state=state)


def _set(row: Environment, **columns: Any) -> State:
    Environment.objects.filter(pk=row.pk).update(**columns)
    return Environment.objects.get(pk=row.pk).state


def test_one_that_is_suspended_for_its_traffic_is_found_as_suspended(tenant: Tenant) -> None:
    row = factories.environment(tenant, name="spent")
    assert _set(row, traffic_state="suspend", observed_state="stopped") is State.SUSPENDED
    assert _found_in("suspended") == (["spent"], ["spent"])
    assert _found_in("stopped") == ([], [])


def test_one_of_a_suspended_tenant_is_found_as_nothing_else(tenant: Tenant) -> None:
    row = factories.environment(tenant, name="held")
    Tenant.objects.filter(pk=tenant.pk).update(state="suspended")
    assert _set(row, observed_state="stopped") is State.SUSPENDED
    assert _found_in("suspended") == (["held"], ["held"])
    assert _found_in("stopped") == ([], [])


def test_a_deletion_that_failed_is_found_as_failed(tenant: Tenant) -> None:
    row = factories.environment(tenant, name="stuck")
    failed = {"generation": 2, "observed_generation": 1, "attempted_generation": 2, "code": "busy"}
    assert _set(row, desired_state="deleted", is_at_work=False, **failed) is State.FAILED
    assert _found_in("failed") == (["stuck"], ["stuck"])
    assert _found_in("deleting") == ([], [])


_COLUMNS: dict[str, tuple[Any, ...]] = {
    "desired_state": ("running", "running", "stopped", "paused", "deleted"),
    "observed_state": ("", "running", "stopped", "paused", "failed", "deleted"),
    "observed_generation": (0, 1, 2, 2),
    "attempted_generation": (1, 2),
    "code": ("", "pool_full", "node_silent"),
    "is_at_work": (False, True),
    "traffic_state": ("", "", "slow", "suspend"),
    "deleted_at": (None, None, None, None, datetime(2026, 1, 2, tzinfo=UTC)),
    "trashed_at": (None, None, datetime(2026, 1, 1, tzinfo=UTC)),
    "tenant_state": ("active", "active", "suspended"),
}


def test_the_column_that_is_asked_says_what_the_row_says(tenant: Tenant) -> None:
    row = factories.environment(tenant)
    every = list(itertools.product(*_COLUMNS.values()))
    met = set[State]()
    for values in random.Random(7).sample(every, 100):
        columns = dict(zip(_COLUMNS, values, strict=True))
        Tenant.objects.filter(pk=tenant.pk).update(state=columns.pop("tenant_state"))
        state = _set(row, generation=2, **columns)
        asked = Environment.objects.with_state().values_list("derived_state", flat=True).get(pk=row.pk)
        assert asked == state, columns
        assert [one for one in State if Environment.objects.in_state(one).exists()] == [state], columns
        met.add(state)
    assert met == set(State)


@pytest.mark.parametrize("text", ["über", "ÜBER", "front", "busyB", "WEB-"])
def test_page_and_api_find_the_same_whatever_the_case_and_the_script(tenant: Tenant, text: str) -> None:
    factories.environment(tenant, name="web-1", description="Über die Straße, FRONT")
    factories.environment(tenant, name="db-1", description="nothing of it", is_running=False)
    Environment.objects.filter(name="db-1").update(image="alpine-3")
    actor = factories.administrator()
    assert _on_page(actor, f"q={text}") == _by_api(actor, search=text) == ["web-1"]


def test_page_and_api_find_an_address_by_any_part_of_it(tenant: Tenant) -> None:
    row = factories.environment(tenant, name="web-1")
    address = str(Address.objects.filter(environment=row).order_by("family")[0].address)
    actor = factories.administrator()
    for part in (address, address[2:]):
        assert _on_page(actor, f"q={part}") == _by_api(actor, search=part) == ["web-1"]
