"""Devices: asked for by page and API, allowed by the plan, given by a start, taken by the next one."""

from typing import Any

import pytest
from django.test import Client

from panel.environments import services as environments
from panel.environments.create_page import CreatePage
from panel.environments.models import Environment
from panel.environments.specs import spec_of
from panel.errors import Conflict, Forbidden, Invalid
from panel.plans.services import create_plan, update_plan
from panel.rights.permissions import Permission
from panel.tenancy.lifecycle import suspend_tenant
from panel.tenants.models import Tenant
from runtime.contract import DesiredState, Device
from runtime.tenants import laid_over as held
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
_TUN, _FUSE = "/dev/net/tun", "/dev/fuse"


@pytest.fixture
def tenant() -> Tenant:
    factories.node()
    administrator = factories.administrator()
    create_plan(administrator, name="Bare", limits=factories.LIMITS)
    create_plan(administrator, name="Vpn", limits=factories.LIMITS, choices={"devices": [_TUN]})
    return factories.tenant()


def made(tenant: Tenant, plan: str = "vpn", **fields: Any) -> Environment:
    return factories.environment(tenant, factories.member(tenant), plan=plan, limits=None, **fields)


def signed_in(tenant: Tenant) -> Client:
    client = Client()
    client.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_a_plan_says_which_and_the_node_is_told(tenant: Tenant) -> None:
    row = made(tenant, devices=[_TUN])
    assert spec_of(row).devices == (Device.TUN,)
    for plan, device, said in (
        ("vpn", _FUSE, "The plan Vpn doesn't allow the device /dev/fuse."),
        ("bare", _TUN, "The plan Bare doesn't allow the device /dev/net/tun."),
        ("vpn", "/dev/mem", "devices: /dev/mem can't be given; one can give /dev/net/tun, /dev/fuse."),
    ):
        with pytest.raises(Invalid) as refused:
            made(tenant, plan, devices=[device])
        assert (refused.value.message, refused.value.field) == (said, "devices")
    assert Environment.objects.count() == 1, "nothing half-done stays"


def test_without_a_plan_only_an_administrator_gives_one(tenant: Tenant) -> None:
    with pytest.raises(Invalid, match="comes with a plan that allows it, or from an administrator"):
        factories.environment(tenant, factories.member(tenant), devices=[_FUSE])
    row = factories.environment(tenant, devices=[_FUSE])
    owner = factories.member(tenant)
    environments.update_environment(owner, row.pk, {"restart": {"mode": "never"}, "devices": [_FUSE]})
    with pytest.raises(Invalid, match="or from an administrator"):
        environments.update_environment(owner, row.pk, {"devices": [_FUSE, _TUN]})
    environments.update_environment(owner, row.pk, {"devices": []})
    with pytest.raises(Invalid, match="or from an administrator"):
        environments.update_environment(owner, row.pk, {"devices": [_FUSE]})


def test_a_running_one_restarts_for_it_and_who_may_not_restart_may_not_give_it(tenant: Tenant) -> None:
    row = made(tenant)
    environments.update_environment(factories.member(tenant), row.pk, {"devices": [_TUN]})
    row.refresh_from_db()
    assert (spec_of(row).devices, row.boots) == ((Device.TUN,), 1)
    environments.stop(factories.member(tenant), row.pk)
    environments.update_environment(factories.member(tenant), row.pk, {"devices": []})
    row.refresh_from_db()
    assert row.boots == 1, "a stopped one has it gone at its next start"
    factories.reported(row)
    environments.start(factories.member(tenant), row.pk)
    from panel.people.roles import create_role
    from panel.tenants.models import Membership

    owner = factories.member(tenant)
    few = [Permission.ENVIRONMENT_VIEW, Permission.ENVIRONMENT_CHANGE]
    role = create_role(owner, tenant, name="changes", permissions=few)
    someone = factories.member(tenant, "viewer")
    Membership.objects.filter(user=someone.user).update(role="custom", custom_role=role)
    with pytest.raises(Forbidden):
        environments.update_environment(someone, row.pk, {"devices": [_TUN]})


