"""A token is what its role says, whoever made it; nobody hands on, takes or prolongs what he hasn't."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from panel.access.models import Share, SupportAccess
from panel.accounts.models import SshKey, Token
from panel.environments.models import Environment
from panel.people.roles import create_role
from panel.people.tokens import create_token
from panel.rights.permissions import ROLES, RoleName
from panel.tenancy.lifecycle import suspend_tenant
from panel.tenants.models import Membership, Tenant
from tests.panel.security.sockets import handshake, run, socket
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
_JSON = "application/json"


def speaks(text: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"})


def of(actor: Any, tenant: Tenant | None, *permissions: str, role: str = "") -> Client:
    return Client(headers=factories.bearer(actor, tenant, *permissions, role=role))


def from_above(client: Client, tenant: Tenant) -> list[int]:
    """What is an owner's only below his tenant."""
    one = f"/api/v1/tenants/{tenant.pk}"
    return [
        client.post(f"{one}/suspend", {}, content_type=_JSON).status_code,
        client.patch(one, {"quota": {"cpu": 64}}, content_type=_JSON).status_code,
        client.post(f"{one}/quota/preview", {"quota": {"cpu": 64}}, content_type=_JSON).status_code,
        client.delete(one).status_code,
        client.post(f"{one}/cancel-deletion", {}, content_type=_JSON).status_code,
        client.post(f"{one}/resume", {}, content_type=_JSON).status_code,
    ]


@pytest.mark.parametrize("maker", ["administrator of the installation", "owner"])
def test_an_owners_token_decides_below_its_tenant_only(maker: str) -> None:
    tenant = factories.tenant()
    child = factories.tenant(parent=tenant)
    actor = factories.member(tenant) if maker == "owner" else factories.administrator()
    client = of(actor, tenant, role="owner")
    before = Tenant.objects.values().get(pk=tenant.pk)
    assert from_above(client, tenant) == [403] * 6
    assert Tenant.objects.values().get(pk=tenant.pk) == before
    assert from_above(client, child) == [200, 200, 200, 202, 200, 200]


def test_single_permissions_of_a_tenants_token_count_below_it_as_well() -> None:
    tenant = factories.tenant()
    client = of(factories.administrator(), tenant, "tenant.view", "tenant.suspend", "tenant.quota")
    assert set(from_above(client, tenant)) == {403}


@pytest.mark.parametrize("role", [name for name in ROLES if name != RoleName.OWNER])
def test_no_lesser_role_decides_from_above(role: str) -> None:
    child = factories.tenant(parent=factories.tenant())
    assert set(from_above(of(factories.administrator(), child.parent, role=role), child)) <= {403, 404}


def test_an_administrator_gives_himself_nothing_that_only_an_owner_has() -> None:
    """A role of the tenant's own that may set quotas and suspend below it."""
    tenant = factories.tenant()
    child = factories.tenant(parent=tenant)
    administrator = factories.member(tenant, "administrator")
    client = of(administrator, tenant, role="administrator")
    body = {"name": "more", "permissions": ["tenant.suspend", "tenant.quota", "tenant.view"]}
    assert client.post(f"/api/v1/tenants/{tenant.pk}/roles", body, content_type=_JSON).status_code == 403
    owners = create_role(factories.member(tenant), tenant, name="more", permissions=body["permissions"])
    me = f"/api/v1/tenants/{tenant.pk}/members/{administrator.user.pk}"
    assert client.patch(me, {"role": f"custom:{owners.pk}"}, content_type=_JSON).status_code == 403
    asked = {"email": "friend@example.test", "role": f"custom:{owners.pk}"}
    answer = client.post(f"/api/v1/tenants/{tenant.pk}/invitations", asked, content_type=_JSON)
    assert answer.status_code == 403
    body = {"tenant": str(tenant.pk), "permissions": ["tenant.suspend"]}
    assert client.post("/api/v1/tokens", body, content_type=_JSON).status_code == 403
    assert Tenant.objects.get(pk=child.pk).state == "active"


@pytest.mark.parametrize("change", ["rename", "narrow", "delete"])
def test_a_role_is_changed_only_by_who_has_all_its_rights(change: str) -> None:
    tenant = factories.tenant()
    row = create_role(factories.member(tenant), tenant, name="makers", permissions=["tenant.create"])
    client = of(factories.member(tenant, "administrator"), tenant, role="administrator")
    url = f"/api/v1/tenants/{tenant.pk}/roles/{row.pk}"
    if change == "delete":
        answer = client.delete(url)
    else:
        body = {"name": "others"} if change == "rename" else {"permissions": ["tenant.view"]}
        answer = client.patch(url, body, content_type=_JSON)
    assert answer.status_code == 403
    row.refresh_from_db()
    assert (row.name, row.permissions) == ("makers", ["tenant.create"])


