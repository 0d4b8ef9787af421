"""The gate for WebSockets: what leads nowhere, or holds what can't be kept, is closed before its handshake."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable
from django.http.cookie import parse_cookie
from django.urls import URLPattern

from panel.gate.text import is_usable

if TYPE_CHECKING:
    from channels.consumer import _ChannelScope as Scope

#: Nothing is there (the panel's own code, see docs), and what was sent can't be understood.
NOT_FOUND, BAD = 4404, 4400


class SocketGate:
    """Before sessions and tokens are looked at. What is closed before it is accepted is told 403."""

    def __init__(self, application: ASGI3Application, routes: Sequence[URLPattern]) -> None:
        self._application, self._routes = application, routes

    async def __call__(self, scope: "Scope", receive: ASGIReceiveCallable, send: ASGISendCallable) -> Any:
        if not _is_text(scope):
            return await send({"type": "websocket.close", "code": BAD, "reason": None})
        if not self._leads_somewhere(scope["path"]):
            return await send({"type": "websocket.close", "code": NOT_FOUND, "reason": None})
        return await self._application(scope, receive, send)

    def _leads_somewhere(self, path: str) -> bool:
        return any(route.pattern.match(path.lstrip("/")) is not None for route in self._routes)


def _is_text(scope: "Scope") -> bool:
    """Path, query, headers and the values of cookies; and the origin is an address."""
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    headers = [(name, value.decode("latin-1")) for name, value in scope.get("headers", [])]
    cookies = [pair for name, value in headers if name == b"cookie" for pair in parse_cookie(value).items()]
    texts = [scope["path"], *(part for pair in [*query, *cookies] for part in pair)]
    if not all(is_usable(one) for one in [*texts, *(value for _, value in headers)]):
        return False
    return all(_is_address(value) for name, value in headers if name == b"origin")


def _is_address(origin: str) -> bool:
    try:
        return urlsplit(origin).port != 0
    except ValueError:
        return False
