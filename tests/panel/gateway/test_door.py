"""Hostile clients at the gateway: half-open connections, floods of channels, somebody else's key."""

import asyncio
from types import SimpleNamespace
from typing import Any

import asyncssh
import pytest
from asyncssh.channel import SSHClientChannel

from panel.accounts.models import SshKey
from panel.accounts.services import checked_user
from panel.errors import Invalid
from panel.gateway import server
from panel.gateway.guests import by_key, note_use
from panel.gateway.server import MOST_AT_THE_DOOR, MOST_OF_ADDRESS, Door, Gateway, place_of
from panel.tenants.models import Tenant
from tests.panel.support import factories
from tests.panel.support.ssh import HERE, PRINT, named, owner_with_key


class Connection:
    """As far as the door knows it."""

    def __init__(self, address: str):
        self.address, self.is_over = address, False

    def get_extra_info(self, _: str) -> tuple[str, int]:
        return (self.address, 1)

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
