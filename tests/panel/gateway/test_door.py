"""Hostile clients at the gateway: half-open connections, floods of channels, somebody else's key."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import asyncssh
import pytest
from asyncssh.channel import SSHClientChannel
from asyncssh.packet import String

from panel.accounts.models import SshKey
from panel.accounts.services import checked_user
from panel.errors import Invalid
from panel.gateway import relay, server
from panel.gateway.guests import by_key, note_use
from panel.gateway.server import MOST_AT_THE_DOOR, MOST_OF_ADDRESS, Door, Gateway, place_of
from panel.gateway.turns import MOST_TRIES, WINDOW_BYTES, Line, Turns
from panel.tenants.models import Tenant
from tests.panel.support import factories
from tests.panel.support.ssh import HERE, PRINT, named, owner_with_key


class Connection:
    """As far as the door knows it."""

    _transport = None

    def __init__(self, address: str):
        self.address, self.is_over = address, False

    def get_extra_info(self, _: str) -> tuple[str, int]:
        return (self.address, 1)

    def set_extra_info(self, **_: Any) -> None: ...

    def data_received(self, *_: Any) -> None: ...

    def abort(self) -> None:
        self.is_over = True


def _comes(door: Door, address: str) -> tuple[Gateway, Connection]:
    gateway, connection = Gateway(door), Connection(address)
    gateway.connection_made(connection)  # type: ignore[arg-type]
    if connection.is_over:
        gateway.connection_lost(None)
    return gateway, connection


@pytest.mark.parametrize("kind", ["203.0.113.{}", "2001:db8:0:{:x}::1"])
def test_who_fills_the_door_from_many_places_keeps_nobody_out(kind: str) -> None:
    door = Door()
    held = [_comes(door, kind.format(number % 200)) for number in range(600)]
    _, newcomer = _comes(door, "198.51.100.1")
    assert not newcomer.is_over
    assert sum(map(len, door.waiting.values())) == MOST_AT_THE_DOOR
    for gateway, _ in held:
        gateway.connection_lost(None)
    assert sum(map(len, door.waiting.values())) == 1


def test_one_subscribers_addresses_are_one_place() -> None:
    door = Door()
    held = [_comes(door, f"2001:db8::{number:x}")[1] for number in range(60)]
    assert sum(not one.is_over for one in held) == MOST_OF_ADDRESS
    assert place_of("::ffff:192.0.2.1") == "192.0.2.1" != place_of("192.0.2.2")
    assert place_of("fe80::1%eth0") == "fe80::/64"


def test_channels_on_which_nothing_is_asked_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = SimpleNamespace(key=None)

    async def into(*_: Any) -> Any:
        return guest

    monkeypatch.setattr(Gateway, "validate_password", into)
    monkeypatch.setattr(server, "may_stay", lambda _: True)
    monkeypatch.setattr(Gateway, "auth_completed", lambda self: setattr(self, "_guest", guest))

    async def opened(client: Any) -> int:
        """How many of a hundred are, at once."""
        count, kept = 0, []
        for _ in range(100):
            channel = SSHClientChannel(client, asyncio.get_running_loop(), True, None, "strict", 2**16, 2**14)
            try:
                await channel._open(b"session")
            except asyncssh.ChannelOpenError:
                continue
            kept.append(channel)
            count += 1
        for channel in kept:
            channel.close()
        return count

    async def story() -> tuple[int, int]:
        key = asyncssh.generate_private_key("ssh-ed25519")
        listener = await asyncssh.create_server(
            lambda: Gateway(Door()), "127.0.0.1", 0, server_host_keys=[key], encoding=None
        )
        how = {"known_hosts": None, "username": "x", "password": "x", "client_keys": [], "agent_path": None}
        async with asyncssh.connect("127.0.0.1", listener.get_port(), config=[], **how) as client:
            first = await opened(client)
            async with asyncio.timeout(20):
                while not (again := await opened(client)):
                    pass
        listener.close()
        return first, again

    first, again = asyncio.run(story())
    assert first == server._CHANNELS_OF_CONNECTION
    assert 0 < again <= first, "who closed his has others"


@pytest.fixture
def tenant() -> Tenant:
    factories.node()
    return factories.tenant()


@pytest.mark.django_db
def test_who_keeps_somebody_elses_key_is_not_taken_for_him_and_is_not_in_his_way(tenant: Tenant) -> None:
    hostile = factories.tenant()
    victim, attacker = owner_with_key(tenant), owner_with_key(hostile)
    trap, mine = named(hostile), named(tenant)
    assert by_key("files", PRINT, HERE) is None, "nobody knows yet whose it is"
    guest = by_key(f"{victim.user.username}@files", PRINT, HERE)
    assert guest is not None
    assert guest.environment.pk == mine.pk
    assert guest.key is not None
    note_use(guest.key)  # he came in
    for name in ("files", str(mine.pk)):
        found = by_key(name, PRINT, HERE)
        assert found is not None, name
        assert found.actor.user == victim.user
    assert by_key(f"files.{hostile.slug}", PRINT, HERE) is None, "the trap"
    assert by_key(str(trap.pk), PRINT, HERE) is None
    assert SshKey.objects.get(user=attacker.user).used_at is None


@pytest.mark.django_db
def test_nobody_is_called_by_anothers_address() -> None:
    victim = factories.person()
    for name in (victim.email, victim.email.upper(), "who-comes-later@example.test"):
        with pytest.raises(Invalid) as refused:
            checked_user(username=name, email="mine@example.test", password="")
        assert refused.value.field == "username"
    assert checked_user(username="own@example.test", email="own@example.test", password="").username


@asynccontextmanager
async def _door(guest: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[int, Door]]:
    """A gateway to which anybody comes as `guest`; its port."""

    async def into(*_: Any) -> Any:
        return guest

    monkeypatch.setattr(server, "by_password", lambda *_: guest)
    monkeypatch.setattr(server, "by_key", lambda *_: None)
    monkeypatch.setattr(server, "may_stay", lambda _: True)
    monkeypatch.setattr(server, "database_sync_to_async", _at_once)
    door = Door()
    listener = await asyncssh.create_server(
        lambda: Gateway(door),
        "127.0.0.1",
        0,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        encoding=None,
    )
    try:
        yield listener.get_port(), door
    finally:
        listener.close()


def _at_once(work: Any) -> Any:
    async def done(*given: Any) -> Any:
        return work(*given)

    return done


def _guest(tenant: UUID) -> Any:
    owner = SimpleNamespace(pk=tenant, payer=tenant)
    return SimpleNamespace(key=None, environment=SimpleNamespace(tenant=owner))


async def _in(port: int, **more: Any) -> asyncssh.SSHClientConnection:
    how: dict[str, Any] = {"known_hosts": None, "username": "x", "password": "x", "client_keys": []}
    return await asyncssh.connect("127.0.0.1", port, config=[], agent_path=None, **{**how, **more})


def test_one_tenant_has_a_number_of_connections_wherever_they_come_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "MOST_OF_TENANT", 5)

    async def story() -> tuple[int, int]:
        async with _door(_guest(uuid4()), monkeypatch) as (port, door):
            kept = []
            for number in range(8):
                with suppress(asyncssh.Error):
                    one = await _in(port, local_addr=(f"127.0.9.{number + 1}", 0))
                    await asyncio.sleep(0.1)
                    if not one.is_closed():
                        kept.append(one)
            count = len(kept)
            kept.pop().abort()
            await asyncio.sleep(0.2)
            again = await _in(port)
            await asyncio.sleep(0.1)
            is_in = not again.is_closed()
            for one in (*kept, again):
                one.abort()
            await asyncio.sleep(0.2)
            assert not door.turns._accounts, "nobody is left"
            assert not +door.tenants
            return count, is_in

    assert asyncio.run(story()) == (5, True)


def test_keys_are_not_offered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    async def story() -> None:
        async with _door(None, monkeypatch) as (port, _):
            monkeypatch.setattr(server, "by_key", lambda *given: tried.append(given[1]))
            keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(60)]
            with suppress(asyncssh.Error, OSError):
                await _in(port, client_keys=keys, password=None)

    asyncio.run(story())
    assert 5 < len(tried) <= MOST_TRIES


def test_variables_on_a_channel_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> int:
        async with _door(_guest(uuid4()), monkeypatch) as (port, _):
            channels: list[Any] = []
            made = asyncssh.SSHServerConnection.create_server_channel

            def noted(*given: Any) -> Any:
                channels.append(made(*given))
                return channels[-1]

            monkeypatch.setattr(asyncssh.SSHServerConnection, "create_server_channel", noted)
            client = await _in(port)
            channel = SSHClientChannel(client, asyncio.get_running_loop(), True, None, "strict", 2**16, 2**14)
            await channel._open(b"session")
            for number in range(200):
                channel._send_request(b"env", String(f"K{number}"), String(b"x" * 1000))
            await asyncio.sleep(0.5)
            client.abort()
            return len(channels[0]._env)

    assert asyncio.run(story()) == 0


def test_what_is_sent_on_a_channel_where_nothing_runs_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> int:
        async with _door(_guest(uuid4()), monkeypatch) as (port, _):
            client = await _in(port)
            channel = SSHClientChannel(client, asyncio.get_running_loop(), True, None, "strict", 2**16, 2**14)
            await channel._open(b"session")
            found = int(channel._send_window)
            client.abort()
            return found

    assert asyncio.run(story()) == WINDOW_BYTES


def test_who_keeps_the_thread_busy_waits_where_others_want_it() -> None:
    """And nobody waits for himself."""

    class Stub:
        def __init__(self) -> None:
            self.told: list[str] = []
            self.goes_on = asyncio.Event()

        def stop(self) -> None:
            self.told.append("stop")

        def go_on(self) -> None:
            self.told.append("go on")
            self.goes_on.set()

    async def story() -> None:
        turns, busy, other = Turns(), Stub(), Stub()
        turns.join("busy", busy)  # type: ignore[arg-type]
        turns.took("busy", 0.5)
        assert not busy.told, "there is nobody else"
        turns.join("other", other)  # type: ignore[arg-type]
        turns.took("other", 0.0)
        begun = asyncio.get_running_loop().time()
        turns.took("busy", 0.1)
        turns.took("busy", 0.1)
        assert busy.told == ["stop"]
        await asyncio.wait_for(busy.goes_on.wait(), 5)
        assert 0.15 < asyncio.get_running_loop().time() - begun < 1.0
        assert not other.told
        turns.took("busy", 100.0)
        assert turns._accounts["busy"].until - time.monotonic() <= 2.0, "not for ever"

    asyncio.run(story())


def test_answers_that_nobody_reads_end_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    aborted: list[bool] = []
    conn = SimpleNamespace(
        data_received=lambda *_: None,
        set_extra_info=lambda **_: None,
        abort=lambda: aborted.append(True),
        _transport=SimpleNamespace(get_write_buffer_size=lambda: unread, max_size=0),
    )
    line: Any = Line(conn, Turns(), "a")  # type: ignore[arg-type]
    for unread, is_over in ((1000, False), (9 * 2**20, True)):  # noqa: B007
        line._counted(b"x")
        assert bool(aborted) is is_over
    assert line._transport.max_size < 2**16


def test_what_is_sent_waits_for_who_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """His window may say that he takes four gigabytes."""
    piece, sent = b"\x01" + b"x" * 32_768, 0

    class Node:
        def __aiter__(self) -> "Node":
            return self

        async def __anext__(self) -> bytes:
            nonlocal sent
            sent += len(piece)
            if sent > 200 * 2**20:
                raise StopAsyncIteration
            return piece

    async def pour(process: Any, _: Any) -> None:
        await relay._from_node(process, Node(), relay.Carried("x"), False)  # type: ignore[arg-type]

    monkeypatch.setattr(server, "serve", pour)

    async def story() -> None:
        async with _door(_guest(uuid4()), monkeypatch) as (port, _):
            client = await _in(port)
            await client.create_process("x", window=2**31, encoding=None)
            client._transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(2)
            client.abort()

    asyncio.run(story())
    assert sent < 40 * 2**20
