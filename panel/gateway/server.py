"""The gateway: who comes in by SSH, and for how long.

It authenticates by the panel's people and carries sessions to the node's agent. It has no files to serve, runs
no program, and opens no connection for anybody: forwarding of ports, agents and displays is refused.
"""

import asyncio
import ipaddress
import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncssh
import structlog
from channels.db import database_sync_to_async
from django.db import DatabaseError

from panel.gateway.guests import Guest, by_key, by_password, may_stay, note_use
from panel.gateway.relay import serve
from panel.gateway.turns import (
    MOST_OF_PAYER,
    MOST_OF_TENANT,
    MOST_TRIES,
    PACKET_BYTES,
    WINDOW_BYTES,
    Line,
    Turns,
    Unkept,
)
from panel.live.auth import Doubt

log = structlog.get_logger()

#: Who hasn't signed in yet: altogether, and from one address; and how long that may take.
MOST_AT_THE_DOOR, MOST_OF_ADDRESS, LOGIN_S = 100, 20, 30
#: Connections that are in, of one address.
MOST_IN_OF_ADDRESS = 100
#: Sign-out, a revoked key, role or token, a deleted environment: the connection ends within two seconds.
RECHECK_EVERY_S = 1.5
_CHANNELS_OF_CONNECTION = 10


def host_key(directory: Path) -> Path:
    """The key's file, made at the first start; it is kept with the panel's own secrets."""
    file = directory / "ssh_host_ed25519_key"
    if not file.exists():
        made = asyncssh.generate_private_key("ssh-ed25519", comment="wadah")
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(made.export_private_key())
        temporary.rename(file)
    return file


class Door:
    """Who is at it and who is in, by where they come from."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Gateway]] = {}
        self.inside: Counter[str] = Counter()
        self.tenants: Counter[UUID] = Counter()
        self.turns = Turns()

    def come(self, place: str, who: "Gateway") -> bool:
        """False for who has to go at once. A full door is left by who has waited longest of the place from
        which most wait, so that whoever fills it from many places keeps nobody out."""
        own = self.waiting.get(place, [])
        if len(own) >= MOST_OF_ADDRESS or self.inside[place] >= MOST_IN_OF_ADDRESS:
            return False
        if sum(map(len, self.waiting.values())) >= MOST_AT_THE_DOOR:
            most = max(self.waiting.values(), key=len)
            most[0].turned_away()
        self.waiting.setdefault(place, []).append(who)
        return True

    def enter(self, place: str, who: "Gateway") -> None:
        self.leave(place, who)
        self.inside[place] += 1

    def leave(self, place: str, who: "Gateway") -> None:
        """A no-op for who doesn't wait there any more."""
        own = self.waiting.get(place, [])
        if who in own:
            own.remove(who)
        if not own:
            self.waiting.pop(place, None)

    def go(self, place: str) -> None:
        self.inside[place] -= 1
        if self.inside[place] <= 0:
            del self.inside[place]


