"""The record as a tenant reads it: its own part, filtered, and as files that spreadsheets don't run."""

import csv
import io
import json

import pytest
from django.test import Client

from panel.audit.services import record
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def text_of(answer: object) -> str:
    return b"".join(answer).decode()  # type: ignore[call-overload]


@pytest.fixture
def owner() -> Actor:
    """Of a tenant with records that are easy to tell apart; another tenant has some too."""
    tenant, other = factories.tenant(), factories.tenant()
    made = factories.member(tenant)
    record(made, "test.deed", tenant_id=tenant.pk, target_name="=1+1", after={"name": "ours"})
    record(made, "test.denied", tenant_id=tenant.pk, is_denied=True)
    record(factories.member(other), "test.deed", tenant_id=other.pk, target_name="theirs")
    return made


def client_of(actor: Actor) -> Client:
    client = Client()
    client.force_login(actor.user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_json_lines_hold_the_tenants_own_part(owner: Actor) -> None:
    answer = client_of(owner).get("/audit/export?format=jsonl")
    rows = [json.loads(line) for line in text_of(answer).splitlines()]
    assert [row["action"] for row in rows] == ["tenant.create", "test.deed", "test.denied"]
    assert answer["Content-Disposition"] == 'attachment; filename="wadah-audit.jsonl"'
    assert "theirs" not in json.dumps(rows)


def test_csv_is_no_formula(owner: Actor) -> None:
    rows = list(csv.DictReader(io.StringIO(text_of(client_of(owner).get("/audit/export?format=csv")))))
    assert [row["target_name"] for row in rows][1] == "'=1+1"
    assert json.loads(rows[1]["after"]) == {"name": "ours"}


@pytest.mark.parametrize("name", ["=1", "+1", "-1", "@A1", "＝1+1", "＋1", "－1", "＠SUM(1)"])
def test_no_cell_begins_as_a_formula_in_any_alphabet(owner: Actor, name: str) -> None:
    record(owner, "test.named", tenant_id=Tenant.objects.for_actor(owner).get().pk, target_name=name)
    text = text_of(client_of(owner).get("/audit/export?format=csv&action=test.named"))
    assert [row["target_name"] for row in csv.DictReader(io.StringIO(text))] == [f"'{name}"]


def test_filters_hold_for_page_export_and_api(owner: Actor) -> None:
    client = client_of(owner)
    tenant = Tenant.objects.for_actor(owner).get()
    bearer = Client(headers=factories.bearer(owner, tenant, "audit.view"))
    for query, wanted in (
        ("denied=1", ["test.denied"]),
        ("q=denied", ["test.denied"]),
        ("action=test.", ["test.denied", "test.deed"]),
        ("action=test.deed", ["test.deed"]),
        ("until=2001-01-01", []),
        ("support=1", []),
    ):
        found = [row["action"] for row in client.get(f"/api/v1/audit?{query}").json()["items"]]
        assert found == wanted, query
        lines = text_of(bearer.get(f"/api/v1/audit/export?{query}")).splitlines()
        assert [json.loads(line)["action"] for line in lines] == wanted[::-1], query
        page = client.get(f"/audit/?{query}").content.decode()
        assert all(action in page for action in wanted)


@pytest.mark.parametrize("query", ["since=soon", "until=2026-13-01", "since=-1"])
def test_a_bad_date_is_named(query: str, owner: Actor) -> None:
    answer = client_of(owner).get(f"/api/v1/audit?{query}")
    assert answer.status_code == 422
    assert answer.json()["field"] == query.split("=")[0]
    assert "is a date" in client_of(owner).get(f"/audit/?{query}").content.decode()
