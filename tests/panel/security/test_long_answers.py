"""F04: a download that was begun with a right ends with it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.test import Client
from django.utils import timezone

from panel.access.models import Share
from panel.accounts.models import User
from panel.environments.models import Environment
from panel.http.problem import refused
from panel.rights.asking import ACTOR, may_go_on
from panel.serving import server as serving
from panel.serving.later import Later
from panel.serving.server import Server
from panel.tenants.models import Membership
from tests.panel.security.losing import OF_TOKENS, WAYS, Way
from tests.panel.serving.client import Call, Environ, Start
from tests.panel.support import factories


@pytest.fixture
def row() -> Environment:
    factories.node()
    return factories.environment(factories.tenant())


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def asked(client: Client, row: Environment) -> dict[str, Any]:
    """A record of the console, which no node answers here, as the server keeps the request while it sends."""
    answer = client.get(f"/api/v1/environments/{row.pk}/console/log")
    assert answer.status_code in (502, 503), answer.content
    environ: dict[str, Any] = answer.wsgi_request.META  # type: ignore[attr-defined]
    assert environ[ACTOR] is not None and may_go_on(environ)
    return environ


@pytest.mark.django_db
@pytest.mark.parametrize("way", OF_TOKENS.values(), ids=OF_TOKENS)
def test_a_token_s_answer_ends_with_its_right(way: Way, row: Environment) -> None:
    owner = factories.member(row.tenant)
    environ = asked(Client(headers=factories.bearer(owner, row.tenant, role="operator")), row)
    way(owner.user, row)
    assert not may_go_on(environ)


@pytest.mark.django_db
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_browser_s_answer_ends_with_its_right(way: Way, row: Environment) -> None:
    operator = factories.member(row.tenant, "operator")
    client = browser(operator.user)
    environ = asked(client, row)
    way(operator.user, row)
    assert not may_go_on(environ)


@pytest.mark.django_db
def test_signing_out_ends_what_the_browser_downloads(row: Environment) -> None:
    operator = factories.member(row.tenant, "operator")
    client = browser(operator.user)
    environ = asked(client, row)
    client.logout()
    assert not may_go_on(environ)


@pytest.mark.django_db
def test_a_share_s_end_ends_it_and_another_s_doesnt(row: Environment) -> None:
    guest = factories.member(factories.tenant())
    rights = ["environment.view", "environment.console"]
    Share.objects.create(
        tenant=row.tenant,
        environment=row,
        user=guest.user,
        permissions=rights,
        expires_at=timezone.now() + timedelta(hours=1),
    )
    environ = asked(browser(guest.user), row)
    Membership.objects.create(tenant=factories.tenant(), user=guest.user, role="viewer")
    assert may_go_on(environ), "a right more takes nothing away"
    Share.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert not may_go_on(environ)


@pytest.mark.django_db
def test_an_administrator_who_is_none_any_more_reads_no_further(row: Environment) -> None:
    root = factories.administrator()
    environ = asked(Client(headers=factories.bearer(root, None, "*")), row)
    User.objects.filter(pk=root.user.pk).update(is_superuser=False)
    assert not may_go_on(environ)


@pytest.mark.asyncio
@pytest.mark.parametrize("is_awaited", [True, False], ids=["of a node", "of the database"])
async def test_the_server_looks_and_cuts_it_off(is_awaited: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "LOOK_AGAIN_S", 0)
    looks = list[str]()

    def look(environ: Environ) -> bool:
        looks.append(environ["PATH_INFO"])
        return len(looks) < 3

    monkeypatch.setattr(serving, "may_go_on", look)

    async def without_end() -> AsyncIterator[bytes]:
        while True:
            yield b"x"

    async def work() -> HttpResponseBase:
        return StreamingHttpResponse(without_end())

    def application(environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", [])
        if is_awaited:
            return Later(HttpRequest(), work, refused)
        return StreamingHttpResponse(iter(lambda: b"x", b""))

    call = Call(Server(application), "/record")
    await asyncio.wait_for(call.task, 20)  # one line in the log, and no traceback of the server's
    assert call.content == b"xxx" and call.sent[-1]["more_body"], "its reader sees that it isn't whole"
    assert looks == ["/record"] * 3
