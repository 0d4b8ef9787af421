"""python -m tests.bench.worst URL TOKEN ENVIRONMENT SNAPSHOT: all that one tenant can ask for, without end."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

#: Requests of each kind that are under way at once.
_EACH = 8


class Worst:
    def __init__(self, url: str, token: str, environment: str, snapshot: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname or "", parts.port or 80
        self._head = (
            f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        )
        self._id, self._one = environment, f"/api/v1/environments/{environment}"
        self._files = f"{self._one}/files"
        self._of = f"snapshot={snapshot}"

    async def run(self) -> None:
        ways = [self._again(*request) for request in self._requests()]
        ways += [self._unread(), *(self._streams(path) for path in self._sockets() for _ in range(_EACH))]
        tasks = [asyncio.create_task(way) for way in ways]
        await asyncio.sleep(2)
        print("at it", flush=True)
        await asyncio.gather(*tasks)

    def _requests(self) -> list[tuple[str, str, object]]:
        text = quote("%_" * 30)
        one = self._one
        asked = [
            ("GET", "/api/v1/environments?limit=500", None),
            ("GET", f"/api/v1/environments?limit=500&search={text}&sort=-name", None),
            ("GET", f"/api/v1/audit?limit=500&q={text}", None),
            ("GET", "/api/v1/audit/export?format=csv", None),
            ("GET", "/api/v1/openapi.json", None),
            ("GET", f"{one}/console/log?format=cast", None),
            ("GET", f"{one}/terminals", None),
            ("POST", f"{one}/exec", {"command": ["/bin/true"]}),
            ("POST", f"{one}/exec", {"command": ["/bin/sleep", "30"]}),
            ("POST", f"{one}/exec", {"command": ["/bin/cat"], "stdin": "x" * 900_000}),
            ("POST", "/api/v1/environments", {"name": "worst", "image": "nothing"}),
            ("POST", "/accounts/login/", {}),
            ("GET", f"{self._files}?{self._of}&path=root/many&limit=1000", None),
            ("GET", f"{self._files}?{self._of}&path=root/links&limit=1000", None),
            ("GET", f"{self._files}/content?{self._of}&path=root/huge", None),
            ("GET", f"/api/v1/operations?limit=500&q={text}", None),
            ("POST", f"{one}/snapshots", {}),
            ("POST", f"{one}/restart", {}),
            ("POST", f"{one}/forwards", {"port": 80}),
            ("POST", "/api/v1/schedules", {"environment": self._id, "cron": "0 3 * * *"}),
            ("POST", "/api/v1/tokens", {"name": "x", "role": "viewer"}),
            ("POST", "/api/v1/images/archive?name=worst", "x" * 900_000),
        ]
        return [request for request in asked for _ in range(_EACH)]

    async def _again(self, method: str, path: str, body: object) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        request = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(data)}\r\n\r\n".encode() + data

        async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                writer.write(request)
                await writer.drain()
                await _answer(reader)

        await self._connected(ask)

    def _sockets(self) -> list[str]:
        one = f"/ws/environments/{self._id}"
        return ["/ws/events", f"{one}/console", f"{one}/terminals/worst"]

    async def _streams(self, path: str) -> None:
        """Opens a WebSocket, reads nothing of it, and begins anew."""
        hello = (
            f"GET {path} HTTP/1.1\r\n{self._head}Connection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )

        async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(hello.encode())
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(1)

        await self._connected(ask)

    async def _unread(self) -> None:
        """Connections on which long answers are asked for and never read."""

        async def ask(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(f"GET {self._one}/console/log?format=cast HTTP/1.1\r\n{self._head}\r\n".encode())
            await asyncio.sleep(60)

        await asyncio.gather(*(self._connected(ask) for _ in range(_EACH)))

    async def _connected(
        self, ask: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    ) -> None:
        """On a connection of its own, and on a new one when that ends."""
        while True:
            try:
                reader, writer = await asyncio.open_connection(*self._address)
                try:
                    await ask(reader, writer)
                finally:
                    writer.close()
            except (OSError, asyncio.IncompleteReadError, ValueError):
                await asyncio.sleep(0.05)


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"transfer-encoding: chunked" in head:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        await reader.readexactly(int(length or 0))


def stand_back() -> None:
    """For the panel, as one on another machine would. Where the kernel groups processes by session (sched(7),
    autogroup), a nice value counts within the session alone, and the session has one of its own."""
    os.nice(19)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")


if __name__ == "__main__":
    stand_back()
    asyncio.run(Worst(*sys.argv[1:5]).run())
