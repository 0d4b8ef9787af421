"""The page for a new environment offers what still fits, and says why the rest doesn't."""

from typing import Any

import pytest
from django.test import Client

from panel.environments.create_page import CreatePage
from panel.nodes.services import update_node
from panel.plans.services import create_plan
from panel.tenancy.services import update_tenant
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def cards(tenant: Tenant) -> dict[str, str]:
    """Why each plan can't be chosen."""
    page = CreatePage(factories.administrator(), None, tenant.slug)
    return {card.name: card.why_not for card in page.plans}


def plan(name: str, **terms: Any) -> None:
    create_plan(factories.administrator(), name=name, **{"limits": factories.LIMITS, **terms})


def test_a_plan_that_the_quota_has_no_room_for_says_how_much_is_left() -> None:
    factories.node()
    plan("Small")
    plan("Large", limits={**factories.LIMITS, "memory_mb": 300})
    assert cards(factories.tenant(quota={"memory_mb": 100})) == {
        "Small": "",
        "Large": "100 MiB memory left of the quota",
    }


def test_a_limited_tenant_is_measured_by_its_own_quota_not_its_parents() -> None:
    """Its limit was taken from the parent already, which may have nothing left itself."""
    factories.node()
    plan("Small")
    top = factories.tenant(quota={"memory_mb": 100})
    assert cards(factories.tenant(parent=top, quota={"memory_mb": 100})) == {"Small": ""}
    assert cards(factories.tenant(parent=top)) == {"Small": "0 B memory left of the quota"}


def test_a_plan_that_no_node_has_room_for() -> None:
    one = factories.node(memory_bytes=2**30)
    plan("Small")
    plan("Large", limits={**factories.LIMITS, "memory_mb": 512})
    update_node(factories.administrator(), one.pk, overcommit={"memory_mb": 0.25})
    assert cards(factories.tenant()) == {"Small": "", "Large": "no node has room for it"}


def test_a_plan_whose_images_are_not_ready() -> None:
    there = factories.node()
    plan("Debian only", choices={"images": ["debian-12"]})
    factories.node(there.name, images=("busybox",))
    assert cards(factories.tenant()) == {"Debian only": "none of its images is ready: debian-12"}


def test_own_size_is_off_where_plans_must_be_used(client: Client) -> None:
    factories.node()
    plan("Small")
    tenant = factories.tenant()
    update_tenant(factories.administrator(), tenant.pk, must_use_plans=True)
    client.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    text = client.get("/environments/create").content.decode()
    assert "have the size of a plan" in text.replace("&#x27;", "'")
