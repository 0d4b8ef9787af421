"""Secrets of an app: told to its node alone, shown to nobody, as before when a change is undone."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse

from panel import at_rest
from panel.environments import secret_values
from panel.environments import services as environments
from panel.environments.models import Environment
from panel.environments.services.operations import cancel_operation, retry_operation
from panel.environments.specs import spec_of
from panel.errors import Conflict, Invalid
from panel.operations.models import Operation
from panel.tenants.models import Tenant
from runtime.contract import Kind, open_secrets, secret
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
KEY = b"k" * 32
HIDDEN = "hunter4-word"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("panel.environments.specs.key_of", lambda _: KEY)
    yield


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.APP))
    return factories.tenant()


def app(tenant: Tenant, secrets: Any, *, is_running: bool = True) -> Environment:
    return factories.environment(
        tenant, kind="app", image="r.example.com/a:1", is_running=is_running, app={"secrets": secrets}
    )


def change(row: Environment, secrets: Any, **more: Any) -> Any:
    changes = {"app": {"secrets": secrets}, **more}
    return environments.update_environment(factories.administrator(), row.pk, changes)


def told(row: Environment) -> dict[str, str]:
    row.refresh_from_db()
    spec = spec_of(row)
    assert spec.app is not None
    assert HIDDEN not in spec.model_dump_json()
    assert HIDDEN not in repr(spec)
    return {} if spec.app.locked is None else open_secrets(spec.app.locked, row.pk, key=KEY)


def everything_at_rest() -> str:
    """Every text of the database."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            found.append(str(cursor.fetchall()))
    return "".join(found)


def test_only_the_node_reads_it(tenant: Tenant, client: Client) -> None:
    body = {"name": "a", "kind": "app", "image": "r.example.com/a:1", "tenant": str(tenant.pk)}
    headers = {**factories.bearer(factories.administrator(), None, "*"), "Idempotency-Key": "one"}
    made = client.post(
        "/api/v1/environments",
        json.dumps(
            {**body, "limits": factories.LIMITS, "app": {"secrets": {"DB": HIDDEN, "TLS.key": "x\ny\n"}}}
        ),
        content_type="application/json",
        headers=headers,
    )
    assert made.status_code == 202, made.content
    assert made.json()["app"]["secrets"] == {"DB": 1, "TLS.key": 1}
    row = Environment.objects.get()
    factories.reported(row)
    assert told(row) == {"DB": HIDDEN, "TLS.key": "x\ny\n"}
    changed = client.patch(
        f"/api/v1/environments/{row.pk}",
        json.dumps({"app": {"secrets": {"DB": HIDDEN + "2"}}}),
        content_type="application/json",
        headers=factories.bearer(factories.administrator(), None, "*"),
    )
    assert changed.status_code == 202, changed.content
    assert told(row)["DB"] == HIDDEN + "2"
    said = made.content.decode() + changed.content.decode() + everything_at_rest()
    client.force_login(factories.administrator().user, "allauth.account.auth_backends.AuthenticationBackend")
    for name in ("environment", "environment-settings", "environment-activity"):
        said += client.get(reverse(name, args=[row.pk])).content.decode()
    assert HIDDEN not in said
    with pytest.raises(ValueError, match="opened"):
        spec = spec_of(row)
        assert spec.app is not None
        assert spec.app.locked is not None
        open_secrets(spec.app.locked, row.pk, key=b"another")


@pytest.mark.parametrize(
    "secrets",
    [
        [HIDDEN],
        HIDDEN,
        {"../etc": HIDDEN},
        {".x": HIDDEN},
        {"a/b": HIDDEN},
        {"": HIDDEN},
        {"a" * 65: HIDDEN},
        {"a\n": HIDDEN},
        {"ä": HIDDEN},
        {"A": ""},
        {"A": 1},
        {"A": True},
        {"A": [HIDDEN]},
        {"A": {"file": HIDDEN}},
        {"A": HIDDEN * 6000},
        {"A": "\ud800" + HIDDEN},
        {f"A{n}": HIDDEN for n in range(65)},
        {f"A{n}": HIDDEN * 5000 for n in range(5)},
    ],
)
def test_what_is_no_secret_is_refused_and_not_repeated(tenant: Tenant, secrets: Any) -> None:
    with pytest.raises(Invalid) as refused:
        app(tenant, secrets)
    assert refused.value.field == "app.secrets"
    assert HIDDEN not in refused.value.message
    assert not Environment.objects.exists()


