"""The OpenAPI document says what answers hold, and real answers hold it."""

import json
from typing import Any

import pytest
from django.test import Client
from ninja.schema import NinjaGenerateJsonSchema
from pydantic import BaseModel, TypeAdapter

from panel.api.root import api
from panel.environments.accepted import show
from panel.environments.models import Environment
from panel.http.answers import Problem
from panel.nodes.models import Node
from runtime.contract import Check, CheckLevel
from runtime.contract.devices import DeviceState, HeldDevices
from runtime.contract.processors import CpuPool, CpuPools
from runtime.contract.said import plain
from runtime.contract.words import devices as words
from tests.panel.support import described, factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def headers() -> dict[str, str]:
    return factories.bearer(factories.administrator(), None, "*")


def _ask(client: Client, method: str, path: str, headers: dict[str, str], body: Any = None) -> Any:
    answer = client.generic(
        method,
        f"/api/v1{path}",
        json.dumps(body) if body is not None else "",
        "application/json",
        headers=headers,
    )
    assert answer.status_code < 300, answer.content
    return answer.json()


def test_the_document_names_the_answers_of_every_described_operation(
    client: Client, headers: dict[str, str]
) -> None:
    document = client.get("/api/v1/openapi.json", headers=headers).json()
    found = {
        operation["operationId"]: response["content"]["application/json"]["schema"]
        for path in document["paths"].values()
        for operation in path.values()
        for status, response in operation["responses"].items()
        if status.startswith("2") and "content" in response
    }
    assert set(found) == set(described.answers())
    assert found["tenants_list"] == {"$ref": "#/components/schemas/TenantList"}
    text = json.dumps(document)
    for name in {word.split('"')[0] for word in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"], name
    assert "TenantList" in document["components"]["schemas"]


def test_real_answers_are_as_described(client: Client, headers: dict[str, str]) -> None:
    factories.node()
    slug = "answers"
    quota = {"environments": 3, "cpu": 4, "memory_mb": 4096, "disk_mb": 8192, "addresses": 8}
    tenant = _ask(client, "POST", "/tenants", headers, {"name": "Answers", "slug": slug, "quota": quota})
    body = {"name": "web-1", "image": "busybox", "tenant": slug, "limits": factories.LIMITS}
    made = _ask(client, "POST", "/environments", headers, body)
    plan = {"name": "Described", "slug": "described", "limits": {"cpu": 1, "memory_mb": 64, "disk_mb": 128}}
    answers = {
        "tenants_create": tenant,
        "tenants_get": _ask(client, "GET", f"/tenants/{tenant['id']}", headers),
        "tenants_list": _ask(client, "GET", "/tenants", headers),
        "environments_create": made,
        "environments_get": _ask(client, "GET", f"/environments/{made['id']}", headers),
        "environments_list": _ask(client, "GET", "/environments", headers),
        "environments_operations": _ask(client, "GET", f"/environments/{made['id']}/operations", headers),
        "operations_get": _ask(client, "GET", f"/operations/{made['operation']['id']}", headers),
        "operations_list": _ask(client, "GET", "/operations", headers),
        "plans_create": _ask(client, "POST", "/plans", headers, plan),
        "plans_list": _ask(client, "GET", "/plans", headers),
        "tokens_create": _ask(client, "POST", "/tokens", headers, {"tenant": slug, "role": "viewer"}),
        "tokens_list": _ask(client, "GET", "/tokens", headers),
        "environments_delete": _ask(client, "DELETE", f"/environments/{made['id']}", headers),
    }
    for name, document in answers.items():
        described.check(name, document)
        if "items" in document:
            assert document["items"], name


def test_what_a_node_says_is_as_described(client: Client, headers: dict[str, str]) -> None:
    """Its sentences as text too: of devices and checks it tells them by code."""
    gone = DeviceState(name="key", why_not=words.not_there())
    factories.node(
        checks=(Check(name=plain("btrfs"), level=CheckLevel.OK, found=plain("6.2")),),
        host_devices=HeldDevices(revision=1, devices=(gone,)),
        cpu_pools=CpuPools(revision=1, pools=(CpuPool(name="pool-1", processors=(0, 1)),)),
    )
    Node.objects.create(name="silent")
    found = _ask(client, "GET", "/nodes", headers)
    described.check("nodes_list", found)
    facts, none = (one["facts"] for one in found["items"])
    assert facts["host_devices"]["devices"][0]["why_not"] == str(words.not_there())
    assert facts["cpu_pools"]["pools"] == [{"name": "pool-1", "processors": [0, 1]}]
    assert none == {}


def test_a_refusal_is_as_described(client: Client, headers: dict[str, str]) -> None:
    answer = client.post("/api/v1/tenants", {"name": ""}, "application/json", headers=headers)
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    TypeAdapter(Problem).validate_python(answer.json(), extra="forbid")


def test_no_name_stands_for_two_shapes() -> None:
    """The document has one shape by each name: of two, a client would have one wrong."""
    found: dict[str, dict[str, Any]] = {}
    for _prefix, router in api._routers:
        for view in router.path_operations.values():
            for operation in view.operations:
                said: list[tuple[Any, Any]] = [
                    (one, "validation") for one in operation.models if one.__ninja_param_source__ == "body"
                ]
                said += [(one, "serialization") for one in operation.response_models.values()]
                for model, mode in said:
                    if isinstance(model, type) and issubclass(model, BaseModel):
                        made = model.model_json_schema(schema_generator=NinjaGenerateJsonSchema, mode=mode)
                        for name, schema in made.get("$defs", {}).items():
                            assert found.setdefault(name, schema) == schema, name
    assert len(found) > 100


def test_a_list_goes_out_as_it_was_built(client: Client, headers: dict[str, str]) -> None:
    """With the fields in the order of who built it, and not looked at again."""
    factories.node()
    row = factories.environment(factories.tenant())
    answer = client.get("/api/v1/environments", headers=headers)
    found = json.loads(answer.content)
    assert list(found) == ["items", "count", "count_is_exact"]
    assert answer.content.decode() == json.dumps(found)
    shown = show(Environment.objects.get(pk=row.pk))
    assert found["items"][0] == shown
    assert list(found["items"][0]) == list(shown)


def test_who_may_make_but_not_see_is_answered_as_described(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    headers = factories.bearer(factories.administrator(), None, "tenant.view", "environment.create")
    body = {"name": "unseen", "image": "busybox", "tenant": tenant.slug, "limits": factories.LIMITS}
    made = _ask(client, "POST", "/environments", headers, body)
    assert set(made) <= {"id", "operation", "root_password"}
    described.check("environments_create", made)
