"""Who the client is: the address that our front saw, or what a proxy says that the operator named.

The front is the only one on the sockets of web and WebSocket processes, and ends `X-Forwarded-For` with the
address of whoever is connected to it. All before that is hearsay, and counts only where the one who says it is
one of `WADAH_TRUSTED_PROXIES` (`up --proxy`).
"""

import ipaddress
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from django.conf import settings

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Of a chain of proxies; more is nobody's.
_MOST_HOPS = 16


def client_address(meta: Mapping[str, Any]) -> str:
    """From what a WSGI server or Django's ASGI handler knows of a request; empty when nobody can tell."""
    return _told(str(meta.get("REMOTE_ADDR") or ""), str(meta.get("HTTP_X_FORWARDED_FOR") or ""))


def client_of_scope(scope: Mapping[str, Any]) -> str:
    """The same of a WebSocket."""
    peer = (scope.get("client") or ("",))[0]
    lines = [value for name, value in scope.get("headers", ()) if name == b"x-forwarded-for"]
    return _told(str(peer or ""), b",".join(lines).decode("latin-1"))


def block_of(address: str) -> str:
    """What one client can choose addresses from: the address itself, of IPv6 its /64 (RFC 6177)."""
    found = _parsed(address)
    if found is None:
        return "unknown"
    return str(found) if found.version == 4 else str(ipaddress.ip_network((int(found), 64), strict=False))


def is_of_this_machine(address: str) -> bool:
    found = _parsed(address)
    return found is not None and found.is_loopback


def _told(peer: str, forwarded: str) -> str:
    """Goes back from the nearest hop as long as each is one that may speak for others."""
    hops = [peer] if _parsed(peer) is not None else []
    hops = [*forwarded.split(",")[-_MOST_HOPS:], *hops] if forwarded and _speaks(peer) else hops
    said = ""
    for hop in reversed(hops):
        found = _parsed(hop)
        if found is None:
            break
        said = str(found)
        if not _is_proxy(found):
            break
    return said


def _speaks(peer: str) -> bool:
    """A peer without an address is the front, on its socket."""
    found = _parsed(peer)
    return found is None or _is_proxy(found)


def _parsed(text: str) -> _Address | None:
    """Also with a port, as some proxies write it; an IPv4 address in an IPv6 one is that IPv4 address."""
    text = text.strip().strip('"').partition("%")[0]
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _is_proxy(address: _Address) -> bool:
    return any(address in network for network in _networks(settings.WADAH.trusted_proxies))


@cache
def _networks(text: str) -> "tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]":
    return tuple(_network(one) for one in _words(text))


def _network(text: str) -> "ipaddress.IPv4Network | ipaddress.IPv6Network":
    return ipaddress.ip_network(text, strict=False)


def _words(text: str) -> Iterable[str]:
    return (one.strip() for one in text.split(",") if one.strip())
