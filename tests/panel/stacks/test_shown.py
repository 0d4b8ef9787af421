"""A stack and its operation are shown by the API while its services are brought up."""

import json

import pytest
from django.test import Client

from panel.operations.models import Operation
from panel.stacks.models import Stack
from panel.stacks.work import look
from runtime.contract import Kind
from tests.panel.support import factories

_COMPOSE = "services: {web: {image: shop:1, volumes: ['data:/data']}}\nvolumes: {data: }\n"


@pytest.mark.django_db
def test_while_it_is_brought_up(client: Client) -> None:
    factories.node(kinds=(Kind.SYSTEM, Kind.APP))
    tenant = factories.tenant()
    who = factories.bearer(factories.member(tenant), tenant, role="owner")
    body = {
        "tenant": tenant.slug,
        "name": "shop",
        "compose": _COMPOSE,
        "limits": {"cpu": 0.5, "memory_mb": 64, "disk_mb": 128},
    }
    made = client.post("/api/v1/stacks", json.dumps(body), content_type="application/json", headers=who)
    assert made.status_code == 202, made.content
    look(Stack.objects.get().pk)
    assert Operation.objects.get(pk=made.json()["operation"]["id"]).steps
    for path in (f"stacks/{made.json()['id']}", f"operations/{made.json()['operation']['id']}"):
        answer = client.get(f"/api/v1/{path}", headers=who)
        assert answer.status_code == 200, answer.content
    assert [one["name"] for one in answer.json()["steps"]]
