"""A browser's or a program's WebSocket to the real ASGI application, within the test's own transaction."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from unittest.mock import patch

from asgiref.sync import async_to_sync
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

T = TypeVar("T")
ORIGIN = "http://testserver"
#: What a handshake that was refused before `accept` gives when it names no code of its own.
REFUSED = 1000


def run(work: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
    """Runs it on this thread, so that what the application reads is what the test wrote.

    Channels would drop the connection, and with it the test's transaction, as Django's own client would.
    """
    with patch("channels.db.close_old_connections"):
        return async_to_sync(work)(*arguments)


def socket(
    path: str, client: Client | None = None, *, origin: str | None = ORIGIN, bearer: str = ""
) -> WebsocketCommunicator:
    from panel.config.asgi import application

    headers = [(b"host", b"testserver")]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    if client is not None and settings.SESSION_COOKIE_NAME in client.cookies:
        cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
        headers.append((b"cookie", cookie.encode()))
    if bearer:
        headers.append((b"authorization", bearer.encode()))
    return WebsocketCommunicator(application, path, headers=headers)


async def handshake(made: WebsocketCommunicator) -> int:
    """0 when it was accepted, else the code that it was closed with."""
    is_open, code = await made.connect(timeout=30)
    if is_open:
        await made.disconnect()
        return 0
    return int(code or REFUSED)


async def closed_with(made: WebsocketCommunicator, timeout_s: float = 30) -> int:
    """Reads until the other side closes; the code."""
    while True:
        event: dict[str, Any] = await made.receive_output(timeout_s)
        if event["type"] == "websocket.close":
            return int(event.get("code") or REFUSED)
