"""A quota that fills up: told at 80, 95 and 100 percent, once for each crossing."""

from typing import Any

import pytest
from django.core import mail
from django.test import Client

from panel import events
from panel.environments import services as environments
from panel.quotas.alerts import sweep
from panel.tenancy.services import update_tenant
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Events about quotas: resource and level."""
    found: list[tuple[str, int]] = []

    def publish(kind: str, id: Any, tenant: Any, **more: Any) -> None:
        if kind == "quota":
            found.append((more["resource"], more["level"]))

    monkeypatch.setattr(events, "publish", publish)
    return found


def filled(quota: dict[str, float | None]) -> Tenant:
    factories.node()
    return factories.tenant(quota=quota)


def test_each_crossing_is_told_once_by_event_and_letter(
    told: list[tuple[str, int]], django_capture_on_commit_callbacks: Any
) -> None:
    tenant = filled({"memory_mb": 100})
    owner, viewer = factories.member(tenant), factories.member(tenant, "viewer")
    row = factories.environment(tenant, limits={**factories.LIMITS, "memory_mb": 79})
    steps = []
    for size in (79, 80, 90, 96, 100, 100, 20, 80):
        environments.update_environment(
            factories.administrator(), row.pk, {"limits": {"memory_mb": size}, "description": str(size)}
        )
        told.clear()
        with django_capture_on_commit_callbacks(execute=True):
            sweep()
            sweep()
        steps.append(told[:])
    assert steps == [
        [], [("memory_mb", 80)], [], [("memory_mb", 95)], [("memory_mb", 100)], [], [("memory_mb", 0)],
        [("memory_mb", 80)],
    ]  # fmt: skip
    assert [m.to for m in mail.outbox] == [[owner.user.email]] * 4, "not the viewer, and not when it falls"
    assert viewer.user.email not in str([m.to for m in mail.outbox])
    assert mail.outbox[0].subject == f"{tenant.name}: 80 % of its quota of Memory is handed out"
    assert "80 of 100 are handed out" in mail.outbox[0].body
    assert f"/tenants/{tenant.pk}/" in mail.outbox[0].body


def test_a_lowered_or_lifted_limit_crosses_as_well(told: list[tuple[str, int]]) -> None:
    tenant = filled({"memory_mb": 1000})
    factories.environment(tenant)
    update_tenant(factories.administrator(), tenant.pk, quota={"memory_mb": 64})
    sweep()
    update_tenant(factories.administrator(), tenant.pk, quota={"memory_mb": None})
    sweep()
    assert told == [("memory_mb", 100), ("memory_mb", 0)]


def test_the_api_and_the_page_show_it(client: Client) -> None:
    tenant = filled({"environments": 1})
    factories.environment(tenant)
    sweep()
    owner = factories.member(tenant)
    headers = factories.bearer(owner, tenant, role="owner")
    shown = client.get(f"/api/v1/tenants/{tenant.pk}/usage", headers=headers).json()
    assert (shown["environments"]["alert"], shown["cpu"]["alert"]) == (100, None)
    client.force_login(owner.user, "allauth.account.auth_backends.AuthenticationBackend")
    assert "is used up" in client.get(f"/tenants/{tenant.pk}/").content.decode()
