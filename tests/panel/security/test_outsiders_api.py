"""What fell to people who did not write it, by the API and pages: each test is an attack that was made."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from panel.accounts.models import Token
from panel.environments.models import Environment
from panel.environments.services import update_environment
from panel.people.invitations import MOST_TO_ONE_A_DAY
from panel.quotas.models import Quota
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
_JSON = "application/json"
_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def tenant() -> Tenant:
    factories.node()
    return factories.tenant(quota={"cpu": 4})


def owner_of(tenant: Tenant) -> Client:
    return Client(headers=factories.bearer(factories.member(tenant), tenant, role="owner"))


def cancel(client: Client, operation_id: Any) -> Any:
    return client.post(f"/api/v1/operations/{operation_id}/cancel", content_type=_JSON)


def test_taking_a_smaller_size_back_gives_nothing_beyond_the_quota(tenant: Tenant) -> None:
    """Shrink, spend what became free, cancel the shrinking: again and again it gave any amount."""
    client = owner_of(tenant)
    row = factories.environment(tenant, limits={**factories.LIMITS, "cpu": 4})
    less = client.patch(f"/api/v1/environments/{row.pk}", {"limits": {"cpu": 0.5}}, content_type=_JSON)
    body = {"name": "second", "image": "busybox", "limits": {**factories.LIMITS, "cpu": 3.5}}
    assert client.post("/api/v1/environments", body, content_type=_JSON).status_code == 202
    refused = cancel(client, less.json()["operation"]["id"])
    quota = Quota.objects.get(tenant=tenant, resource="cpu")
    assert quota.reserved == quota.limit
    assert (refused.status_code, refused.json()["code"]) == (409, "quota_exceeded")
    row.refresh_from_db()
    assert row.limits["cpu"] == 0.5


@pytest.mark.parametrize(
    ("had", "change"),
    [
        ({"security": {"nesting": True}}, {"security": {"nesting": False}}),
        ({"network": {"allow_smtp": True}}, {"network": {"allow_smtp": False}}),
        ({"devices": ["/dev/net/tun"]}, {"devices": []}),
    ],
    ids=["nesting", "port 25", "device"],
)
def test_a_tenant_doesnt_take_back_what_an_administrator_has_taken_away(
    had: dict[str, Any], change: dict[str, Any], tenant: Tenant
) -> None:
    administrator = factories.administrator()
    row = factories.environment(tenant, administrator, **had)
    taken = update_environment(administrator, row.pk, change).operation
    assert taken is not None
    after = Environment.objects.get(pk=row.pk)
    assert cancel(owner_of(tenant), taken.pk).status_code == 403
    now = Environment.objects.get(pk=row.pk)
    for field in ("intent", "generation"):
        assert getattr(now, field) == getattr(after, field), field
    root = Client(headers=factories.bearer(administrator, None, "*"))
    assert cancel(root, taken.pk).status_code == 202, "who may give it takes it back"


def test_one_address_gets_few_invitations_a_day(tenant: Tenant) -> None:
    """A new one takes the place of the last, so that never more than one was open, and each was a mail."""
    client, url = owner_of(tenant), f"/api/v1/tenants/{tenant.pk}/invitations"
    told = [
        client.post(url, {"email": "somebody@example.test", "role": "viewer"}, content_type=_JSON)
        for _ in range(MOST_TO_ONE_A_DAY + 1)
    ]
    assert [one.status_code for one in told] == [201] * MOST_TO_ONE_A_DAY + [429]
    another = client.post(url, {"email": "another@example.test", "role": "viewer"}, content_type=_JSON)
    assert another.status_code == 201


def test_a_token_has_few_networks_and_no_text_of_its_makers_in_them(tenant: Tenant) -> None:
    """Each request looks through them, and a token that a token makes compares all with all: with what a body
    holds, for minutes. A zone (`fe80::%zone`) took any text."""
    client = owner_of(tenant)
    many = [f"10.{one // 256}.{one % 256}.0/24" for one in range(100)]
    for networks in (many, ["fe80::%eth0/64"], ["fe80::1%\u202egnp/128"], ["fe80::%a\nb/64"]):
        body = {"tenant": tenant.slug, "role": "viewer", "networks": networks}
        answer = client.post("/api/v1/tokens", body, content_type=_JSON)
        assert (answer.status_code, answer.json()["field"]) == (422, "networks"), networks[0]


@pytest.mark.parametrize("given", ["", " ", "  x"])
def test_an_authorization_that_names_nothing_is_not_the_session(given: str, tenant: Tenant) -> None:
    """It kept the CSRF token from being asked for, and the cookie spoke all the same: by a repeated key the
    answer was given away."""
    owner = factories.member(tenant)
    body = {"tenant": tenant.slug, "role": "viewer"}
    session = Client()
    session.force_login(owner.user, _BACKEND)
    kept = {"Idempotency-Key": "first"}
    assert session.post("/api/v1/tokens", body, content_type=_JSON, headers=kept).status_code == 201
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(owner.user, _BACKEND)
    odd = {**kept, "Authorization": given}
    assert strict.post("/api/v1/tokens", body, content_type=_JSON, headers=odd).status_code == 401
    assert strict.get("/environments/", headers={"Authorization": given}).status_code != 200
    assert Token.objects.filter(user=owner.user, created_at__lte=timezone.now()).count() == 1


@pytest.mark.parametrize("version", ["9" * 5000, "9" * 30])
def test_a_version_of_thousands_of_digits_is_no_fault_of_ours(version: str, tenant: Tenant) -> None:
    owner, member = factories.member(tenant), factories.member(tenant, "viewer")
    page = Client(raise_request_exception=False)
    page.force_login(owner.user, _BACKEND)
    body = {"role": "operator", "version": version}
    answer = page.post(f"/tenants/{tenant.pk}/people/{member.user.pk}/role", body)
    assert answer.status_code in (302, 412)
