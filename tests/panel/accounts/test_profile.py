"""The profile's language and time zone hold in every browser, on pages and in letters, and for one request."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext, modify_settings
from django.utils import timezone, translation
from django.utils.translation import gettext

from panel.accounts.models import User
from panel.accounts.reader import as_read_by, zone_of
from panel.audit.services import record
from panel.errors import Refused
from panel.frame import outages
from panel.nodes.models import Node
from panel.rights.actor import Actor
from panel.serving.later import Later, in_thread
from panel.ui.templatetags.wadah import ago, exactly
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

JAKARTA = {"language": "id", "time_zone": "Asia/Jakarta"}


@pytest.fixture
def user() -> User:
    return factories.person(is_superuser=True, **JAKARTA)


def signed(user: User, **headers: str) -> Client:
    """A browser that has never been here."""
    client = Client(headers=headers)
    client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def head(client: Client, path: str = "/profile/") -> str:
    found = re.search(r"<html[^>]*>", client.get(path).content.decode())
    assert found is not None
    return found[0]


def test_a_second_browser_has_both(user: User) -> None:
    client = signed(user, accept_language="en")
    answer = client.get("/profile/")
    assert '<html lang="id" data-zone="Asia/Jakarta">' in answer.content.decode()
    assert answer.headers["Content-Language"] == "id"
    assert client.cookies["django_language"].value == "id", "its scripts ask the API in it"
    assert "django_language" not in client.get("/profile/").cookies, "once is enough"
    other = signed(factories.person(language="en", time_zone="America/New_York"), accept_language="id")
    assert head(other) == '<html lang="en" data-zone="America/New_York">'


def test_a_browser_decides_where_no_language_was_chosen() -> None:
    assert 'lang="id"' in head(signed(factories.person(), accept_language="id"))
    odd = factories.person(language="xx", time_zone="Asia")
    assert head(signed(odd, accept_language="id")) == '<html lang="id" data-zone="UTC">'


@pytest.mark.parametrize("name", ["", "Asia", "Mars/Olympus", "../etc/passwd", "\0", "x" * 64])
def test_a_zone_that_is_none_is_utc(name: str) -> None:
    assert str(zone_of(User(time_zone=name))) == "UTC"


def test_nothing_leaks_to_the_next_request(user: User) -> None:
    before = timezone.get_current_timezone_name(), translation.get_language()
    client = signed(user)
    assert client.get("/profile/").status_code == 200
    assert client.get("/nowhere/").status_code == 404
    assert timezone.get_current_timezone_name() == before[0]
    assert 'lang="en"' in head(Client(headers={"accept-language": "en"}), "/accounts/login/")
    with pytest.raises(ZeroDivisionError), as_read_by(user):
        raise ZeroDivisionError
    assert timezone.get_current_timezone_name() == "UTC"


def test_pages_of_refusals_are_the_readers_too(user: User) -> None:
    client = signed(user, accept_language="en")
    assert client.get("/nowhere/").status_code == 404
    assert 'lang="id"' in head(client, "/nowhere/")
    assert 'lang="id"' in head(signed(user, accept_language="en"), "/nowhere/")


def test_it_costs_no_query(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "GOOD_FOR_S", 1e9)
    counts = []
    for without in ([], ["panel.accounts.reader.ReaderMiddleware"]):
        with modify_settings(MIDDLEWARE={"remove": without}):
            client = signed(user)
            client.get("/profile/")
            with CaptureQueriesContext(connection) as queries:
                client.get("/profile/")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_saved_it_holds_at_once(user: User) -> None:
    client = signed(user)
    client.post("/profile/", {"name": "", "language": "en", "time_zone": "Asia/Tokyo"})
    assert head(client) == '<html lang="en" data-zone="Asia/Tokyo">'


def test_the_menus_language_is_the_profiles(user: User) -> None:
    client = signed(user)
    assert 'lang="id"' in head(client)
    assert client.post("/i18n/setlang/", {"language": "en", "next": "/profile/"}).status_code == 302
    assert 'lang="en"' in head(client)
    assert 'lang="en"' in head(signed(user, accept_language="id"))
    client.post("/i18n/setlang/", {"language": "xx", "next": "/profile/"})
    user.refresh_from_db()
    assert user.language == "en"
    stranger = Client()
    stranger.post("/i18n/setlang/", {"language": "id", "next": "/accounts/login/"})
    assert 'lang="id"' in head(stranger, "/accounts/login/")


def test_the_api_speaks_as_it_is_asked_and_in_utc(user: User) -> None:
    factories.tenant()
    answer = signed(user, accept_language="en").get("/api/v1/audit")
    assert answer.json()["items"][0]["at"].endswith("+00:00")
    assert (
        signed(user, accept_language="en")
        .get("/api/v1/audit?since=x")
        .json()["detail"]
        .startswith("since is a date")
    )


def test_a_tooltip_says_the_readers_time_and_zone(user: User) -> None:
    at = datetime(2026, 3, 1, 17, 30, 5, tzinfo=UTC)
    assert 'title="2026-03-01 17:30:05 UTC"' in ago(at)
    with as_read_by(user):
        assert 'title="2026-03-02 00:30:05 WIB"' in ago(at)
        assert exactly("2026-03-01T17:30:05+00:00") == "2026-03-02 00:30:05 WIB"
    with time_machine.travel(at, tick=False):
        record(Actor(user), "test.deed")
    assert 'title="2026-03-02 00:30:05 WIB"' in signed(user).get("/audit/").content.decode()


def test_days_of_the_audit_filter_begin_at_the_readers_midnight(user: User) -> None:
    for name, hour in (("yesterday", 16), ("today", 18)):
        with time_machine.travel(datetime(2026, 3, 1, hour, 0, tzinfo=UTC), tick=False):
            record(Actor(user), f"test.{name}")
    client = signed(user)
    for query, wanted in (("since=2026-03-02&until=2026-03-02", "today"), ("until=2026-03-01", "yesterday")):
        page = client.get(f"/audit/?{query}").content.decode()
        assert re.findall(r"test\.\w+", page) == [f"test.{wanted}"], query
        lines = b"".join(client.get(f"/audit/export?format=jsonl&{query}")).decode()
        assert set(re.findall(r"test\.\w+", lines)) == {f"test.{wanted}"}, query
        found = client.get(f"/api/v1/audit?{query}").json()["items"]
        of_utc = {one["action"] for one in found} & {"test.today", "test.yesterday"}
        assert of_utc == (set() if wanted == "today" else {"test.today", "test.yesterday"}), query


def test_an_outage_began_by_the_readers_clock(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    row = factories.node()
    cache.clear()
    now = datetime(2026, 3, 1, 17, 30, tzinfo=UTC)
    with time_machine.travel(now, tick=False):
        for age, told in ((timedelta(minutes=10), "00:20 WIB"), (timedelta(hours=1), "2026-03-01 23:30 WIB")):
            Node.objects.filter(pk=row.pk).update(last_seen_at=now - age)
            monkeypatch.setattr(outages, "_seen", outages._Seen())
            page = signed(user).get("/profile/").content.decode()
            assert re.search(rf"\b{row.name}\b.*? {told}[.;:, ]", page), told
    monkeypatch.setattr(outages, "_seen", outages._Seen())


def test_what_is_promised_is_rendered_in_the_readers_language_and_zone(user: User) -> None:
    """By whatever thread, which served somebody else before, and leaves it as it was."""

    def seen() -> str:
        return f"{gettext('Save')} {timezone.get_current_timezone_name()}"

    async def work() -> HttpResponse:
        return HttpResponse(f"{seen()} / {await in_thread(seen)}")

    async def refuses() -> HttpResponse:
        raise Refused("no")

    def asked(of: Callable[[], Any]) -> Later:
        with as_read_by(user):
            return Later(HttpRequest(), of, lambda _: HttpResponse(seen()))

    def elsewhere() -> str:
        return f"{translation.get_language()} {timezone.get_current_timezone_name()}"

    async def whole() -> list[str]:
        loop = asyncio.get_running_loop()
        run = partial(loop.run_in_executor, None)
        made = [(await asked(of).answer(run)).content.decode() for of in (work, refuses)]  # type: ignore[attr-defined]
        return [*made, await loop.run_in_executor(None, elsewhere)]

    with as_read_by(user):
        wanted = seen()
    assert wanted == "Simpan Asia/Jakarta"
    assert asyncio.run(whole()) == [f"{wanted} / {wanted}", wanted, "en UTC"]


def test_a_letter_is_in_its_readers_language_whoever_asked(user: User) -> None:
    user.set_password(factories.PASSWORD)
    user.save()
    EmailAddress.objects.get_or_create(
        user=user, email=user.email, defaults={"verified": True, "primary": True}
    )
    Client(headers={"accept-language": "en"}).post("/accounts/password/reset/", {"email": user.email})
    Client(headers={"accept-language": "id"}).post("/accounts/password/reset/", {"email": user.email})
    own, other = mail.outbox
    assert own.subject == other.subject
    assert "Kata Sandi" in own.subject
