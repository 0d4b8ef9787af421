"""An invitation's link: once, for a week, for one address, and only while who sent it may still give that."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone

from panel.access.models import Invitation, Share
from panel.accounts.models import User
from panel.audit.models import AuditRecord
from panel.errors import Forbidden, Invalid
from panel.people.invitations import invite, invite_to_environment, revoke_invitation
from panel.people.members import remove_member
from panel.tenants.models import Membership, Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

_NEW = {"username": "newcomer", "name": "New", "password": "a-long-and-odd-one-42"}


@pytest.fixture
def tenant() -> Tenant:
    return factories.tenant()


def path_of(link: str) -> str:
    return link.removeprefix("http://testserver")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_the_link_goes_out_by_mail_and_makes_an_account(
    tenant: Tenant, django_capture_on_commit_callbacks: object
) -> None:
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        invite(factories.member(tenant), tenant, email="New@Example.test", role="operator")
    assert mail.outbox[0].to == ["new@example.test"]
    found = re.search(r"http://testserver(/invitations/accept/\S+)", mail.outbox[0].body)
    assert found is not None
    client = Client()
    assert "invites you" in client.get(found[1]).content.decode()
    assert client.post(found[1], _NEW).status_code == 302
    member = Membership.objects.get(tenant=tenant, user__username="newcomer")
    assert (member.role, member.user.email) == ("operator", "new@example.test")
    assert client.get("/environments/").status_code == 200, "signed in"
    assert client.get(found[1]).status_code == 404, "used"
    secret = found[1].split("/")[3]
    kept = str(list(Invitation.objects.values())) + str(list(AuditRecord.objects.values()))
    assert secret not in kept


def test_an_account_of_the_address_signs_in_first(tenant: Tenant) -> None:
    user = factories.person()
    _, link = invite(factories.member(tenant), tenant, email=user.email.upper(), role="viewer")
    answer = Client().post(path_of(link), _NEW)
    assert "Sign in with it" in answer.content.decode()
    assert not User.objects.filter(username="newcomer").exists()
    assert signed_in(user).post(path_of(link)).status_code == 302
    assert Membership.objects.filter(tenant=tenant, user=user, role="viewer").exists()


def test_somebody_else_s_account_can_t_use_it(tenant: Tenant) -> None:
    thief = factories.person()
    _, link = invite(factories.member(tenant), tenant, email="meant@example.test", role="viewer")
    answer = signed_in(thief).post(path_of(link))
    assert answer.status_code == 409
    assert not Membership.objects.filter(user=thief).exists()


@pytest.mark.parametrize("how", ["revoked", "expired", "forged", "inviter gone", "role gone", "sent again"])
def test_it_leads_nowhere_when(how: str, tenant: Tenant) -> None:
    keeper, owner = factories.member(tenant), factories.member(tenant)
    row, link = invite(owner, tenant, email="new@example.test", role="operator")
    later = timedelta(0)
    if how == "revoked":
        revoke_invitation(owner, row.pk)
    elif how == "expired":
        later = timedelta(days=7, seconds=1)
    elif how == "forged":
        link = link[:-9] + "AAAAAAA" + link[-2:]
    elif how == "inviter gone":
        remove_member(keeper, tenant, owner.user.pk)
    elif how == "role gone":
        Membership.objects.filter(user=owner.user).update(role="viewer")
    else:
        invite(owner, tenant, email="new@example.test", role="viewer")
    with time_machine.travel(timezone.now() + later, tick=True):
        assert Client().post(path_of(link), _NEW).status_code == 404
    assert not User.objects.filter(username="newcomer").exists()


def test_nobody_invites_to_more_than_he_has(tenant: Tenant) -> None:
    with pytest.raises(Forbidden):
        invite(factories.member(tenant, "administrator"), tenant, email="a@example.test", role="owner")
    with pytest.raises(Forbidden):
        invite(factories.member(tenant, "operator"), tenant, email="a@example.test", role="viewer")


def test_a_share_begins_with_its_acceptance(tenant: Tenant) -> None:
    factories.node()
    row = factories.environment(tenant)
    user = factories.person()
    ends = timezone.now() + timedelta(days=3)
    _, link = invite_to_environment(
        factories.member(tenant), row, email=user.email, permissions=["environment.power"], ends_at=ends
    )
    client = signed_in(user)
    assert client.get(f"/environments/{row.pk}/").status_code == 404
    assert client.post(path_of(link)).status_code == 302
    assert client.get(f"/environments/{row.pk}/").status_code == 200
    share = Share.objects.get(environment=row, user=user)
    assert share.permissions == ["environment.power", "environment.view", "operation.view"]
    assert client.post(f"/shares/{share.pk}/remove").status_code == 302, "he may give it up"
    assert client.get(f"/environments/{row.pk}/").status_code == 404


def test_a_share_gives_nothing_of_the_tenant(tenant: Tenant) -> None:
    factories.node()
    row = factories.environment(tenant)
    ends = timezone.now() + timedelta(days=3)
    with pytest.raises(Invalid, match="not a permission that can be given"):
        invite_to_environment(
            factories.member(tenant), row, email="a@example.test", permissions=["member.manage"], ends_at=ends
        )
    with pytest.raises(Invalid, match="within a year"):
        invite_to_environment(
            factories.member(tenant),
            row,
            email="a@example.test",
            permissions=[],
            ends_at=ends + timedelta(days=400),
        )
