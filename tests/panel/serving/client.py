"""A client of the web process's application, on one event loop with it."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from panel.serving.server import Server

Environ = dict[str, Any]
Start = Callable[..., Any]


@dataclass
class Call:
    """One request; `task` ends with its answer."""

    server: Server
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: bytes = b""
    reads: bool = True
    """Takes what it is sent."""
    sent: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._said = False
        self._gone = asyncio.Event()
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        path, _, query = self.path.partition("?")
        scope = {
            "type": "http",
            "method": self.method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "http_version": "1.1",
            "scheme": "http",
            "client": ("", 0),
            "headers": [(name.lower().encode(), value.encode()) for name, value in self.headers.items()],
        }
        await self.server(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        if not self._said:
            self._said = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        if not self.reads:
            await asyncio.Event().wait()

    def hang_up(self) -> None:
        self._gone.set()

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def answered(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def content(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


class Halls:
    """A WSGI application whose paths beginning with `/wait` are held until `open`; it says who was let in."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.door = threading.Event()

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        self.entered.append(environ["PATH_INFO"])
        if environ["PATH_INFO"].startswith("/wait"):
            assert self.door.wait(20)
        start("200 OK", [("Content-Type", "text/plain")])
        return [environ["PATH_INFO"].encode()]


async def until(look: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not look():  # noqa: ASYNC110 (threads change what is looked at)
            await asyncio.sleep(0.005)


def on(address: str) -> dict[str, str]:
    """Headers of a stranger who comes from there."""
    return {"X-Forwarded-For": address}