def place_of(address: str) -> str:
    """Of IPv6 the network that one subscriber gets, who has any number of addresses (RFC 6177)."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address):
        known = known.ipv4_mapped or known
    return str(ipaddress.ip_network(f"{known}/64", strict=False)) if known.version == 6 else str(known)


class Session(asyncssh.SSHServerProcess):  # type: ignore[type-arg]
    """Of which `sftp` is one like any other: there is no SFTP server in this process."""

    def __init__(self, begin: Callable[["asyncssh.SSHServerProcess[bytes]"], Any], closed: Callable[[], None]):
        super().__init__(begin, None, 3, False)
        self._closed = closed

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed()
        super().connection_lost(exc)

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def session_started(self) -> None:
        assert self._conn is not None
        stdin = asyncssh.SSHReader(self, self._chan)
        writers = asyncssh.SSHWriter(self, self._chan), asyncssh.SSHWriter(self, self._chan, 1)
        self._conn.create_task(self._begin(stdin, *writers))

    async def _begin(self, stdin: Any, stdout: Any, stderr: Any) -> None:
        begun = self._start_process(stdin, stdout, stderr)
        assert begun is not None
        await begun


class Gateway(asyncssh.SSHServer):
    """One connection, from the door on."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn
        self._guest: Guest | None = None
        self._watch: asyncio.Task[None] | None = None
        self._channels = 0
        self._is_in = False
        self._tries = 0
        self._tenant: UUID | None = None
        self._address = str((conn.get_extra_info("peername") or ("",))[0])
        self._place = place_of(self._address)
        self._line = Line(conn, self._door.turns, self._place)
        if not self._door.come(self._place, self):
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._line.closed()
        if self._tenant is not None:
            self._door.tenants[self._tenant] -= 1
        if self._watch is not None:
            self._watch.cancel()
        if self._is_in:
            self._door.go(self._place)
        else:
            self._door.leave(self._place, self)

    def turned_away(self) -> None:
        """He waited longest, and others want to come in."""
        self._door.leave(self._place, self)
        self._conn.abort()

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self._guest = None
        if not self._may_try():
            return False
        print_ = key.get_fingerprint("sha256")
        self._guest = await database_sync_to_async(by_key)(username, print_, self._address)
        return self._guest is not None

    async def validate_password(self, username: str, password: str) -> bool:
        self._guest = None
        if not self._may_try():
            return False
        self._guest = await database_sync_to_async(by_password)(username, password, self._address)
        return self._guest is not None

    def _may_try(self) -> bool:
        """Each try is a look into the database, and keys are offered by the thousand at no cost."""
        self._tries += 1
        if self._tries > MOST_TRIES:
            self._conn.abort()
        return self._tries <= MOST_TRIES

    def auth_completed(self) -> None:
        self._door.enter(self._place, self)
        self._is_in = True
        if self._guest is not None and not self._is_let_in(self._guest):
            self._conn.disconnect(
                asyncssh.DISC_TOO_MANY_CONNECTIONS, "So many of this tenant's are in already."
            )
            return
        if self._guest is not None and self._guest.key is not None:
            self._conn.create_task(database_sync_to_async(note_use)(self._guest.key))
        self._watch = asyncio.get_running_loop().create_task(self._recheck())

    def _is_let_in(self, guest: Guest) -> bool:
        """From however many places its people come."""
        tenant = guest.environment.tenant
        payer = f"payer {tenant.payer}"
        turns = self._door.turns
        if turns.count(payer) >= MOST_OF_PAYER or self._door.tenants[tenant.pk] >= MOST_OF_TENANT:
            return False
        self._line.belongs_to(payer)
        self._tenant = tenant.pk
        self._door.tenants[tenant.pk] += 1
        return True

    async def _recheck(self) -> None:
        doubt = Doubt()
        while True:
            await asyncio.sleep(RECHECK_EVERY_S)
            try:
                good = self._guest is not None and await database_sync_to_async(may_stay)(self._guest)
            except DatabaseError:
                good = doubt.may_go_on()
            else:
                doubt.cleared()
            if not good:
                self._conn.abort()
                return

    def session_requested(self) -> tuple[Any, Session] | bool:
        """A channel counts from its opening until it is closed, whether anything is asked on it or not."""
        if self._guest is None or self._channels >= _CHANNELS_OF_CONNECTION:
            return False
        self._channels += 1
        channel = self._conn.create_server_channel(None, "strict", WINDOW_BYTES, PACKET_BYTES)
        channel._env = Unkept()
        return channel, Session(self._serve, self._closed)

    def _closed(self) -> None:
        self._channels -= 1

    async def _serve(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        assert self._guest is not None
        try:
            await serve(process, self._guest)
        finally:
            with suppress(asyncssh.Error, OSError):
                process.close()


async def run(address: str, port: int, directory: Path) -> None:
    asyncssh.set_log_level("WARNING")
    door = Door()
    server = await asyncssh.create_server(
        lambda: Gateway(door),
        address,
        port,
        server_host_keys=[str(host_key(directory))],
        encoding=None,
        allow_scp=False,
        agent_forwarding=False,
        x11_forwarding=False,
        line_editor=False,
        login_timeout=LOGIN_S,
        keepalive_interval=30,
        keepalive_count_max=3,
        server_version="Wadah",
        reuse_address=True,
    )
    log.info("gateway listens", address=address, port=port)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
    server.close()