def test_a_plan_without_it_is_refused_and_named_in_the_preview(tenant: Tenant) -> None:
    row = made(tenant, devices=[_TUN])
    owner = factories.member(tenant)
    with pytest.raises(Invalid, match="The plan Bare doesn't allow the device"):
        environments.update_environment(owner, row.pk, {"plan": "bare"})
    environments.update_environment(owner, row.pk, {"plan": "bare", "devices": []})
    row = made(tenant, devices=[_TUN])
    headers = factories.bearer(factories.administrator(), None, "*")
    assert row.plan_version is not None
    path = f"/api/v1/plans/{row.plan_version.plan_id}"
    change = {"choices": {"devices": []}}
    seen = Client(headers=headers).post(f"{path}/preview", change, content_type="application/json").json()
    assert "doesn't allow the device /dev/net/tun" in str(seen)
    update_plan(factories.administrator(), row.plan_version.plan_id, change)


def test_a_node_that_has_none_is_not_chosen() -> None:
    node = factories.node()
    create_plan(factories.administrator(), name="Vpn", limits=factories.LIMITS, choices={"devices": [_TUN]})
    factories.node(node.name, devices=())
    tenant = factories.tenant()
    with pytest.raises(Invalid, match="No node has the devices /dev/net/tun"):
        made(tenant, devices=[_TUN])
    row = made(tenant)
    with pytest.raises(Conflict, match=f"Its node {node.name} has no /dev/net/tun"):
        environments.update_environment(factories.member(tenant), row.pk, {"devices": [_TUN]})


def test_what_can_not_be_frozen_is_stopped_with_its_tenant(tenant: Tenant) -> None:
    """Who waits for an answer of a file system of his own isn't frozen by any kernel."""
    plain = made(tenant, devices=[_TUN])
    own = factories.environment(tenant, devices=[_FUSE])
    suspend_tenant(factories.administrator(), tenant.pk, how="freeze")
    for row, wanted in ((plain, DesiredState.PAUSED), (own, DesiredState.STOPPED)):
        row.refresh_from_db()
        assert held(spec_of(row), None).desired is wanted


def test_pages_offer_what_the_plan_allows(tenant: Tenant) -> None:
    cards = {card.name: card.devices for card in CreatePage(factories.administrator(), None, tenant.slug).plans}
    assert cards == {"Bare": "", "Vpn": _TUN}
    client = signed_in(tenant)
    values = {"name": "by-page", "image": "busybox", "plan": "vpn", "kind": "system", "kernel": "shared"}
    values["tenant"] = tenant.slug
    refused = client.post("/environments/create", {**values, "devices": [_FUSE]})
    assert refused.status_code == 422
    assert "allow the device /dev/fuse" in refused.content.decode()
    assert client.post("/environments/create", {**values, "devices": [_TUN]}).status_code == 302
    row = Environment.objects.get(name="by-page")
    factories.reported(row)
    page = client.get(f"/environments/{row.pk}/settings").content.decode()
    assert f'value="{_TUN}" checked' in page
    assert "allow the device /dev/fuse" in page
    assert client.post(f"/environments/{row.pk}/settings/devices", {"devices": []}).status_code == 302
    row.refresh_from_db()
    assert row.wanted.devices == ()


def test_over_the_api_too(tenant: Tenant) -> None:
    client = Client(headers=factories.bearer(factories.member(tenant), tenant, role="owner"))
    body = {"name": "by-api", "image": "busybox", "plan": "vpn", "devices": [_TUN]}
    answer = client.post("/api/v1/environments", body, content_type="application/json")
    assert (answer.status_code, answer.json()["devices"]) == (202, [_TUN])
    path = f"/api/v1/environments/{answer.json()['id']}"
    refused = client.patch(path, {"devices": [_FUSE]}, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (422, "not_in_plan")
    changed = client.patch(path, {"devices": []}, content_type="application/json")
    assert (changed.status_code, changed.json()["devices"]) == (202, [])
