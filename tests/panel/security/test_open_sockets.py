"""F04, F07, F08: what becomes of open sockets when rights go, of tickets, and of people who send too much."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.conf import settings
from django.test import Client
from websockets.asyncio.server import ServerConnection, unix_serve

from panel.accounts.actor import Actor
from panel.console.consumer import SOCKETS_PER_USER, TYPED_BYTES
from panel.environments.models import Environment
from panel.tenants.models import Membership
from runtime.contract import Purpose, Ticket
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


def test_events_of_a_tenant_stop_with_the_membership(row: Environment) -> None:
    """F04: the socket stays for his other tenants, but hears nothing of this one any more."""
    from panel.live.consumer import _groups

    member = factories.member(row.tenant)
    assert f"tenant.{row.tenant_id.hex}" in _groups(Actor(member.user))
    Membership.objects.filter(user=member.user).delete()
    assert _groups(Actor(member.user)) == {"rights"}


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


def test_one_person_has_a_bounded_number_of_consoles(row: Environment) -> None:
    """F08"""
    client = browser(factories.member(row.tenant, "operator"))

    async def open_many() -> list[int | None]:
        async with Node().listening():
            made = [socket(f"/ws/environments/{row.pk}/console", client) for _ in range(SOCKETS_PER_USER + 1)]
            codes = [(await one.connect(timeout=30))[1] for one in made]
            for one in made[:-1]:
                await one.disconnect()
            return codes

    codes = run(open_many)
    assert codes == [None] * SOCKETS_PER_USER + [4429]
