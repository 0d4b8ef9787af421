"""What a plan allows, asked at every way in."""

import re

import pytest
from django.test import Client

from panel.environments import services as environments
from panel.errors import Conflict, Forbidden, Invalid
from panel.networks.forwards import add_forward
from panel.networks.models import Address
from panel.plans.models import Plan
from panel.plans.services import create_plan, update_plan
from panel.tenancy.services import update_tenant
from runtime.contract import Device, Kernel, Kind
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def test_an_image_that_the_plan_leaves_out_is_refused_on_every_way() -> None:
    factories.node()
    administrator, tenant = factories.administrator(), factories.tenant()
    create_plan(administrator, name="Only busybox", limits=factories.LIMITS, choices={"images": ["busybox"]})
    with pytest.raises(Invalid, match="allows the image busybox, not debian-12") as refused:
        factories.environment(tenant, plan="only-busybox", limits=None, image="debian-12")
    assert refused.value.field == "image"
    row = factories.environment(tenant, plan="only-busybox", limits=None)
    with pytest.raises(Invalid, match="allows the image busybox"):
        environments.reinstall(administrator, row.pk, image="debian-12")
    other = factories.environment(tenant, image="debian-12")
    with pytest.raises(Invalid, match="allows the image busybox"):
        environments.update_environment(administrator, other.pk, {"plan": "only-busybox"})


def test_a_kernel_and_a_kind_that_the_plan_leaves_out_are_refused() -> None:
    factories.node(kernels=tuple(Kernel), kinds=tuple(Kind))
    administrator, tenant = factories.administrator(), factories.tenant()
    create_plan(
        administrator,
        name="Guarded",
        limits=factories.LIMITS,
        choices={"kernels": ["guarded"], "kinds": ["app"]},
    )
    with pytest.raises(Invalid, match="allows the kind app, not system"):
        factories.environment(tenant, plan="guarded", limits=None)
    with pytest.raises(Invalid, match="allows the kernel guarded, not shared"):
        factories.environment(tenant, plan="guarded", limits=None, kind="app")


def test_forwards_and_addresses_are_counted_per_environment() -> None:
    factories.node()
    administrator, tenant = factories.administrator(), factories.tenant()
    create_plan(administrator, name="Few", limits=factories.LIMITS, allowances={"forwards": 1, "addresses": 0})
    with pytest.raises(Conflict, match="gives 0 addresses") as refused:
        factories.environment(tenant, plan="few", limits=None, ipv4=1)
    assert refused.value.field == "ipv4"
    row = factories.environment(tenant, plan="few", limits=None)
    assert not Address.objects.filter(environment=row, family=4).exists(), "none where the plan has none"
    add_forward(administrator, row.pk, port=80)
    with pytest.raises(Conflict, match="gives 1 port forwards to an environment; this would be number 2"):
        add_forward(administrator, row.pk, port=81)


def test_a_tenant_that_must_use_plans_takes_no_size_of_its_own() -> None:
    factories.node()
    administrator, tenant = factories.administrator(), factories.tenant()
    create_plan(administrator, name="Small", limits=factories.LIMITS)
    tenant = update_tenant(administrator, tenant.pk, must_use_plans=True)
    with pytest.raises(Invalid, match="have the size of a plan"):
        factories.environment(tenant)
    with pytest.raises(Invalid, match="have the size of a plan"):
        factories.environment(tenant, plan="small", limits={"memory_mb": 32})
    row = factories.environment(tenant, plan="small", limits=None)
    with pytest.raises(Invalid, match="have the size of a plan"):
        environments.update_environment(administrator, row.pk, {"limits": {"memory_mb": 32}})


