"""Rows that a tenant can make grow are bounded: in pace, in number, or by their age."""

import base64
import struct
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from panel.accounts import sessions
from panel.api import idempotency, key_rows
from panel.api.models import IdempotencyRecord
from panel.audit.models import AuditRecord
from panel.audit.services import UNKNOWN_PER_MINUTE
from panel.config.tasks import housekeeping
from panel.environments.models import Environment
from panel.operations.models import Operation, OperationKind, OperationState
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture(autouse=True)
def _counts_from_zero() -> None:
    cache.clear()


@pytest.fixture
def tenant() -> Tenant:
    factories.node()
    return factories.tenant()


def _set(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    monkeypatch.setattr(settings, "WADAH", settings.WADAH.model_copy(update=values))


def _client(tenant: Tenant, role: str = "owner") -> Client:
    client = Client()
    client.force_login(factories.member(tenant, role).user, BACKEND)
    return client


def _rename(client: Client, row: Environment, name: str) -> Any:
    path = f"/api/v1/environments/{row.pk}"
    return client.patch(path, {"description": name}, content_type="application/json")


def test_a_tenants_deeds_have_a_pace(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    row, other = factories.environment(tenant), factories.environment(factories.tenant())
    client = _client(tenant)
    _set(monkeypatch, deeds_per_hour=12)
    answers = [_rename(client, row, f"name {number}") for number in range(20)]
    refused = [one for one in answers if one.status_code == 429]
    assert refused
    assert refused[0].json()["code"] == "too_many_deeds"
    row.refresh_from_db()
    assert row.description == f"name {19 - len(refused)}", "what is refused changes nothing"
    assert AuditRecord.objects.filter(chain=tenant.pk).count() <= 13

    assert _rename(_client(other.tenant), other, "another's").status_code == 202
    administrator = Client()
    administrator.force_login(factories.administrator().user, BACKEND)
    assert _rename(administrator, row, "an administrator's").status_code == 202
    assert client.delete(f"/api/v1/environments/{row.pk}").status_code == 202, "to take away is always possible"


def test_an_hour_later_there_is_room_again(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    row, client = factories.environment(tenant), _client(tenant)
    _set(monkeypatch, deeds_per_hour=5)
    while _rename(client, row, uuid4().hex).status_code == 202:
        pass
    now = timezone.now()
    for hours in (1.01, -24):  # and when the clock was set back by a day
        with monkeypatch.context() as later:
            later.setattr(
                "panel.audit.rate_limit.timezone.now", lambda hours=hours: now + timedelta(hours=hours)
            )
            assert _rename(client, row, uuid4().hex).status_code == 202


def test_deeds_beside_any_tenant_have_one_too(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    client = _client(tenant)
    _set(monkeypatch, deeds_per_hour=3)
    codes = []
    for number in range(5):
        blob = b"".join(struct.pack(">I", len(part)) + part for part in (b"ssh-ed25519", bytes([number]) * 32))
        body = {"name": f"key {number}", "text": f"ssh-ed25519 {base64.b64encode(blob).decode()}"}
        codes.append(client.post("/api/v1/ssh-keys", body, content_type="application/json").status_code)
    assert codes == [201, 201, 201, 429, 429]


def test_operations_go_by_age_and_number(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    row, now = factories.environment(tenant), timezone.now()
    Operation.objects.all().delete()

    def add(days: float, state: str, of: Environment = row) -> Operation:
        made = Operation.objects.create(
            tenant=of.tenant, environment=of, kind=OperationKind.UPDATE, generation=1, state=state, deadline=now
        )
        Operation.objects.filter(pk=made.pk).update(created_at=now - timedelta(days=days))
        return made

    other = factories.environment(factories.tenant())
    Operation.objects.filter(environment=other).delete()
    open_, old = add(200, OperationState.RUNNING), add(91, OperationState.FAILED)
    many = [add(1 + number / 100, OperationState.SUCCEEDED) for number in range(8)]
    others = add(3, OperationState.SUCCEEDED, other)
    _set(monkeypatch, operations_kept=5)
    housekeeping()
    left = set(Operation.objects.values_list("pk", flat=True))
    assert left == {open_.pk, others.pk, *(one.pk for one in many[:5])}
    assert old.pk not in left


def test_of_one_person_only_the_newest_sign_ins_last(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST", 3)
    actor, clients = factories.member(tenant), [Client() for _ in range(5)]
    stranger = _client(tenant)
    for client in clients:
        client.force_login(actor.user, BACKEND)
        UserSession.objects.get_or_create(
            session_key=client.session.session_key, defaults={"user": actor.user, "ip": "192.0.2.1"}
        )
    sessions.forget_over()
    inside = [client.get("/environments/").status_code == 200 for client in clients]
    assert inside == [False, False, True, True, True]
    assert stranger.get("/environments/").status_code == 200
    assert Session.objects.count() == 4


def test_names_that_nobody_has_fill_no_record(tenant: Tenant) -> None:
    for number in range(UNKNOWN_PER_MINUTE + 9):
        client = Client(headers={"X-Forwarded-For": f"192.0.{number}.7"})
        client.login(username=f"nobody-{number}", password="x")
    assert AuditRecord.objects.filter(action="session.begin", who="?").count() <= UNKNOWN_PER_MINUTE


def test_of_large_answers_only_the_newest_are_kept(tenant: Tenant) -> None:
    actor = factories.member(tenant)
    for number in range(key_rows.MOST_LARGE + 3):
        _row, hold = key_rows.take("scope", f"key-{number}", "fingerprint", actor)
        assert hold is not None
        answer = HttpResponse(b"x" * (key_rows.LARGE_BYTES + 1 if number else 10))
        hold.finish(**idempotency._answer(answer))
    kept = IdempotencyRecord.objects.exclude(answer=None).values_list("key", flat=True)
    assert set(kept) == {"key-0", *(f"key-{number}" for number in range(3, key_rows.MOST_LARGE + 3))}
    attempt = idempotency._Attempt(SimpleNamespace(), "key-1", actor, HttpResponse, "fingerprint")  # type: ignore[arg-type]
    answer = attempt._kept(IdempotencyRecord.objects.get(key="key-1"))
    assert answer.status_code == 409
    assert b"answer_dropped" in answer.content


def test_new_keys_have_a_pace_and_known_ones_none(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    client.force_login(factories.administrator().user, BACKEND)
    _set(monkeypatch, deeds_per_hour=3)

    def ask(key: str) -> int:
        body = {"quota": {"environments": 5}}
        path, headers = f"/api/v1/tenants/{tenant.pk}/quota/preview", {"Idempotency-Key": key}
        return client.post(path, body, content_type="application/json", headers=headers).status_code

    assert [ask(f"key-{number}") for number in range(5)] == [200, 200, 200, 429, 429]
    assert ask("key-1") == 200
