"""What a plan allows, asked at every way in."""

import re

import pytest
from django.test import Client

from panel.environments import services as environments
from panel.errors import Conflict, Invalid
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
