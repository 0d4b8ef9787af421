"""The document shows a body for every operation that takes one, and the panel takes it."""

import json
from typing import Any

import pytest
from django.test import Client

from panel.api.examples import EXAMPLES
from panel.api.headers import TAKES_IF_MATCH
from panel.api.root import api
from panel.environments.models import Environment
from panel.images.services import ensure_catalogue
from panel.tenants.models import Tenant
from tests.panel.support import described, factories

pytestmark = pytest.mark.django_db
#: They answer with no document: a text, a stream of lines.
NO_DOCUMENT = {
    "environments_console_log",
    "environments_logs",
    "audit_export",
    "environments_attach",
    "environments_copy_out",
    "files_archive",
    "files_content",
    "backups_file_archive",
    "backups_file_content",
    "builds_run_log",
    "repositories_archive",
}


@pytest.fixture
def client() -> Client:
    return Client(headers=factories.bearer(factories.administrator(), None, "*"))


def operations(client: Client) -> dict[str, dict[str, Any]]:
    document = client.get("/api/v1/openapi.json").json()
    return {one["operationId"]: one for path in document["paths"].values() for one in path.values()}


def test_the_document_is_made_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes half a second, and strangers get it."""
    before = client.get("/api/v1/openapi.json")
    monkeypatch.setattr(api, "get_openapi_schema", lambda **_: pytest.fail("it is made anew"))
    again = Client().get("/api/v1/openapi.json")
    assert again.status_code == 200 and again.content == before.content
    assert again["Content-Type"] == before["Content-Type"]


def test_every_body_has_an_example_and_every_document_a_shape(client: Client) -> None:
    found = operations(client)
    bodies = {
        name
        for name, one in found.items()
        if "application/json" in one.get("requestBody", {}).get("content", {})
    }
    assert bodies == set(EXAMPLES)
    answering = {name for name, one in found.items() if {"200", "201", "202"} & set(one["responses"])}
    assert answering == set(described.answers()) | NO_DOCUMENT


def test_every_reference_of_the_document_leads_somewhere(client: Client) -> None:
    document = client.get("/api/v1/openapi.json").json()
    text = json.dumps(document)
    for name in {word.split('"')[0] for word in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"], name
    schemas = document["components"]["schemas"]
    assert set(schemas["Limits"]["required"]) == {"cpu", "memory_mb", "disk_mb"}
    assert "required" not in schemas["LimitsInPart"], "what isn't said stays, or is of the kind"
    for schema, name in (
        ("NewEnvironment", "LimitsInPart"),
        ("EnvironmentToChange", "LimitsInPart"),
        ("ChangedPlan", "LimitsInPart"),
    ):
        limits = schemas[schema]["properties"]["limits"]["anyOf"][0]
        assert limits == {"$ref": f"#/components/schemas/{name}"}, schema
    assert schemas["NewPlan"]["properties"]["limits"] == {"$ref": "#/components/schemas/Limits"}


def test_no_two_schemas_are_one_class_to_a_generator(client: Client) -> None:
    schemas = client.get("/api/v1/openapi.json").json()["components"]["schemas"]
    assert {name: schema["title"] for name, schema in schemas.items()} == {name: name for name in schemas}


def test_every_change_takes_the_headers_that_it_understands(client: Client) -> None:
    """Those with `If-Match` in their words or code, and no other."""
    document = client.get("/api/v1/openapi.json").json()
    takes: dict[str, set[str]] = {}
    for path in document["paths"].values():
        for method, one in path.items():
            names = {parameter["name"] for parameter in one["parameters"] if parameter["in"] == "header"}
            assert ("Idempotency-Key" in names) == (method != "get"), one["operationId"]
            takes[one["operationId"]] = names
    assert {name for name, names in takes.items() if "If-Match" in names} == TAKES_IF_MATCH


def send(client: Client, name: str, path: str, method: str = "POST") -> Any:
    """The answer to the example of an operation, held against what the document says of it."""
    answer = client.generic(method, f"/api/v1{path}", json.dumps(EXAMPLES[name]), "application/json")
    assert answer.status_code < 300, f"{name}: {answer.content.decode()}"
    described.check(name, answer.json())
    return answer.json()


def test_the_panel_takes_each_example(client: Client) -> None:
    node = factories.node(images=("busybox", "debian-12"))
    ensure_catalogue()
    tenant = send(client, "tenants_create", "/tenants")["id"]
    path = f"/tenants/{tenant}"
    plan = send(client, "plans_create", "/plans")["id"]
    send(client, "plans_preview", f"/plans/{plan}/preview")
    made = send(client, "environments_create", "/environments")["id"]
    one = f"/environments/{made}"
    factories.reported(Environment.objects.get(pk=made))
    send(client, "environments_update", one, "PATCH")
    send(client, "environments_preview", f"{one}/preview")
    send(client, "environments_credentials", f"{one}/credentials")
    send(client, "environments_add_forward", f"{one}/forwards")
    send(client, "shares_create", f"{one}/shares")
    send(client, "environments_reinstall", f"{one}/reinstall")
    send(client, "environments_stop", f"{one}/stop")
    send(client, "plans_update", f"/plans/{plan}", "PATCH")
    own = factories.environment(Tenant.objects.get(pk=tenant))
    send(client, "environments_add_addresses", f"/environments/{own.pk}/addresses")
    send(client, "tenants_preview_quota", f"{path}/quota/preview")
    send(client, "tenants_update", path, "PATCH")
    send(client, "invitations_create", f"{path}/invitations")
    role = send(client, "roles_create", f"{path}/roles")["id"]
    send(client, "roles_update", f"{path}/roles/{role}", "PATCH")
    factories.member(Tenant.objects.get(pk=tenant))
    member = factories.member(Tenant.objects.get(pk=tenant), "viewer").user.pk
    send(client, "members_update", f"{path}/members/{member}", "PATCH")
    send(client, "tokens_create", "/tokens")
    send(client, "ssh_keys_add", "/ssh-keys")
    send(client, "support_enter", f"{path}/support")
    send(client, "signin_policy_update", "/sign-in-policy", "PATCH")
    send(client, "images_build", "/images")
    send(client, "registries_add", "/registries")
    send(client, "nodes_update", f"/nodes/{node.pk}", "PATCH")
    send(client, "tenants_suspend", f"{path}/suspend")


def test_what_is_only_read_is_as_described(client: Client) -> None:
    node = factories.node()
    tenant = factories.tenant(quota={"memory_mb": 1000})
    row = factories.environment(tenant)
    factories.member(tenant)
    paths = {
        "tenants_usage": f"/tenants/{tenant.pk}/usage",
        "tenants_environments_usage": f"/tenants/{tenant.pk}/environments",
        "members_list": f"/tenants/{tenant.pk}/members",
        "environments_addresses": f"/environments/{row.pk}/addresses",
        "images_list": "/images",
        "nodes_list": "/nodes",
        "nodes_get": f"/nodes/{node.pk}",
        "nodes_leaks": f"/nodes/{node.pk}/leaks",
        "nodes_matrix": f"/nodes/{node.pk}/matrix",
        "capacity_get": "/capacity?count=2&cpu=1&memory_mb=64&disk_mb=128",
        "addresses_list": "/addresses",
        "audit_list": "/audit",
        "plans_list": "/plans",
        "sessions_list": "/sessions",
        "signin_policy_get": "/sign-in-policy",
    }
    for name, path in paths.items():
        answer = client.get(f"/api/v1{path}")
        assert answer.status_code == 200, name
        described.check(name, answer.json())
