"""F13: a token is kept as a digest, narrow in what it may, where and from where, and dead once revoked."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from panel.accounts.models import Token
from panel.audit.models import AuditRecord
from panel.environments.models import Environment
from panel.people.tokens import create_token, revoke_token
from panel.tenants.models import Membership, Tenant
from tests.panel.security.sockets import handshake, run, socket
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def row() -> Environment:
    factories.node()
    return factories.environment(factories.tenant())


def client_of(text: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"})


def test_only_a_digest_is_kept(row: Environment, capfd: pytest.CaptureFixture[str]) -> None:
    owner = factories.member(row.tenant)
    client = Client(headers=factories.bearer(owner, row.tenant, role="administrator"))
    body = {"tenant": str(row.tenant_id), "permissions": ["environment.view"]}
    text = client.post("/api/v1/tokens", body, content_type="application/json").json()["token"]
    client_of(text).get("/api/v1/environments")
    secret = text.split("_")[2]
    kept = str(list(Token.objects.values())) + str(list(AuditRecord.objects.values()))
    out, err = capfd.readouterr()
    assert secret not in kept + out + err
    assert secret not in client.get("/api/v1/tokens").content.decode()


def test_it_may_only_what_it_names(row: Environment) -> None:
    owner = factories.member(row.tenant)
    client = Client(headers=factories.bearer(owner, row.tenant, "environment.view"))
    assert client.get(f"/api/v1/environments/{row.pk}").status_code == 200
    stop = client.post(f"/api/v1/environments/{row.pk}/stop", content_type="application/json")
    assert stop.status_code == 403
    assert client.get("/api/v1/audit").json()["items"] == []
    assert client.get("/environments/").status_code in (302, 404), "pages are for sessions"


def test_it_never_may_more_than_its_person(row: Environment) -> None:
    owner = factories.member(row.tenant)
    client = Client(headers=factories.bearer(owner, row.tenant, role="administrator"))
    Membership.objects.filter(user=owner.user).update(role="viewer")
    stop = client.post(f"/api/v1/environments/{row.pk}/stop", content_type="application/json")
    assert stop.status_code == 403
    Membership.objects.filter(user=owner.user).delete()
    assert client.get(f"/api/v1/environments/{row.pk}").status_code == 404


def test_it_stays_in_its_tenant(row: Environment) -> None:
    other = factories.environment(factories.tenant())
    owner = factories.member(row.tenant)
    Membership.objects.create(tenant=other.tenant, user=owner.user, role="owner")
    client = Client(headers=factories.bearer(owner, row.tenant, role="administrator"))
    assert client.get(f"/api/v1/environments/{other.pk}").status_code == 404
    found = client.get(f"/api/v1/environments?tenant={other.tenant_id}").json()
    assert found["items"] == []


def test_it_ends(row: Environment) -> None:
    owner = factories.member(row.tenant)
    ends = timezone.now() + timedelta(hours=1)
    token, text = create_token(owner, tenant=row.tenant, role="viewer", expires_at=ends)
    client = client_of(text)
    assert client.get("/api/v1/environments").status_code == 200
    with time_machine.travel(ends + timedelta(seconds=1), tick=True):
        assert client.get("/api/v1/environments").status_code == 401
    revoke_token(owner, token.pk)
    assert client.get("/api/v1/environments").status_code == 401
    assert run(handshake, socket("/ws/events", origin=None, bearer=f"Bearer {text}")) == 4401


def test_it_works_from_its_networks_only(row: Environment) -> None:
    owner = factories.member(row.tenant)
    token, text = create_token(owner, tenant=row.tenant, role="viewer", networks=["192.0.2.0/24"])
    client = client_of(text)
    client.defaults["REMOTE_ADDR"] = ""  # the front, on its socket
    assert client.get("/api/v1/environments", headers={"X-Forwarded-For": "192.0.2.9"}).status_code == 200
    token.refresh_from_db()
    assert token.last_used_from == "192.0.2.9"
    for elsewhere in ("198.51.100.9", "192.0.2.9, 198.51.100.9", "garbage", ""):
        answer = client.get("/api/v1/environments", headers={"X-Forwarded-For": elsewhere})
        assert answer.status_code == 401, elsewhere


@pytest.mark.parametrize(
    "text", ["", "wdh_", "wdh_x_y", "Bearer", "wdh_" + "0" * 32 + "_" + "0" * 64, "a" * 5000]
)
def test_a_wrong_one_never_falls_back_to_the_session(text: str, row: Environment) -> None:
    client = Client(headers={"Authorization": f"Bearer {text}"})
    client.force_login(factories.member(row.tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    assert client.get("/api/v1/environments").status_code == 401


def test_nobody_makes_one_that_may_more_than_he(row: Environment) -> None:
    from panel.errors import Forbidden

    administrator = factories.member(row.tenant, "administrator")
    with pytest.raises(Forbidden):
        create_token(administrator, tenant=row.tenant, permissions=["tenant.create"])
    with pytest.raises(Forbidden):
        create_token(administrator, tenant=None, permissions=["environment.view"])
    assert Tenant.objects.for_actor(administrator).get() == row.tenant
