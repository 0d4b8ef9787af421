"""A suspended tenant: its environments stopped or frozen, its API closed, its pages saying so."""

import json
from typing import Any

import pytest
from django.test import Client

from panel import dispatch
from panel.environments import services as environments
from panel.errors import Conflict, Suspended
from panel.tenancy.lifecycle import resume_tenant, suspend_tenant
from panel.tenants.models import Tenant
from runtime.contract import DesiredState, EnvironmentSpec
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[EnvironmentSpec]:
    """What nodes are told."""
    told: list[EnvironmentSpec] = []
    monkeypatch.setattr(dispatch, "apply_on_commit", lambda spec, **_: told.append(spec))
    return told


def call(client: Client, method: str, path: str, body: Any = None, **headers: Any) -> Any:
    return client.generic(
        method, path, json.dumps(body) if body is not None else "", content_type="application/json", **headers
    )


@pytest.mark.parametrize(("how", "wanted"), [("stop", DesiredState.STOPPED), ("freeze", DesiredState.PAUSED)])
def test_what_runs_is_stopped_or_frozen_below_too_and_runs_again(
    how: str, wanted: DesiredState, sent: list[EnvironmentSpec]
) -> None:
    factories.node()
    top = factories.tenant()
    runs = factories.environment(factories.tenant(parent=top))
    rests = factories.environment(top)
    environments.stop(factories.administrator(), rests.pk)
    sent.clear()
    suspend_tenant(factories.administrator(), top.pk, reason="unpaid", how=how)
    told = {spec.id: spec.desired for spec in sent}
    assert told == {runs.pk: wanted, rests.pk: DesiredState.STOPPED}
    sent.clear()
    resume_tenant(factories.administrator(), top.pk)
    told = {spec.id: spec.desired for spec in sent}
    assert told == {runs.pk: DesiredState.RUNNING, rests.pk: DesiredState.STOPPED}


def test_a_child_stays_suspended_while_its_parent_is() -> None:
    top = factories.tenant()
    child = factories.tenant(parent=top)
    suspend_tenant(factories.administrator(), top.pk)
    with pytest.raises(Conflict, match="resume that one first"):
        resume_tenant(factories.administrator(), child.pk)


def test_a_child_that_was_suspended_by_itself_stays_so() -> None:
    top = factories.tenant()
    child = factories.tenant(parent=top)
    suspend_tenant(factories.administrator(), child.pk, reason="abuse")
    suspend_tenant(factories.administrator(), top.pk)
    resume_tenant(factories.administrator(), top.pk)
    assert Tenant.objects.get(pk=child.pk).suspended_reason == "abuse"


def test_its_api_answers_403_with_the_reason(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    made = factories.environment(tenant)
    headers = factories.bearer(factories.member(tenant), tenant, role="owner")
    suspend_tenant(factories.administrator(), tenant.pk, reason="The invoice of May is open.")
    for method, path, body in [
        ("GET", "/api/v1/environments", None),
        ("GET", f"/api/v1/environments/{made.pk}", None),
        ("POST", f"/api/v1/environments/{made.pk}/start", None),
        ("POST", "/api/v1/environments", {"name": "new", "image": "busybox", "limits": factories.LIMITS}),
        ("GET", f"/api/v1/tenants/{tenant.pk}/usage", None),
    ]:
        answer = call(client, method, path, body, headers=headers)
        assert answer.status_code == 403, (method, path)
        assert answer["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert problem["code"] == "tenant_suspended"
        assert "The invoice of May is open." in problem["detail"]


def test_administrators_see_it_but_start_nothing_of_it(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    made = factories.environment(tenant)
    administrator = factories.administrator()
    suspend_tenant(administrator, tenant.pk, reason="unpaid")
    headers = factories.bearer(administrator, None, "*")
    assert (
        call(client, "GET", f"/api/v1/environments/{made.pk}", headers=headers).json()["state"] == "suspended"
    )
    assert call(client, "POST", f"/api/v1/environments/{made.pk}/start", headers=headers).status_code == 403
    with pytest.raises(Suspended, match="unpaid"):
        factories.environment(tenant)
    assert call(client, "DELETE", f"/api/v1/environments/{made.pk}", headers=headers).status_code == 202


def test_its_pages_say_so_with_the_reason(client: Client) -> None:
    tenant = factories.tenant()
    owner = factories.member(tenant)
    suspend_tenant(factories.administrator(), tenant.pk, reason="The invoice of May is open.")
    client.force_login(owner.user, "allauth.account.auth_backends.AuthenticationBackend")
    for path in (f"/tenants/{tenant.pk}/", f"/environments/?tenant={tenant.slug}"):
        assert "The invoice of May is open." in client.get(path).content.decode(), path