@pytest.mark.parametrize(
    ("field", "value", "there"),
    [
        ("kinds", "app", "system"),
        ("kernels", "guarded", "shared"),
        ("images", "debian-13", "busybox, debian-12"),
        ("devices", "/dev/fuse", "/dev/net/tun"),
    ],
)
def test_a_plan_offers_nothing_that_no_node_has(client: Client, field: str, value: str, there: str) -> None:
    node = factories.node(devices=(Device.TUN,))
    administrator = factories.administrator()
    headers = factories.bearer(administrator, None, "*")
    body = {"name": "Empty", "limits": factories.LIMITS, "choices": {field: [value]}}
    answer = client.post("/api/v1/plans", body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (422, f"choices.{field}")
    assert answer.json()["detail"].endswith(f"{value}; there is {there}.")
    assert not Plan.objects.exists()
    client.force_login(administrator.user, "allauth.account.auth_backends.AuthenticationBackend")
    assert f'value="{value}"' not in client.get("/plans/").content.decode()
    made = create_plan(administrator, name="Whole", limits=factories.LIMITS)
    with pytest.raises(Invalid, match=re.escape(value)):
        update_plan(administrator, made.pk, {"choices": {field: [value]}})
    every = {"kinds": tuple(Kind), "kernels": tuple(Kernel), "devices": tuple(Device)}
    factories.node(node.name, **every, images=("busybox", "debian-12", "debian-13"))
    update_plan(administrator, made.pk, {"choices": {field: [value]}})
    factories.node(node.name, devices=(Device.TUN,))
    # what it offered before, it goes on with
    update_plan(administrator, made.pk, {"limits": {"memory_mb": 128}})


def test_what_a_plan_opens_its_tenant_switches_on_and_nothing_more() -> None:
    """A firewall of one's own is what a VPS's owner expects; whether a tenant may have it is in his plan."""
    factories.node()
    administrator, tenant = factories.administrator(), factories.tenant()
    owner = factories.member(tenant)
    create_plan(
        administrator, name="Vps", limits=factories.LIMITS, choices={"opens": ["firewall", "allow_smtp"]}
    )
    create_plan(administrator, name="Closed", limits=factories.LIMITS)
    row = environments.create_environment(
        owner, tenant, name="a", plan="vps", image="busybox", security={"firewall": True}
    ).environment
    environments.update_environment(owner, row.pk, {"network": {"allow_smtp": True}})
    for asked, word in (
        ({"security": {"nesting": True}}, "nesting"),
        ({"network": {"allow_private": True}}, "allow_private"),
    ):
        with pytest.raises(Invalid, match=f"The plan Vps doesn't allow {word}"):
            environments.update_environment(owner, row.pk, asked)
    with pytest.raises(Invalid, match="The plan Closed doesn't allow allow_smtp"):
        environments.update_environment(owner, row.pk, {"plan": "closed"})
    closing = {"security": {"firewall": False}, "network": {"allow_smtp": False}, "plan": "closed"}
    environments.update_environment(owner, row.pk, closing)
    with pytest.raises(Forbidden):
        environments.update_environment(owner, row.pk, {"security": {"firewall": True}})
    environments.update_environment(administrator, row.pk, {"security": {"firewall": True}})
    environments.update_environment(owner, row.pk, {"security": {"confinement": "strict"}})
    row.refresh_from_db()
    assert row.wanted.security.firewall, "what the provider gave by name stays with another change"
    environments.update_environment(owner, row.pk, {"security": {"firewall": False}})
    with pytest.raises(Forbidden):
        environments.update_environment(owner, row.pk, {"security": {"firewall": True}})


def test_a_plan_and_an_opening_in_one_change_are_judged_by_the_plan_that_is_asked_for() -> None:
    factories.node()
    administrator, tenant = factories.administrator(), factories.tenant()
    owner = factories.member(tenant)
    create_plan(administrator, name="Vps", limits=factories.LIMITS, choices={"opens": ["firewall"]})
    create_plan(administrator, name="Closed", limits=factories.LIMITS)
    row = factories.environment(tenant, plan="closed", limits=None)
    environments.update_environment(owner, row.pk, {"plan": "vps", "security": {"firewall": True}})
    row.refresh_from_db()
    assert row.wanted.security.firewall
    with pytest.raises(Invalid, match="The plan Closed doesn't allow firewall"):
        environments.update_environment(owner, row.pk, {"plan": "closed", "security": {"compat32": False}})


def test_days_in_the_trash_are_the_plans_where_it_says_so() -> None:
    factories.node()
    administrator, tenant = factories.administrator(), factories.tenant()
    create_plan(administrator, name="Kept", limits=factories.LIMITS, allowances={"trash_days": 7})
    create_plan(administrator, name="Gone", limits=factories.LIMITS, allowances={"trash_days": 0})
    update_tenant(administrator, tenant.pk, trash_days=3)
    days = [factories.environment(tenant, plan=plan, limits=None).trash_days for plan in ("kept", "gone")]
    assert [*days, factories.environment(tenant).trash_days] == [7, 0, 3]


def test_the_settings_ask_for_what_the_plan_opens_and_no_more() -> None:
    factories.node()
    administrator, tenant = factories.administrator(), factories.tenant()
    create_plan(
        administrator, name="Vps", limits=factories.LIMITS, choices={"opens": ["firewall", "allow_smtp"]}
    )
    row, browser = factories.environment(tenant, plan="vps", limits=None), Client()
    browser.force_login(factories.member(tenant).user)
    page = f"/environments/{row.pk}/settings"
    asked = set(re.findall(r'name="(security\.\w+)"', browser.get(page).content.decode()))
    assert asked == {"security.firewall"}
    network = browser.get(f"/environments/{row.pk}/network").content.decode()
    assert 'name="allow_smtp"' in network and 'name="allow_private"' not in network
    browser.post(f"{page}/confinement", {"security.firewall": "on"})
    browser.post(f"/environments/{row.pk}/network/network", {"allow_smtp": "on"})
    row.refresh_from_db()
    assert row.wanted.security.firewall and row.wanted.network.allow_smtp
    assert browser.post(f"{page}/confinement", {"security.nesting": "on"}).status_code == 422
