"""F04, F07, F08: what becomes of open sockets when rights go, of tickets, and of people who send too much."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client
from websockets.asyncio.server import ServerConnection, unix_serve

from panel.audit.models import AuditRecord
from panel.console.consumer import TYPED_BYTES
from panel.environments.models import Environment
from panel.rights.actor import Actor
from panel.tenants.models import Membership
from runtime.contract import Purpose, Ticket
from tests.panel.security.losing import OF_TOKENS
from tests.panel.security.sockets import closed_with, handshake, run, socket
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


class Node:
    """What listens where a node's agent would: keeps the tickets and bytes that it gets."""

    def __init__(self) -> None:
        self.tickets: list[str] = []
        self.typed: list[bytes] = []

    async def answer(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.tickets.append(connection.request.headers["Authorization"].removeprefix("Bearer "))
        async for message in connection:
            if isinstance(message, bytes):
                self.typed.append(message)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Node"]:
        path = settings.WADAH.agent_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        async with unix_serve(self.answer, str(path)):
            yield self
        path.unlink(missing_ok=True)


@pytest.fixture
def row() -> Environment:
    factories.node()
    return factories.environment(factories.tenant())


def browser(actor: Actor) -> Client:
    client = Client()
    client.force_login(actor.user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_a_removed_member_s_sockets_close(row: Environment) -> None:
    """F04: the console and the events of somebody who was removed, or has become a viewer."""
    removed, lowered = factories.member(row.tenant, "operator"), factories.member(row.tenant, "operator")

    async def watch(actor: Actor, change: Callable[[], Any]) -> int:
        async with Node().listening():
            console = socket(f"/ws/environments/{row.pk}/console", browser_of[actor.user.pk])
            assert await console.connect(timeout=30) == (True, None)
            await database_sync_to_async(change)()
            return await closed_with(console)

    browser_of = {removed.user.pk: browser(removed), lowered.user.pk: browser(lowered)}
    assert run(watch, removed, Membership.objects.filter(user=removed.user).delete) == 4401
    rows = Membership.objects.filter(user=lowered.user)
    assert run(watch, lowered, lambda: rows.update(role="viewer")) == 4401


def test_who_ignores_that_he_was_shut_out_types_nothing_more(row: Environment) -> None:
    """A client need not answer the frame that closes its socket; what it sends after that goes nowhere."""
    member = factories.member(row.tenant, "operator")
    client = browser(member)

    async def go_on() -> list[bytes]:
        async with Node().listening() as node:
            console = socket(f"/ws/environments/{row.pk}/console", client)
            assert await console.connect(timeout=30) == (True, None)
            await console.send_to(bytes_data=b"before")
            async with asyncio.timeout(30):
                while not node.typed:  # noqa: ASYNC110 (the other end's)
                    await asyncio.sleep(0.01)
            await database_sync_to_async(Membership.objects.filter(user=member.user).delete)()
            assert await closed_with(console) == 4401
            for _ in range(20):
                await console.send_to(bytes_data=b"after")
                await asyncio.sleep(0.01)
            return node.typed

    assert run(go_on) == [b"before"]


def test_events_of_a_tenant_stop_with_the_membership(row: Environment) -> None:
    """F04: the socket stays for his other tenants, but hears nothing of this one any more."""
    from panel.live.consumer import _groups

    member = factories.member(row.tenant)
    assert f"tenant.{row.tenant_id.hex}" in _groups(Actor(member.user))
    Membership.objects.filter(user=member.user).delete()
    assert _groups(Actor(member.user)) == {"rights"}


@pytest.mark.parametrize(
    "way", ["shut out", "gone", "revoked", "expired", "from elsewhere", "another secret", "suspended"]
)
def test_a_token_s_events_end_with_it(way: str, row: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """F04: looked at by itself, since nobody tells of a token whose time is over."""
    monkeypatch.setattr("panel.live.consumer.RECHECK_EVERY_S", 0.05)
    owner = factories.member(row.tenant)
    bearer = factories.bearer(owner, row.tenant, role="operator")["Authorization"]

    async def watch() -> int:
        events = socket("/ws/events", bearer=bearer)
        assert await events.connect(timeout=30) == (True, None)
        await database_sync_to_async(OF_TOKENS[way])(owner.user, row)
        return await closed_with(events)

    assert run(watch) == 4401


def test_a_ticket_is_for_one_person_one_environment_one_purpose(row: Environment) -> None:
    """F07: what the panel asks the node with. That it counts once and for 30 seconds: tests/unit."""
    member = factories.member(row.tenant, "operator")
    client = browser(member)

    async def open_one() -> str:
        async with Node().listening() as node:
            made = socket(f"/ws/environments/{row.pk}/terminals/main", client)
            assert await made.connect(timeout=30) == (True, None)
            await made.disconnect()
            return node.tickets[0]

    ticket = Ticket.verify(
        run(open_one), public_key_pem=settings.SECRETS.ticket_public_key(), node=row.node.name
    )
    assert (ticket.environment_id, ticket.purpose, ticket.user) == (row.pk, Purpose.TERMINAL, member.name)
    client.post("/accounts/logout/")
    assert run(handshake, socket(f"/ws/environments/{row.pk}/terminals/main", client)) == 4401


def test_too_long_a_message_is_not_passed_on(row: Environment) -> None:
    """F08"""
    client = browser(factories.member(row.tenant, "operator"))

    async def type_much() -> tuple[list[bytes], dict[str, str]]:
        async with Node().listening() as node:
            made = socket(f"/ws/environments/{row.pk}/console", client)
            assert await made.connect(timeout=30) == (True, None)
            await made.send_to(bytes_data=b"x" * (TYPED_BYTES + 1))
            refusal = json.loads(await made.receive_from(timeout=30))
            await made.send_to(bytes_data=b"y" * TYPED_BYTES)
            await made.send_to(text_data="z" * 100_000)
            async with asyncio.timeout(30):
                while not node.typed:  # noqa: ASYNC110 - what the node got is a plain list
                    await asyncio.sleep(0.01)
            await made.disconnect()
            return node.typed, refusal

    typed, refusal = run(type_much)
    assert typed == [b"y" * TYPED_BYTES]
    assert refusal["code"] == "too_long"


async def _open_many(made: list[WebsocketCommunicator]) -> list[str]:
    """ "open", or the code of the refusal; afterwards all are closed."""
    said = []
    async with Node().listening():
        for one in made:
            assert await one.connect(timeout=30) == (True, None)
            if await one.receive_nothing(timeout=0.05):
                said.append("open")
                continue
            said.append(json.loads(await one.receive_from(timeout=30))["code"])
            assert await closed_with(one) == 4429
        for one, what in zip(made, said, strict=True):
            if what == "open":
                await one.disconnect()
    return said


def _at_most(settings: Any, **limits: int) -> None:
    settings.WADAH = settings.WADAH.model_copy(update=limits)


def test_one_person_has_a_bounded_number_of_consoles(row: Environment, settings: Any) -> None:
    """F08; what is closed makes room, and what was refused is in no record."""
    _at_most(settings, user_consoles=4)
    client = browser(factories.member(row.tenant, "operator"))
    for _ in range(2):
        made = [socket(f"/ws/environments/{row.pk}/console", client) for _ in range(6)]
        assert run(_open_many, made) == ["open"] * 4 + ["too_many_consoles"] * 2
    assert AuditRecord.objects.filter(action="environment.console").count() == 8


def test_b20_one_tenant_has_a_bounded_number_of_consoles_and_another_its_own(
    row: Environment, settings: Any
) -> None:
    _at_most(settings, tenant_consoles=5)
    other = factories.environment(factories.tenant())
    people = [browser(factories.member(row.tenant, "operator")) for _ in range(3)]
    theirs = browser(factories.member(other.tenant, "operator"))
    made = [socket(f"/ws/environments/{row.pk}/console", people[number % 3]) for number in range(8)]
    made.append(socket(f"/ws/environments/{other.pk}/console", theirs))
    assert run(_open_many, made) == ["open"] * 5 + ["tenant_consoles"] * 3 + ["open"]
