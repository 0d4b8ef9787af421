"""What every request gets: an id in the logs, and headers that no page may lack."""

import secrets
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

_PERMISSIONS = "camera=(), microphone=(), geolocation=(), clipboard-read=(self)"


class RequestMiddleware:
    """Gives the request an id (or keeps a sane one from the front) and closes caches to private pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if given.isalnum() and len(given) <= 64 else secrets.token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request_id)
        response = self.get_response(request)
        headers = response.headers
        headers["X-Request-Id"] = request_id
        headers.setdefault("Permissions-Policy", _PERMISSIONS)
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        headers.setdefault("Cache-Control", "no-store")
        return response
