"""Tokens for the registry: who gets one, and for what."""

import base64
from pathlib import Path
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.test import Client

from panel.registries import own
from panel.tenants.models import Tenant, TenantState
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("panel", "registry"):
        (tmp_path / name).mkdir()
    own.ensure_keys(tmp_path)
    monkeypatch.setattr(settings, "WADAH", settings.WADAH.model_copy(update={"home": tmp_path}))
    return tmp_path


@pytest.fixture
def tenant() -> Tenant:
    return factories.tenant()


def _ask(tenant: Tenant, scope: str, role: str = "operator", name: str = "x") -> Any:
    bearer = factories.bearer(factories.member(tenant, "owner"), tenant, role=role)["Authorization"]
    pair = base64.b64encode(f"{name}:{bearer.removeprefix('Bearer ')}".encode()).decode()
    return Client().get("/registry/token", {"scope": scope}, headers={"Authorization": f"Basic {pair}"})


def _granted(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.content
    claims = jwt.decode(answer.json()["token"], options={"verify_signature": False})
    return list(claims["access"])


def test_what_is_granted_is_what_its_role_may(tenant: Tenant) -> None:
    scope = f"repository:{tenant.slug}/web:pull,push,delete,*"
    assert [one["actions"] for one in _granted(_ask(tenant, scope))] == [["pull", "push"]]
    assert [one["actions"] for one in _granted(_ask(tenant, scope, "viewer"))] == [["pull"]]
    assert _granted(_ask(tenant, scope, "billing")) == []
    assert _granted(_ask(factories.tenant(), scope)) == []


def test_a_suspended_tenant_gets_none(tenant: Tenant) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(state=TenantState.SUSPENDED)
    assert _ask(tenant, f"repository:{tenant.slug}/web:push").status_code == 403


@pytest.mark.parametrize(
    "scope",
    [
        "../x:pull",
        "a/b",
        ":pull",
        "x",
        ":" * 500,
        "SLUG:pull",
        "SLUG/:pull",
        "SLUG/../x:pull",
        "SLUG//x:pull",
        "SLUG/X:pull",
    ],
)
def test_an_odd_scope_grants_nothing(tenant: Tenant, home: Path, scope: str) -> None:
    assert _granted(_ask(tenant, "repository:" + scope.replace("SLUG", tenant.slug))) == []
    assert _granted(_ask(tenant, scope)) == []
    assert _granted(_ask(tenant, "registry:catalog:*")) == []
    assert not (home / "registry" / "owners").exists()


@pytest.mark.parametrize("header", ["", "Basic", "Basic %%%", "Basic eA==", "Bearer x", "Basic eDp5"])
def test_nobody_gets_none(header: str) -> None:
    answer = Client().get("/registry/token", headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Basic ")
    assert answer.json()["errors"][0]["code"] == "UNAUTHORIZED"


def test_who_tries_oauth_first_is_told_that_there_is_none() -> None:
    """containerd posts first, and asks by GET after a 405."""
    answer = Client(enforce_csrf_checks=True).post("/registry/token", {"grant_type": "password"})
    assert answer.status_code == 405


def test_a_pass_is_for_one_repository_and_ends(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    text = own.pass_for(tenant.pk, "acme/web")
    assert own.read_pass(text) == ("acme/web", False)
    assert own.read_pass(own.pass_for(tenant.pk, "acme/web", pushes=True)) == ("acme/web", True)
    assert own.read_pass(text[:-1]) is None
    assert own.read_pass("") is None
    now = own.time.time()
    monkeypatch.setattr(own.time, "time", lambda: now + 3 * 3600)
    assert own.read_pass(text) is None
