"""A share or a token for one environment: that one works, and everything else of its tenant stays hidden."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from panel.access.models import Invitation, Share
from panel.accounts.models import Token
from panel.environments.models import Environment
from panel.live.consumer import _groups
from panel.networks.models import Address
from panel.operations.models import Operation
from panel.people.tokens import create_token
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from tests.panel.security.sockets import handshake, run, socket
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
_SHARED = ["environment.view", "environment.console", "operation.view"]


@pytest.fixture
def two() -> tuple[Environment, Environment]:
    """Two environments of one tenant; the first is the one shared."""
    factories.node()
    tenant = factories.tenant()
    return factories.environment(tenant), factories.environment(tenant)


def _share(row: Environment, user: object, permissions: list[str] = _SHARED, hours: float = 1) -> Share:
    ends = timezone.now() + timedelta(hours=hours)
    return Share.objects.create(
        tenant=row.tenant, environment=row, user=user, permissions=permissions, expires_at=ends
    )


def _signed_in(user: object) -> Client:
    client = Client()
    client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def _stop(client: Client, row: Environment) -> int:
    return client.post(f"/api/v1/environments/{row.pk}/stop", content_type="application/json").status_code


def test_only_what_belongs_to_the_shared_one_is_seen(two: tuple[Environment, Environment]) -> None:
    shared, other = two
    user = factories.person()
    _share(shared, user)
    actor = Actor(user)
    assert list(Environment.objects.for_actor(actor)) == [shared]
    assert set(Operation.objects.for_actor(actor).values_list("environment", flat=True)) == {shared.pk}
    assert set(Address.objects.for_actor(actor).values_list("environment", flat=True)) == {shared.pk}
    assert not Tenant.objects.for_actor(actor).exists()
    assert actor.can(Permission.ENVIRONMENT_CONSOLE, shared)
    assert not actor.can(Permission.ENVIRONMENT_POWER, shared)
    assert not actor.can(Permission.ENVIRONMENT_CONSOLE, other)
    assert not actor.can(Permission.ENVIRONMENT_VIEW, shared.tenant)


def test_its_pages_and_sockets_work_and_the_tenants_don_t(two: tuple[Environment, Environment]) -> None:
    shared, other = two
    user = factories.person()
    _share(shared, user)
    client = _signed_in(user)
    for page in ("", "console", "activity", "settings"):
        assert client.get(f"/environments/{shared.pk}/{page}").status_code == 200
        assert client.get(f"/environments/{other.pk}/{page}").status_code == 404
    assert client.get(f"/api/v1/environments/{shared.pk}").status_code == 200
    assert _stop(client, shared) == 403
    assert _stop(client, other) == 404
    assert client.get(f"/tenants/{shared.tenant_id}/").status_code == 404
    assert client.get(f"/api/v1/tenants/{shared.tenant_id}/usage").status_code == 404
    assert run(handshake, socket(f"/ws/environments/{shared.pk}/console", client)) == 0
    assert run(handshake, socket(f"/ws/environments/{other.pk}/console", client)) == 4404


def test_no_more_of_it_is_seen_than_was_shared(two: tuple[Environment, Environment]) -> None:
    user = factories.person()
    _share(two[0], user, ["environment.view"])
    assert list(Environment.objects.for_actor(Actor(user))) == [two[0]]
    assert not Operation.objects.for_actor(Actor(user)).exists()


def test_it_ends_by_itself(two: tuple[Environment, Environment]) -> None:
    user = factories.person()
    _share(two[0], user, hours=-1)
    assert not Environment.objects.for_actor(Actor(user)).exists()
    assert not Actor(user).can(Permission.ENVIRONMENT_VIEW, two[0])


def test_events_come_for_the_shared_one_only(two: tuple[Environment, Environment]) -> None:
    user = factories.person()
    _share(two[0], user)
    assert _groups(Actor(user)) == {"rights", f"environment.{two[0].pk.hex}"}


def test_a_token_for_one_environment_reaches_nothing_else(two: tuple[Environment, Environment]) -> None:
    named, other = two
    owner = factories.member(named.tenant)
    token, text = create_token(owner, tenant=named.tenant, role="operator", environments=[str(named.pk)])
    headers = {"Authorization": f"Bearer {text}"}
    client = Client(headers=headers)
    assert [row["id"] for row in client.get("/api/v1/environments").json()["items"]] == [str(named.pk)]
    assert _stop(client, named) == 202
    assert _stop(client, other) == 404
    assert client.get(f"/api/v1/tenants/{named.tenant_id}").status_code == 404
    body = {"name": "new", "image": "busybox", "limits": factories.LIMITS, "tenant": str(named.tenant_id)}
    assert client.post("/api/v1/environments", body, content_type="application/json").status_code in (404, 403)
    actor = Actor(owner.user, Token.objects.select_related("tenant").get(pk=token.pk))
    assert actor.can(Permission.ENVIRONMENT_POWER, named)
    assert not actor.can(Permission.ENVIRONMENT_POWER, other)
    assert not actor.can(Permission.ENVIRONMENT_VIEW, named.tenant)
    groups = _groups(actor)
    assert groups == {"rights", f"environment.{named.pk.hex}"}


def test_a_token_can_t_name_what_its_maker_doesn_t_see(two: tuple[Environment, Environment]) -> None:
    stranger = factories.member(factories.tenant())
    home = Tenant.objects.for_actor(stranger).get()
    from panel.errors import NotFound

    with pytest.raises(NotFound):
        create_token(stranger, tenant=home, role="viewer", environments=[str(two[0].pk)])


def test_a_token_stays_narrow_when_its_environment_is_gone(two: tuple[Environment, Environment]) -> None:
    owner = factories.member(two[0].tenant)
    token, _ = create_token(owner, tenant=two[0].tenant, role="viewer", environments=[str(two[0].pk)])
    Environment.objects.filter(pk=two[0].pk).update(deleted_at=timezone.now())
    actor = Actor(owner.user, Token.objects.select_related("tenant").get(pk=token.pk))
    assert not Environment.objects.living().for_actor(actor).exists()


def test_the_sharing_page_stands_among_the_others(two: tuple[Environment, Environment]) -> None:
    row = two[0]
    client = _signed_in(factories.member(row.tenant).user)
    page = client.get(f"/environments/{row.pk}/shares").content.decode()
    assert f'<a href="/environments/{row.pk}/shares" aria-current="page">' in page
    assert f'<a href="/environments/{row.pk}/settings">' in page
    part = client.get(f"/environments/{row.pk}/shares", headers={"HX-Target": "ve-head"}).content.decode()
    assert row.name in part
    assert "</nav>" not in part


def test_what_is_gone_is_shared_with_nobody(two: tuple[Environment, Environment]) -> None:
    row = two[0]
    client = _signed_in(factories.member(row.tenant).user)
    asked = {"email": "ayu@example.test", "days": "7", "permissions": ["environment.console"]}
    Environment.objects.filter(pk=row.pk).update(deleted_at=timezone.now())
    assert client.post(f"/environments/{row.pk}/shares", asked).status_code == 404
    assert not Invitation.objects.filter(environment=row).exists()
    Environment.objects.filter(pk=row.pk).update(deleted_at=None)
    assert client.post(f"/environments/{row.pk}/shares", asked).status_code == 302
    assert Invitation.objects.filter(environment=row).exists()
