"""F03, G04: fields that nobody asked for, parameters given twice, wrong types of content, huge pages."""

import json

import pytest
from django.test import Client

from panel.environments.models import Environment
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
_JSON = "application/json"
_EXTRA = {
    "owner": "x",
    "node": "other",
    "state": "running",
    "privileged": True,
    "is_staff": True,
    "is_superuser": True,
    "type": "own",
    "slot": 1,
    "observed_state": "running",
    "generation": 99,
    "tenant_id": "00000000-0000-0000-0000-000000000000",
}


@pytest.fixture
def own() -> tuple[Client, Environment]:
    factories.node()
    tenant = factories.tenant()
    client = Client(headers=factories.bearer(factories.member(tenant), tenant, role="administrator"))
    return client, factories.environment(tenant)


def _bodies(row: Environment) -> list[tuple[str, str, dict[str, object]]]:
    one, tenant = f"/api/v1/environments/{row.pk}", str(row.tenant_id)
    create = {"name": "new", "image": "busybox", "limits": factories.LIMITS, "tenant": tenant}
    return [
        ("POST", "/api/v1/environments", create),
        ("PATCH", one, {"description": "x"}),
        ("POST", f"{one}/stop", {}),
        ("POST", f"{one}/reinstall", {}),
        ("POST", f"{one}/credentials", {"ssh_keys": []}),
        ("POST", f"{one}/forwards", {"port": 80}),
        ("PATCH", f"/api/v1/tenants/{tenant}", {"name": "x"}),
        ("POST", "/api/v1/tokens", {"tenant": tenant, "role": "viewer"}),
        ("POST", f"/api/v1/tenants/{tenant}/roles", {"name": "x", "permissions": []}),
        ("POST", f"/api/v1/tenants/{tenant}/invitations", {"email": "a@example.test", "role": "viewer"}),
    ]


@pytest.mark.parametrize("field", sorted(_EXTRA))
def test_an_extra_field_is_refused_and_changes_nothing(field: str, own: tuple[Client, Environment]) -> None:
    client, row = own
    before = list(Environment.objects.values()), list(Tenant.objects.values())
    for method, path, body in _bodies(row):
        text = json.dumps({**body, field: _EXTRA[field]})
        answer = client.generic(method, path, text, content_type=_JSON)
        assert answer.status_code == 422, f"{method} {path}: {answer.content!r}"
        assert answer.json()["field"].endswith(field)
    assert before == (list(Environment.objects.values()), list(Tenant.objects.values()))


def test_extra_limits_are_refused(own: tuple[Client, Environment]) -> None:
    client, row = own
    body = json.dumps({"limits": {**factories.LIMITS, "privileged": 1}})
    answer = client.patch(f"/api/v1/environments/{row.pk}", body, content_type=_JSON)
    assert answer.status_code == 422


def test_a_form_takes_only_its_own_fields(own: tuple[Client, Environment]) -> None:
    _, row = own
    client = Client()
    client.force_login(factories.member(row.tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    extra = {key: str(value) for key, value in _EXTRA.items()}
    url = f"/environments/{row.pk}/settings/general"
    assert client.post(url, {"name": row.name, "description": "new", **extra}).status_code == 302
    fresh = Environment.objects.get(pk=row.pk)
    assert fresh.description == "new"
    assert (fresh.tenant_id, fresh.node_id, fresh.slot) == (row.tenant_id, row.node_id, row.slot)


def test_a_foreign_tenant_in_the_body_is_missing(own: tuple[Client, Environment]) -> None:
    client, _ = own
    stranger = str(factories.tenant().pk)
    for path, body in (
        ("/api/v1/environments", {"name": "new", "image": "busybox", "limits": factories.LIMITS}),
        ("/api/v1/tokens", {"role": "viewer"}),
    ):
        answer = client.post(path, json.dumps({**body, "tenant": stranger}), content_type=_JSON)
        assert answer.status_code == 404, path


@pytest.mark.parametrize(
    "query", ["limit=1000000000", "limit=-1", "limit=x", "offset=-1", "offset=99999999999999999999"]
)
def test_pages_of_a_list_are_bounded(query: str, own: tuple[Client, Environment]) -> None:
    client, _ = own
    for path in ("environments", "operations", "tenants", "audit", "addresses", "tokens"):
        assert client.get(f"/api/v1/{path}?{query}").status_code == 422, path


def test_methods_are_what_they_are(own: tuple[Client, Environment]) -> None:
    client, row = own
    url = f"/api/v1/environments/{row.pk}"
    for header in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        assert client.get(url, headers={header: "DELETE"}).status_code == 200
    assert client.post(f"{url}?_method=DELETE", content_type=_JSON).status_code == 405
    for method in ("TRACE", "CONNECT", "HEAD", "OPTIONS", "DEBUG"):
        assert client.generic(method, url).status_code in (200, 405), method
    assert Environment.objects.get(pk=row.pk).desired_state == "running"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""]
)
def test_only_json_is_read(content_type: str, own: tuple[Client, Environment]) -> None:
    client, row = own
    answer = client.generic("PATCH", f"/api/v1/environments/{row.pk}", b"<x/>", content_type=content_type)
    assert answer.status_code in (400, 415, 422)


def test_a_parameter_given_twice_is_refused(own: tuple[Client, Environment]) -> None:
    client, row = own
    other = factories.environment(factories.tenant())
    answer = client.get(f"/api/v1/environments?tenant={row.tenant_id}&tenant={other.tenant_id}")
    assert answer.status_code == 422
    assert answer.json()["field"] == "tenant"
