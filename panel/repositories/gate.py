"""What writes to the registry comes by here: counted against its tenant's room while it comes, and held back
while garbage is collected. An ASGI application of its own process; who reads goes straight to the registry.

Who has no token for what he writes is handed on without a body, so that the registry itself says why not.
"""

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h11
import jwt
from cryptography import x509

from panel.repositories.store import DEEPEST, LEAST_BYTES, Store

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_MIB = 2**20
#: Of the disk below HOME, for the database and everything else.
RESERVE_BYTES = 1024 * _MIB
#: How old what a tenant was measured to hold may be when a request begins.
FRESH_S = 15.0
#: Garbage is collected when so long nothing was written: what comes before a manifest is garbage until that.
QUIET_S, LOOK_S = 60.0, 5.0
COLLECT_EVERY_S = 86_400.0
_COLLECT_S = 1800.0
#: So long it waits for such a rest. Then nobody begins to write, and who still writes after the second of these
#: is cut off.
PATIENCE_S, LEAVE_S = 3600.0, 300.0
#: What a refused request still sends is thrown away for so long, so that its sender hears why.
_DRAIN_S = 60.0
_PIECE = 256 * 1024
_HOPS = {b"connection", b"transfer-encoding", b"keep-alive", b"upgrade", b"te", b"trailer", b"expect"}


class Full(Exception):
    """With the sentence for who pushes."""


class Gone(Exception):
    """The client, before it had sent all."""


@dataclass
class Room:
    """What one tenant may write."""

    used: int = 0
    measured_at: float = -1e9
    added: int = 0
    """Since it was measured."""


@dataclass
class Gate:
    home: Path
    most_bytes: int
    rooms: dict[str, Room] = field(default_factory=dict)
    wrote_at: float = field(default_factory=time.monotonic)
    collected_at: float = field(default_factory=time.monotonic)
    due_since: float | None = None
    _writers: "set[asyncio.Task[Any]]" = field(default_factory=set)
    _open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.store = Store(self.home / "registry")
        self._open.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            collector = asyncio.ensure_future(self._collect_by_and_by())
            await _lifespan(receive, send)
            collector.cancel()
            return
        if scope["type"] != "http":
            return
        await self._open.wait()
        writer = asyncio.current_task()
        assert writer is not None
        self._writers.add(writer)
        try:
            await self._hand_on(scope, receive, send)
        finally:
            self._writers.discard(writer)
            self.wrote_at = time.monotonic()

    # one request ---------------------------------------------------------------------------------

    async def _hand_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        tenant, depth = self._whose(scope) if scope["method"] != "DELETE" else (None, 0)
        body = _Body(receive, tenant is not None)
        try:
            if depth > DEEPEST:
                raise Full(f"A repository's name has at most {DEEPEST} parts below its tenant's.")
            if tenant:
                await self._check(tenant, LEAST_BYTES if scope["method"] in ("POST", "PUT") else 0)
                body.count = lambda size: self._take(tenant, size)
            reader, writer = await asyncio.open_unix_connection(str(self.home / "run" / "registry.sock"))
        except Full as full:
            await _refuse(send, receive, 403, "DENIED", str(full))
            return
        except OSError:
            await _refuse(send, receive, 503, "UNAVAILABLE", "The registry is being started; try again.")
            return
        try:
            await _exchange(scope, body, send, reader, writer)
        except Full as full:
            await _refuse(send, receive, 403, "DENIED", str(full))
        except Gone:
            return
        finally:
            writer.close()

    def _whose(self, scope: Scope) -> tuple[str | None, int]:
        """Whose room it takes, as its token says, and how deep below him; None without a token that lets it
        write there."""
        repository = scope["path"].removeprefix("/v2/")
        for mark in ("/blobs/", "/manifests/"):
            repository = repository.rpartition(mark)[0] or repository
        header = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        with suppress(jwt.InvalidTokenError, OSError, KeyError, TypeError, ValueError):
            certificate = x509.load_pem_x509_certificate((self.home / "panel" / "registry.crt").read_bytes())
            claims = jwt.decode(
                header.partition(" ")[2],
                certificate.public_key(),  # type: ignore[arg-type]  # of ours, on an elliptic curve
                algorithms=["ES256"],
                audience="wadah-registry",
                issuer="wadah-panel",
            )
            for one in claims["access"]:
                if one["name"] == repository and "push" in one["actions"]:
                    return str(repository.partition("/")[0]), repository.count("/")
        return None, 0

    async def _check(self, tenant: str, least: int) -> None:
        """Measures anew what is old by now, and counts what the request itself leaves. Raises `Full`."""
        room = self.rooms.setdefault(tenant, Room())
        if time.monotonic() - room.measured_at > FRESH_S:
            room.measured_at, added = time.monotonic(), room.added
            used = await asyncio.get_running_loop().run_in_executor(None, self.store.used_bytes, tenant)
            room.used, room.added = used, max(0, room.added - added)
        self._take(tenant, least)

    def _take(self, tenant: str, size: int) -> None:
        room = self.rooms[tenant]
        room.added += size
        if room.used + room.added >= self.most_bytes:
            raise Full(
                f"{tenant} has {self.most_bytes // _MIB} MiB in the registry, and they are used up. "
                f"Each tag, manifest and layer takes {LEAST_BYTES // 1024} KiB of them at least. "
                "Delete tags that nobody needs, or ask for more."
            )
        if size and shutil.disk_usage(self.store.root).free < RESERVE_BYTES:
            raise Full("The disk of the registry is too full for anything more.")

    # garbage -------------------------------------------------------------------------------------

    async def _collect_by_and_by(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            wanted = self.store.root / "collect"
            now = time.monotonic()
            if not wanted.exists() and now - self.collected_at <= COLLECT_EVERY_S:
                self.due_since = None
                continue
            self.due_since = self.due_since or now
            is_quiet = not self._writers and now - self.wrote_at > QUIET_S
            if is_quiet or now - self.due_since > PATIENCE_S:
                await self.collect()
                wanted.unlink(missing_ok=True)

    async def collect(self) -> None:
        """What no manifest with a tag names goes. Whoever wants to write waits meanwhile, and nobody who writes
        for ever keeps others from the room that they freed."""
        self._open.clear()
        try:
            if self._writers:
                await asyncio.wait(self._writers.copy(), timeout=LEAVE_S)
            for writer in self._writers.copy():
                writer.cancel()
            if self._writers:
                await asyncio.wait(self._writers.copy())
            await asyncio.get_running_loop().run_in_executor(None, collect_garbage, self.home)
        finally:
            self.collected_at = time.monotonic()
            self.rooms.clear()
            self._open.set()


def collect_garbage(home: Path) -> None:
    words = ["docker-registry", "garbage-collect", "--delete-untagged", str(home / "etc" / "registry.yml")]
    with suppress(subprocess.TimeoutExpired, OSError):
        subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_COLLECT_S,
            check=False,
        )
        Store(home / "registry").sweep()