def test_what_isnt_named_stays_and_only_the_first_starts_it_anew(tenant: Tenant) -> None:
    row = app(tenant, None)
    boots = row.boots
    assert change(row, {"A": "1"}).environment.boots == boots + 1
    assert change(row, {"B": "2", "A": "3"}).environment.boots == boots + 1
    assert told(row) == {"A": "3", "B": "2"}
    change(row, {"A": None})
    assert told(row) == {"B": "2"}
    factories.reported(row)
    row.refresh_from_db()
    assert set(row.secrets) == {"B"}, "what was taken out is gone once its node knows"
    assert change(row, None).environment.boots == boots + 2
    assert told(row) == {}


def test_what_is_cancelled_or_fails_goes_back_to_the_value_before(tenant: Tenant) -> None:
    row = app(tenant, {"A": "old"})
    asked = change(row, {"A": "new", "B": "more"}).operation
    assert told(row) == {"A": "new", "B": "more"}
    cancel_operation(factories.administrator(), asked.pk)
    assert told(row) == {"A": "old"}
    factories.reported(row)
    failed = change(row, {"A": "newer"}).operation
    row.refresh_from_db()
    factories.reported(row, generation=row.generation - 1, code="pool_full")
    assert told(row) == {"A": "old"}
    assert Operation.objects.get(pk=failed.pk).details["app"]["secrets"] == {"A": 2}
    retry_operation(factories.administrator(), failed.pk)
    assert told(row) == {"A": "newer"}


def test_a_clone_has_them_and_what_is_deleted_has_none(tenant: Tenant) -> None:
    row = app(tenant, {"A": "one"})
    copy = app(tenant, secret_values.values_of(row))
    assert told(copy) == {"A": "one"}
    environments.delete_environment(factories.administrator(), row.pk, now=True)
    factories.gone(row)
    row.refresh_from_db()
    assert row.secrets == {}


def test_the_page_sets_replaces_and_takes_out(tenant: Tenant, client: Client) -> None:
    row = app(tenant, None)
    client.force_login(factories.administrator().user, "allauth.account.auth_backends.AuthenticationBackend")
    place = reverse("environment-change", args=[row.pk, "secrets"])

    def send(**values: str) -> Any:
        return client.post(place, {"value": "", **values})

    assert send(secret_name="A", value=f"{HIDDEN}\r\nmore\r\n").status_code == 302
    assert told(row) == {"A": f"{HIDDEN}\nmore\n"}
    refused = send(secret_name="../A", value=HIDDEN)
    assert refused.status_code == 422
    assert HIDDEN not in refused.content.decode()
    assert send(secret_name="B").status_code == 422
    page = client.get(reverse("environment-settings", args=[row.pk])).content.decode()
    assert "/run/secrets/A" in page
    assert HIDDEN not in page
    assert send(secret_name="A", remove="on").status_code == 302
    assert told(row) == {}


def test_its_key_at_rest_is_exchanged(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    row = app(tenant, {"A": "one"})
    before = row.secrets["A"]["1"]
    newer = [Fernet.generate_key().decode(), *settings.SECRETS.field_keys]
    assert secret_values.encrypt_anew(newer) == 1
    row.refresh_from_db()
    assert row.secrets["A"]["1"] != before
    assert at_rest.box(newer[:1]).decrypt(row.secrets["A"]["1"]) == b"one"


def _kept_bytes(row: Environment) -> int:
    row.refresh_from_db()
    return len(json.dumps(row.secrets))


def test_a_node_that_takes_nothing_fills_no_row(tenant: Tenant) -> None:
    """An image that never comes: 30 changes of four large values made a row of 9.6 MB, read with each list."""
    row = app(tenant, {"a": HIDDEN})
    most = 4 * secret.MOST_BYTES_TOGETHER
    for number in range(12):
        change(row, {name: f"{number}{name}".ljust(60_000, "x") for name in "abcd"})
        assert _kept_bytes(row) < 2 * most
    values = told(row)
    assert {name: text[:3] for name, text in values.items()} == {name: f"11{name}" for name in "abcd"}


def test_names_that_come_and_go_are_refused_while_none_is_taken(tenant: Tenant) -> None:
    row = app(tenant, {"a": HIDDEN})
    with pytest.raises(Conflict) as refused:
        for number in range(30):
            change(row, {f"a{number}": "x" * 60_000})
            change(row, {f"a{number}": None})
    assert refused.value.code == "busy"
    before = _kept_bytes(row)
    with pytest.raises(Conflict):
        change(row, {"last": "x" * 60_000})
    assert _kept_bytes(row) == before < 8 * secret.MOST_BYTES_TOGETHER
    assert told(row)["a"] == HIDDEN
