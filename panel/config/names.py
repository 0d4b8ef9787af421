"""What the panel is called: names that it answers to, and pages whose scripts may speak to it.

Whoever points a name of his own at the panel's address (DNS rebinding) has pages of that name which browsers
take for the panel's; so a name is known or it is refused.
"""

import re
import socket
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.template.loader import get_template
from django.utils.translation import gettext as _

from panel.http.problem import problem

#: For those that look whether it lives: they ask by address, and are told nothing of anybody.
_FOR_SUPERVISORS = frozenset({"/healthz", "/readyz"})
#: What can be shown of a name that somebody asked for.
_SHOWN = re.compile(r"^[A-Za-z0-9.:_\[\]-]{1,255}$")


def is_known(host: str) -> bool:
    """Whether it is one of the panel's names, on any port."""
    domain, _port = split_domain_port(host)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def is_ours(origin: str, hosts: Iterable[str], scheme: str) -> bool:
    """Whether a page of that origin may open a socket: it is at the panel's own address, or came from the very
    name, port and scheme that the socket is asked from, of the names that are known."""
    try:
        ours, said = _origin(settings.WADAH.url), _origin(origin)
        asked = [_origin(f"{scheme}://{host}") for host in hosts]
    except ValueError:
        return False
    if len(asked) != 1 or not said[1]:
        return False
    return said == ours or (said == asked[0] and is_known(next(iter(hosts))))


def _origin(text: str) -> tuple[str, str, int | None]:
    """Scheme, host and port, each said (RFC 6454). Raises `ValueError` for a port that can't be."""
    parts = urlsplit(text)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or usual


class KnownNames:
    """Answers 421 (RFC 9110, 15.5.20) to a name that isn't the panel's, with what would be right."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            request.get_host()
        except DisallowedHost:
            if request.path not in _FOR_SUPERVISORS:
                return _misdirected(request)
            request.META["HTTP_HOST"] = urlsplit(settings.WADAH.url).netloc
        return self.get_response(request)


def _misdirected(request: HttpRequest) -> HttpResponse:
    told = request.headers.get("Host", "")
    context = {
        "asked": told if _SHOWN.match(told) else "",
        "url": settings.WADAH.url.rstrip("/"),
        "tunnel": _tunnel(),
        "option": f"./wadah up --name {_option(told)}",
    }
    if request.path.startswith("/api/") or "html" not in request.headers.get("Accept", "html"):
        detail = _("The panel isn't known by this name. Its address is %(url)s.") % context
        next_step = _("An administrator can let it answer to this name too: %(option)s") % context
        return problem(421, "unknown_name", detail, next_step=next_step)
    answer = HttpResponse(get_template("421.html").render(context), status=421)
    answer["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self' data:"
    )
    return answer


def _option(told: str) -> str:
    """The name without its port, where it is one."""
    domain, _port = split_domain_port(told)
    return domain if domain and _SHOWN.match(domain) else "NAME"


def _tunnel() -> str:
    """The command that brings a panel on loopback to another machine; empty where it has a public address."""
    parts = urlsplit(settings.WADAH.url)
    if parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        return ""
    port = parts.port or 80
    return f"ssh -N -L {port}:127.0.0.1:{port} {socket.gethostname()}"


def headers_of(scope: Any, name: bytes) -> list[str]:
    """All values of one header of a WebSocket's handshake."""
    return [value.decode("latin-1") for key, value in scope.get("headers", ()) if key == name]
