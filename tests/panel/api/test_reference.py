"""The page of the API shows what the OpenAPI document says, and nothing else."""

import shlex

import pytest
from django.test import Client
from django.urls import reverse

from panel.api.reference import calls
from panel.api.root import api
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def test_every_call_of_the_document_is_in_one_group() -> None:
    shown = [(call.method, call.path) for group in calls().values() for call in group]
    paths = api.get_openapi_schema()["paths"]
    assert sorted(shown) == sorted((m.upper(), path) for path, methods in paths.items() for m in methods)


def test_fields_tell_their_path_type_and_bounds() -> None:
    create = next(c for c in calls()["environments"] if c.id == "environments_create")
    fields = {one.name: one for one in create.body}
    assert fields["name"].is_required
    assert not fields["tags"].is_required
    assert fields["tags"].type == "list of string"
    assert "limits.memory_mb" in fields
    listing = next(c for c in calls()["environments"] if c.id == "environments_list")
    assert {p.name: p.type for p in listing.parameters}["limit"] == "integer, 1 to 500"


def test_curl_can_be_pasted_into_a_shell() -> None:
    for group in calls().values():
        for call in group:
            words = shlex.split(call.curl("http://panel.test"))
            assert words[:3] == ["curl", "-X", call.method]
            assert not call.example or words[-1] == call.example


@pytest.mark.parametrize("group", sorted(calls()))
def test_each_group_has_a_page(client: Client, group: str) -> None:
    tenant = factories.tenant()
    client.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    answer = client.get(reverse("api-reference-group", args=[group]))
    text = answer.content.decode()
    assert answer.status_code == 200
    assert all(f'id="{call.id}"' in text for call in calls()[group])
    assert client.get(reverse("api-reference-group", args=["nothing"])).status_code == 404
