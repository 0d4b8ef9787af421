"""What isn't asked for, the kind says: its limits and addresses, each in one record of the contract."""

import re
from typing import Any

import pytest
from django.test import Client

from panel.environments.models import Environment
from panel.tenants.models import Tenant
from runtime.contract import Kind, wants_of
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
ASKED = {"system": {"image": "busybox"}, "app": {"image": "nginx:1.27", "kind": "app"}}


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.APP))
    return factories.tenant()


def create(client: Client, tenant: Tenant, **body: Any) -> Any:
    owner = factories.member(tenant)
    bearer = factories.bearer(owner, tenant, role="owner")
    return client.post("/api/v1/environments", body, content_type="application/json", headers=bearer)


@pytest.mark.parametrize("kind", list(ASKED))
def test_without_plan_and_limits_it_has_its_kinds(client: Client, tenant: Tenant, kind: str) -> None:
    assert create(client, tenant, name="web", **ASKED[kind]).status_code == 202
    row = Environment.objects.get()
    wants = wants_of(Kind(kind))
    assert row.wanted.limits == wants.limits
    families = [one.family for one in row.addresses.all()]
    assert (families.count(4), families.count(6)) == (wants.ipv4, wants.ipv6)
    assert bool(row.root_password_hash) is wants.has_accounts


def test_one_limit_is_given_and_the_rest_is_the_kinds(client: Client, tenant: Tenant) -> None:
    answer = create(client, tenant, name="web", **ASKED["app"], limits={"memory_mb": 1024})
    assert answer.status_code == 202, answer.content
    assert Environment.objects.get().wanted.limits == wants_of(Kind.APP).limits.model_copy(
        update={"memory_mb": 1024}
    )


def test_kinds_differ() -> None:
    assert wants_of(Kind.SYSTEM) != wants_of(Kind.APP)


@pytest.mark.parametrize("kind", list(ASKED))
def test_the_page_begins_with_them(client: Client, tenant: Tenant, kind: str) -> None:
    owner = factories.member(tenant)
    client.force_login(owner.user, "allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(f"/environments/create?kind={kind}").content.decode()
    shown = {name: re.search(rf'name="{name}" value="(\d+)"', page) for name in ("memory_mb", "disk_mb")}
    wants = wants_of(Kind(kind)).limits
    assert {name: int(one[1]) for name, one in shown.items() if one} == {
        "memory_mb": wants.memory_mb,
        "disk_mb": wants.disk_mb,
    }


@pytest.mark.parametrize("kernel", ["guarded", "own"])
def test_a_kernel_that_no_node_has_is_refused_by_name(client: Client, tenant: Tenant, kernel: str) -> None:
    answer = create(client, tenant, name="web", **ASKED["system"], kernel=kernel)
    assert (answer.status_code, answer.json()["field"]) == (422, "kernel")
    assert answer.json()["detail"].startswith(f"No node offers kind system on the kernel {kernel}")
    assert not Environment.objects.exists()