def test_who_may_only_make_tenants_owns_none_of_them() -> None:
    tenant = factories.tenant()
    maker = factories.member(tenant, "viewer")
    role = create_role(
        factories.member(tenant), tenant, name="makers", permissions=["tenant.view", "tenant.create"]
    )
    Membership.objects.filter(user=maker.user).update(role="custom", custom_role=role)
    page = Client()
    page.force_login(maker.user, "allauth.account.auth_backends.AuthenticationBackend")
    body = {"name": "Below", "parent": str(tenant.pk)}
    made = page.post("/api/v1/tenants", body, content_type=_JSON)
    assert made.status_code == 201
    assert not Membership.objects.filter(user=maker.user, tenant=made.json()["id"]).exists()


def test_a_bound_token_sees_of_its_persons_own_itself_alone() -> None:
    tenant, elsewhere = factories.tenant(), factories.tenant()
    owner = factories.member(tenant)
    Membership.objects.create(tenant=elsewhere, user=owner.user, role="owner")
    other, _ = create_token(owner, tenant=elsewhere, role="owner", name="of another tenant")
    SshKey.objects.create(user=owner.user, name="mine", text="ssh-ed25519 AAAA", fingerprint="SHA256:x")
    token, text = create_token(owner, tenant=tenant, permissions=["environment.view"])
    client = speaks(text)
    assert [one["id"] for one in client.get("/api/v1/tokens").json()["items"]] == [str(token.pk)]
    assert client.get("/api/v1/ssh-keys").status_code == 403
    assert client.get("/api/v1/sessions").status_code == 403
    assert client.delete(f"/api/v1/tokens/{other.pk}").status_code == 404
    assert client.delete(f"/api/v1/tokens/{token.pk}").status_code == 204, "itself it may give up"
    everything = of(factories.administrator(), tenant, "*")
    assert everything.get("/api/v1/ssh-keys").status_code == 403, "everything, but in a tenant"
    assert everything.get("/api/v1/sessions").status_code == 403


def test_a_bound_token_gives_up_nothing_of_its_persons() -> None:
    """Leaving a tenant, giving up a share, ending a support access: the person himself does."""
    factories.node()
    tenant = factories.tenant()
    factories.member(tenant)
    row = factories.environment(tenant)
    leaver = factories.member(tenant)
    share = Share.objects.create(
        tenant=tenant,
        environment=row,
        user=leaver.user,
        permissions=["environment.view"],
        expires_at=timezone.now() + timedelta(days=1),
    )
    client = of(leaver, tenant, "tenant.view", "environment.view")
    assert client.delete(f"/api/v1/tenants/{tenant.pk}/members/{leaver.user.pk}").status_code == 403
    assert client.delete(f"/api/v1/environments/{row.pk}/shares/{share.pk}").status_code == 403
    administrator = factories.administrator()
    support = SupportAccess.objects.create(
        tenant=tenant, user=administrator.user, reason="looks", ends_at=timezone.now() + timedelta(hours=1)
    )
    narrow = of(administrator, tenant, "tenant.view", "member.view")
    assert narrow.delete(f"/api/v1/tenants/{tenant.pk}/support/{support.pk}").status_code == 403
    assert Membership.objects.filter(tenant=tenant, user=leaver.user).exists()


def test_a_token_that_a_token_makes_is_no_wider_in_time_or_place() -> None:
    tenant = factories.tenant()
    owner = factories.member(tenant)
    soon = timezone.now() + timedelta(hours=1)
    _, text = create_token(
        owner, tenant=tenant, role="administrator", expires_at=soon, networks=["192.0.2.0/24", "2001:db8::/32"]
    )
    client = Client(headers={"Authorization": f"Bearer {text}", "X-Forwarded-For": "192.0.2.9"})
    client.defaults["REMOTE_ADDR"] = ""  # the front, on its socket
    body: dict[str, Any] = {"tenant": str(tenant.pk), "role": "viewer"}
    made = client.post("/api/v1/tokens", body, content_type=_JSON)
    assert made.status_code == 201
    row = Token.objects.get(pk=made.json()["id"])
    assert row.networks == ["192.0.2.0/24", "2001:db8::/32"]
    assert row.expires_at is not None
    assert row.expires_at <= soon
    for more in (
        {"expires_at": (soon + timedelta(seconds=1)).isoformat()},
        {"networks": ["0.0.0.0/0"]},
        {"networks": ["192.0.2.0/25", "198.51.100.1"]},
        {"networks": ["::/0"]},
    ):
        assert client.post("/api/v1/tokens", {**body, **more}, content_type=_JSON).status_code == 422, more
    narrower = client.post("/api/v1/tokens", {**body, "networks": ["192.0.2.128/25"]}, content_type=_JSON)
    assert narrower.json()["networks"] == ["192.0.2.128/25"]


def test_sockets_are_closed_to_a_suspended_tenants_token() -> None:
    factories.node()
    row: Environment = factories.environment(factories.tenant())
    headers = factories.bearer(factories.member(row.tenant), row.tenant, role="owner")
    ways = ("/ws/events", f"/ws/environments/{row.pk}/console")
    for path in ways:
        assert run(handshake, socket(path, origin=None, bearer=headers["Authorization"])) == 0
    suspend_tenant(factories.administrator(), row.tenant.pk)
    for path in ways:
        assert run(handshake, socket(path, origin=None, bearer=headers["Authorization"])) == 4401