@dataclass
class _Body:
    """What the client sends, counted; nothing of one that isn't to be heard."""

    receive: Receive
    is_heard: bool
    count: Callable[[int], None] = lambda _: None

    async def pieces(self) -> Any:
        if not self.is_heard:
            return
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Gone
            if piece := message.get("body", b""):
                self.count(len(piece))
                yield piece
            if not message.get("more_body", False):
                return


async def _exchange(
    scope: Scope, body: _Body, send: Send, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Hands the request on and the answer back. What is sent after the answer began isn't heard."""
    connection = h11.Connection(h11.CLIENT)
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in _HOPS]
    length = [value for name, value in headers if name == b"content-length"]
    headers = [one for one in headers if one[0] != b"content-length"]
    if not body.is_heard:
        headers.append((b"content-length", b"0"))
    elif length:
        headers.append((b"content-length", length[0]))
    else:
        headers.append((b"transfer-encoding", b"chunked"))
    query = scope.get("query_string", b"")
    target = scope.get("raw_path") or scope["path"].encode()
    target = target.partition(b"?")[0] + (b"?" + query if query else b"")
    writer.write(connection.send(h11.Request(method=scope["method"], target=target, headers=headers)) or b"")

    async def up() -> None:
        async for piece in body.pieces():
            writer.write(connection.send(h11.Data(data=piece)) or b"")
            await writer.drain()
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()

    sending = asyncio.ensure_future(up())
    answering = asyncio.ensure_future(_answer(connection, reader, send, sending))
    try:
        await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and isinstance(failed := sending.exception(), Full | Gone):
            raise failed
        await answering
    finally:
        for one in (sending, answering):
            one.cancel()
        await asyncio.gather(sending, answering, return_exceptions=True)


async def _answer(
    connection: h11.Connection, reader: asyncio.StreamReader, send: Send, sending: "asyncio.Task[None]"
) -> None:
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_PIECE))
        elif isinstance(event, h11.Response):
            headers = [(bytes(name), bytes(value)) for name, value in event.headers]
            headers = [one for one in headers if one[0] not in _HOPS]
            await send({"type": "http.response.start", "status": event.status_code, "headers": headers})
        elif isinstance(event, h11.Data):
            await send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
        elif isinstance(event, h11.EndOfMessage):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        elif isinstance(event, h11.ConnectionClosed):
            raise ConnectionError("the registry went away")


async def _refuse(send: Send, receive: Receive, status: int, code: str, message: str) -> None:
    """As the registry itself refuses (distribution-spec, error codes), so that clients show the sentence."""
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(_DRAIN_S):
            while (said := await receive())["type"] == "http.request" and said.get("more_body", False):
                pass
    body = json.dumps({"errors": [{"code": code, "message": message, "detail": None}]}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


def _made() -> Gate:
    most_mb = int(os.environ.get("WADAH_REGISTRY_TENANT_MB") or 10_240)
    return Gate(Path(os.environ.get("WADAH_HOME", "/var/lib/wadah")), most_mb * _MIB)


_GATE: list[Gate] = []


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if not _GATE:
        _GATE.append(_made())
    await _GATE[0](scope, receive, send)
