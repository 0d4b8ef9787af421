"""Who comes in by the gateway, and where to; unambiguous, and only while he may."""

from typing import Any

import pytest
from allauth.mfa.models import Authenticator

from panel.accounts.models import SshKey
from panel.gateway.feature import commands
from panel.gateway.guests import Guest, by_key, by_password, may_stay
from panel.gateway.names import Wanted, parse
from panel.people.members import set_member
from panel.people.tokens import create_token
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from runtime.contract import Kind
from tests.panel.support import factories
from tests.panel.support.ssh import HERE, PRINT, named, owner_with_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.APP, Kind.DIRECTORY))
    return factories.tenant()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("files", Wanted("", "files", "")),
        ("files.acme", Wanted("", "files", "acme")),
        ("ann@files", Wanted("ann", "files", "")),
        ("ann@example.org@files.acme", Wanted("ann@example.org", "files", "acme")),
        ("", None),
        ("Files", None),
        ("../x", None),
        ("files.", Wanted("", "files", "")),
        ("files.acme.more", None),
        ("a" * 300, None),
    ],
)
def test_what_a_user_name_says(text: str, found: Wanted | None) -> None:
    assert parse(text) == found


def test_a_key_leads_its_person_to_what_he_may_enter(tenant: Tenant) -> None:
    actor, row = owner_with_key(tenant), named(tenant)
    for user_name in ("files", f"files.{tenant.slug}", str(row.pk), f"{actor.user.username}@files"):
        guest = by_key(user_name, PRINT, HERE)
        assert guest is not None, user_name
        assert (guest.actor.user, guest.environment.pk) == (actor.user, row.pk)
        assert guest.may(Permission.ENVIRONMENT_EXEC)
    for user_name in ("other", "files.other", "somebody@files", "FILES"):
        assert by_key(user_name, PRINT, HERE) is None, user_name
    assert by_key("files", "SHA256:" + "b" * 43, HERE) is None


def test_a_name_that_two_tenants_have_is_nobodys_until_it_is_said_whose(tenant: Tenant) -> None:
    other = factories.tenant()
    actor = owner_with_key(tenant)
    mine = named(tenant)
    theirs = named(other)
    assert by_key("files", PRINT, HERE) is not None, "others' environments are none of his"
    set_member(factories.administrator(), other, actor.user, role="owner")
    assert by_key("files", PRINT, HERE) is None
    for of, row in ((tenant, mine), (other, theirs)):
        guest = by_key(f"files.{of.slug}", PRINT, HERE)
        assert guest is not None
        assert guest.environment.pk == row.pk


def test_a_key_of_two_people_asks_who_it_is(tenant: Tenant) -> None:
    one, two = owner_with_key(tenant), owner_with_key(tenant)
    named(tenant)
    assert by_key("files", PRINT, HERE) is None
    for actor in (one, two):
        guest = by_key(f"{actor.user.username}@files", PRINT, HERE)
        assert guest is not None
        assert guest.actor.user == actor.user


def test_who_may_only_look_stays_out(tenant: Tenant) -> None:
    owner_with_key(tenant, role="viewer")
    named(tenant)
    assert by_key("files", PRINT, HERE) is None


def test_rights_that_are_lost_are_lost_at_once(tenant: Tenant) -> None:
    actor = owner_with_key(tenant)
    row = named(tenant)

    def inside() -> Guest:
        guest = by_key("files", PRINT, HERE)
        assert guest is not None
        assert may_stay(guest)
        return guest

    guest = inside()
    actor.user.is_active = False
    actor.user.save()
    assert not may_stay(guest)
    actor.user.is_active = True
    actor.user.save()
    guest = inside()
    row.desired_state = "deleted"
    row.save()
    assert not may_stay(guest)
    row.desired_state = "running"
    row.save()
    guest = inside()
    SshKey.objects.all().delete()
    assert not may_stay(guest)


def test_a_token_is_a_password_while_it_is_good(tenant: Tenant) -> None:
    actor = factories.member(tenant)
    named(tenant)
    token, text = create_token(actor, tenant=tenant, name="t", role="owner")
    guest = by_password("files", text, HERE)
    assert guest is not None
    assert may_stay(guest)
    assert by_password("files", text + "x", HERE) is None
    assert by_password("other@files", text, HERE) is None
    token.revoked_at = token.created_at
    token.save()
    assert not may_stay(guest)
    assert by_password("files", text, HERE) is None


def test_a_password_is_one_without_a_second_factor_and_is_not_guessed(tenant: Tenant) -> None:
    actor = factories.member(tenant)
    actor.user.set_password("a long enough password")
    actor.user.save()
    named(tenant)
    user_name = f"{actor.user.username}@files"
    guest = by_password(user_name, "a long enough password", HERE)
    assert guest is not None
    assert by_password("files", "a long enough password", HERE) is None, "whose is it?"
    Authenticator.objects.create(user=actor.user, type=Authenticator.Type.TOTP, data={"secret": "x"})
    assert by_password(user_name, "a long enough password", HERE) is None
    assert not may_stay(guest)
    Authenticator.objects.all().delete()
    for _ in range(10):
        assert by_password(user_name, "wrong", HERE) is None
    assert by_password(user_name, "a long enough password", HERE) is None, "held up by now"


def test_the_command_lines_are_those_of_its_profile(tenant: Tenant, settings: Any) -> None:
    row = factories.environment(tenant, kind="directory", image="", name="d", directory={"profile": "sftp"})
    assert commands(row) == []
    settings.WADAH = settings.WADAH.model_copy(update={"ssh": "127.0.0.1:3022"})
    assert commands(row) == [f"sftp -P 3022 d.{tenant.slug}@127.0.0.1"]
    assert len(commands(named(tenant))) == 4
