"""What a stranger could find out by asking: whether something is there, how much, how often it happens."""

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core import mail
from django.test import Client

from panel.audit.services import record
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
_JSON = "application/json"


def test_ids_of_the_audit_record_count_ones_own_deeds_alone() -> None:
    own, other = factories.tenant(), factories.tenant()
    client = Client(headers=factories.bearer(factories.member(own), own, role="owner"))
    for _ in range(2):
        record(None, "test.own", tenant_id=own.pk)
        for _ in range(50):
            record(None, "test.other", tenant_id=other.pk)
    first, second = (one["id"] for one in client.get("/api/v1/audit?action=test.own").json()["items"])
    assert int(first.split(":")[1]) - int(second.split(":")[1]) == 1
    lines = b"".join(_export(client))
    assert first.encode() in lines


def _export(client: Client) -> Iterator[bytes]:
    yield from client.get("/api/v1/audit/export").streaming_content  # type: ignore[attr-defined]


def test_ids_of_sign_ins_count_nothing() -> None:
    user = factories.person()
    client = Client()
    client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
    rows = [
        UserSession.objects.create(user=user, ip="192.0.2.1", user_agent="x", session_key=key)
        for key in (client.session.session_key, "b")
    ]
    ids = [one["id"] for one in client.get("/api/v1/sessions").json()["items"]]
    assert ids
    assert not any(str(one).isdigit() or str(row.pk) == one for one in ids for row in rows)
    assert f"/profile/sessions/{rows[0].pk}/end" not in client.get("/accounts/sessions/").content.decode()


def test_an_owner_hears_nothing_of_strangers_slugs() -> None:
    factories.tenant()
    strangers = Tenant.objects.order_by("-created_at").values_list("slug", flat=True)[0]
    mine = factories.tenant()
    client = Client(headers=factories.bearer(factories.member(mine), mine, role="owner"))

    def make(**more: Any) -> Any:
        return client.post("/api/v1/tenants", {"parent": str(mine.pk), **more}, content_type=_JSON)

    taken, free = make(name="A", slug=strangers), make(name="A", slug="nobody-has-this")
    assert taken.status_code == free.status_code == 422
    assert taken.json() == free.json()
    named, other = make(name=strangers), make(name="nobody has this")
    assert named.json()["slug"] == f"{mine.slug}-{strangers}"
    assert other.json()["slug"] == f"{mine.slug}-nobody-has-this"
    assert make(name="B", slug=f"{mine.slug}-b").json()["slug"] == f"{mine.slug}-b"


def test_a_quota_names_no_number_of_the_tenant_above() -> None:
    factories.node()
    parent = factories.tenant(quota={"environments": 7654, "cpu": 3.25})
    child = factories.tenant(parent=parent)
    client = Client(headers=factories.bearer(factories.member(child), child, role="owner"))
    body = {
        "name": "big",
        "image": "busybox",
        "limits": {**factories.LIMITS, "cpu": 4},
        "tenant": str(child.pk),
    }
    answer = client.post("/api/v1/environments", body, content_type=_JSON)
    assert (answer.status_code, answer.json()["code"]) == (409, "quota_exceeded")
    assert "3.25" not in answer.content.decode()
    assert parent.name not in answer.content.decode()


@pytest.mark.parametrize("login", ["known", "known@example.test", "nobody", "nobody@example.test", "locked"])
def test_a_sign_in_costs_one_hash_whoever_is_meant(login: str, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.person(username="known", password="correct horse battery")
    factories.person(username="locked")
    count, encode = [], Argon2PasswordHasher.encode
    verify = Argon2PasswordHasher.verify

    def encoded(self: Any, *args: Any) -> str:
        count.append("encode")
        return encode(self, *args)

    def verified(self: Any, *args: Any) -> bool:
        count.append("verify")
        return verify(self, *args)

    monkeypatch.setattr(Argon2PasswordHasher, "encode", encoded)
    monkeypatch.setattr(Argon2PasswordHasher, "verify", verified)
    answer = Client().post("/accounts/login/", {"login": login, "password": "wrong wrong wrong"})
    assert answer.status_code == 200
    assert len(count) == 1, count


def test_asking_for_a_new_password_answers_alike() -> None:
    known = factories.person(password="correct horse battery")
    answers = [
        Client().post("/accounts/password/reset/", {"email": email})
        for email in (known.email, "nobody@example.test")
    ]
    assert [one.status_code for one in answers] == [302, 302]
    assert answers[0]["Location"] == answers[1]["Location"]
    assert [one.to for one in mail.outbox] == [[known.email], ["nobody@example.test"]], "a mail takes its time"
