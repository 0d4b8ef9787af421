"""F10: a session is new at every step, and dead at once on HTTP and sockets when it should be."""

import asyncio
from datetime import timedelta

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.test import Client
from django.utils import timezone

from panel.accounts.models import User
from panel.accounts.signed_in import id_of
from panel.audit.models import AuditRecord
from tests.panel.security.sockets import closed_with, handshake, run, socket
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return factories.person(password=factories.PASSWORD)


def sign_in(client: Client, user: User, password: str = factories.PASSWORD) -> object:
    return client.post("/accounts/login/", {"login": user.username, "password": password})


def key(client: Client) -> str:
    morsel = client.cookies.get(settings.SESSION_COOKIE_NAME)
    return morsel.value if morsel is not None else ""


def is_in(client: Client) -> bool:
    return client.get("/profile/").status_code == 200


def with_key(value: str) -> Client:
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = value
    return client


def test_signing_in_and_out_changes_it(user: User) -> None:
    client = Client()
    client.get("/accounts/login/")
    before = key(client)
    assert sign_in(client, user).status_code == 302  # type: ignore[attr-defined]
    inside = key(client)
    assert inside != before
    assert is_in(client)
    if before:
        assert not is_in(with_key(before)), "a session fixed beforehand is worth nothing"
    client.post("/accounts/logout/")
    assert not is_in(with_key(inside)), "the old id is dead"
    assert run(handshake, socket("/ws/events", with_key(inside))) == 4401


def test_a_new_password_ends_the_others(user: User) -> None:
    here, there = Client(), Client()
    sign_in(here, user)
    sign_in(there, user)
    new = "another-long-and-odd-one"
    answer = here.post(
        "/accounts/password/change/",
        {"oldpassword": factories.PASSWORD, "password1": new, "password2": new},
    )
    assert answer.status_code == 302
    assert is_in(here)
    assert not is_in(there)


def test_one_can_sign_out_ones_other_sessions(user: User) -> None:
    here, there = Client(), Client()
    sign_in(here, user)
    sign_in(there, user)
    assert here.post("/accounts/sessions/").status_code == 302
    assert is_in(here)
    assert not is_in(there)
    assert run(handshake, socket("/ws/events", there)) == 4401


def test_it_ends_after_a_while_away_and_after_half_a_day(user: User) -> None:
    client = Client()
    sign_in(client, user)
    start = timezone.now()
    for minutes in range(0, 11 * 60, 25):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=True):
            assert is_in(client), minutes
    with time_machine.travel(start + timedelta(hours=11, minutes=29), tick=True):
        assert not is_in(client), "31 minutes away"
    sign_in(client, user)
    for minutes in range(0, 12 * 60, 25):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=True):
            is_in(client)
    with time_machine.travel(start + timedelta(hours=12, minutes=1), tick=True):
        assert not is_in(client), "half a day old"


def test_a_disabled_person_is_out(user: User) -> None:
    client = Client()
    sign_in(client, user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert not is_in(client)
    assert run(handshake, socket("/ws/events", client)) == 4401


def test_an_open_socket_closes_when_its_session_ends(user: User) -> None:
    client = Client()
    sign_in(client, user)

    async def watch() -> int:
        made = socket("/ws/events", client)
        assert await made.connect(timeout=30) == (True, None)
        from channels.db import database_sync_to_async

        await database_sync_to_async(client.logout)()
        code = await closed_with(made)
        await asyncio.sleep(0)
        return code

    assert run(watch) == 4401


def test_the_cookie_is_kept_from_scripts(user: User) -> None:
    client = Client()
    sign_in(client, user)
    morsel = client.cookies[settings.SESSION_COOKIE_NAME]
    assert morsel["httponly"]
    assert morsel["samesite"] == "Lax"
    assert morsel["path"] == "/"
    assert not morsel["domain"]


def test_guessing_is_slowed_down(user: User) -> None:
    """test_guesses.py has who is held up, and who isn't."""
    client = Client()
    for n in range(6):
        sign_in(client, user, f"wrong-{n}-password")
    assert "Too many wrong tries" in sign_in(client, user).content.decode()  # type: ignore[attr-defined]
    assert not is_in(client)


def test_one_other_browser_is_signed_out_by_page_and_by_api(user: User) -> None:
    here, there, third = Client(), Client(), Client()
    for client in (here, there, third):
        sign_in(client, user)
    seen = here.get("/api/v1/sessions").json()["items"]
    assert [one["is_current"] for one in seen].count(True) == 1
    ids = {one: id_of(UserSession.objects.get(session_key=one)) for one in (key(there), key(third))}
    assert here.delete(f"/api/v1/sessions/{ids[key(there)]}").status_code == 204
    assert here.post(f"/profile/sessions/{ids[key(third)]}/end").status_code == 302
    assert [is_in(client) for client in (here, there, third)] == [True, False, False]
    assert run(handshake, socket("/ws/events", there)) == 4401
    assert AuditRecord.objects.filter(action="session.end", who=user.username).count() == 2


def test_all_others_are_signed_out_and_recorded(user: User) -> None:
    here, there = Client(), Client()
    for client in (here, there):
        sign_in(client, user)
    here.post("/accounts/sessions/")
    assert (is_in(here), is_in(there)) == (True, False)
    assert AuditRecord.objects.filter(action="session.end", who=user.username).count() == 1


def test_nobody_elses_and_not_by_a_token_for_some_things(user: User) -> None:
    tenant = factories.tenant()
    there = Client()
    sign_in(there, user)
    pk = UserSession.objects.get(user=user).pk
    stranger = factories.member(tenant)
    wide = Client(headers=factories.bearer(factories.administrator(), None, "*"))
    narrow = Client(headers=factories.bearer(stranger, tenant, role="owner"))
    assert wide.delete(f"/api/v1/sessions/{pk}").status_code == 404
    for answer in (narrow.get("/api/v1/sessions"), narrow.delete(f"/api/v1/sessions/{pk}")):
        assert answer.status_code == 403
    assert is_in(there)
