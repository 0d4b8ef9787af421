"""The rescue system, from the panel's side: what is asked of the node, by whom, and what a page says of it."""

import pytest
from django.test import Client

from panel.environments import services
from panel.environments.models import Environment
from panel.environments.specs import spec_of
from panel.errors import Conflict, Forbidden
from panel.operations.models import Operation
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from runtime.contract import DesiredState, ObservedState, Rescue
from tests.panel.support import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tenant() -> Tenant:
    factories.node()
    return factories.tenant()


@pytest.fixture
def root() -> Actor:
    return factories.administrator()


@pytest.fixture
def row(tenant: Tenant) -> Environment:
    made = factories.environment(tenant)
    factories.reported(made, ObservedState.RUNNING)
    made.refresh_from_db()
    return made


def test_what_runs_begins_anew_and_comes_back_anew(row: Environment, root: Actor) -> None:
    changed = services.rescue(root, row.pk)
    row.refresh_from_db()
    spec = spec_of(row)
    assert (spec.rescue, spec.desired, spec.boots, spec.network.closed) == (
        Rescue.ONLINE,
        DesiredState.RUNNING,
        1,
        False,
    )
    assert changed.operation is not None
    assert changed.operation.kind == "rescue"
    with pytest.raises(Conflict, match="already"):
        services.rescue(root, row.pk)
    services.leave_rescue(root, row.pk)
    row.refresh_from_db()
    assert (spec_of(row).rescue, spec_of(row).boots) == (Rescue.OFF, 2)
    with pytest.raises(Conflict, match="isn't"):
        services.leave_rescue(root, row.pk)


def test_without_a_network_nothing_is_led_to_it(row: Environment, root: Actor) -> None:
    services.rescue(root, row.pk, network=False)
    row.refresh_from_db()
    assert spec_of(row).network.closed
    services.rescue(root, row.pk)
    row.refresh_from_db()
    assert not spec_of(row).network.closed


def test_one_that_is_stopped_stays_so_when_it_leaves(row: Environment, root: Actor) -> None:
    services.stop(root, row.pk)
    services.rescue(root, row.pk)
    services.stop(root, row.pk)
    services.leave_rescue(root, row.pk)
    row.refresh_from_db()
    assert (spec_of(row).desired, spec_of(row).rescue) == (DesiredState.STOPPED, Rescue.OFF)


def test_a_new_root_is_started_from(row: Environment, root: Actor) -> None:
    services.rescue(root, row.pk)
    services.reinstall(root, row.pk)
    row.refresh_from_db()
    assert spec_of(row).rescue is Rescue.OFF


def test_it_takes_the_right_to_be_root_inside(row: Environment, tenant: Tenant) -> None:
    viewer = factories.member(tenant, "viewer")
    with pytest.raises(Forbidden):
        services.rescue(viewer, row.pk)
    assert not Operation.objects.filter(environment=row, kind="rescue").exists()


def test_by_the_api_and_on_its_page(row: Environment, root: Actor, client: Client) -> None:
    client.force_login(root.user)
    place = f"/api/v1/environments/{row.pk}"
    answer = client.post(f"{place}/rescue", {"network": False}, content_type="application/json")
    assert answer.status_code == 202, answer.content
    assert answer.json()["rescue"] == "offline"
    factories.reported(row, ObservedState.RUNNING)
    page = client.get(f"/environments/{row.pk}/").content.decode()
    assert "Leave the rescue system" in page
    assert "Nothing goes in or out" in page
    assert client.delete(f"{place}/rescue").json()["rescue"] == "off"
    wrong = client.patch(place, {"rescue": "floppy"}, content_type="application/json")
    assert (wrong.status_code, wrong.json()["field"]) == (422, "rescue")
