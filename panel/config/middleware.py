"""What every request gets: an id in the logs, and headers that no page may lack."""

import secrets
from collections.abc import Callable
from contextlib import suppress

import structlog
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError

from panel.gate.archives import ROUTES
from panel.images.archives import drain

#: Of a body that nobody asked for, thrown away so that its sender hears the answer; the front takes no more.
_DRAINED_BYTES = 2_100_000
_PIECE = 256 * 1024
_PERMISSIONS = "camera=(), microphone=(), geolocation=(), clipboard-read=(self)"


def request_id(given: str) -> str:
    """The front's own when it is a sane one, else a new one."""
    return given if given.isascii() and given.isalnum() and len(given) <= 64 else secrets.token_hex(8)


class RequestMiddleware:
    """Gives the request an id and closes caches to private pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        asked_as = request_id(request.headers.get("X-Request-Id", ""))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=asked_as)
        response = self.get_response(request)
        _drain(request)
        headers = response.headers
        headers["X-Request-Id"] = asked_as
        headers.setdefault("Permissions-Policy", _PERMISSIONS)
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        headers.setdefault("Cache-Control", "no-store")
        return response


def _drain(request: HttpRequest) -> None:
    """A refusal may come before the body was read. Whoever answers and hangs up then is taken by the front for
    one that broke down, and the sender is told 502. Of an archive the front hasn't waited for all."""
    if not request.headers.get("Content-Length"):
        return
    if request.path in ROUTES:
        drain(request.read, most_bytes=_DRAINED_BYTES)
        return
    left = _DRAINED_BYTES
    with suppress(UnreadablePostError):
        while left > 0 and (piece := request.read(min(left, _PIECE))):
            left -= len(piece)
