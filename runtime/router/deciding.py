"""What is done with one request for a name: a pure function of its route and of who is well."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from runtime.contract.domain import Balance, DomainRoute, Upstream

NOTHING_HERE = "Nothing is served under this name here."
NOBODY_THERE = "What is behind this name doesn't run right now."


@dataclass(frozen=True)
class Asked:
    """As the front saw it."""

    scheme: str
    name: str
    uri: str
    """Path and query, as they were sent."""
    client: str
    authorization: str = ""


@dataclass(frozen=True)
class Decision:
    """204 with `to`: it is served by one of these; anything else is the answer itself."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    to: tuple[Upstream, ...] = ()


def decide(
    route: DomainRoute | None,
    asked: Asked,
    *,
    turn: int,
    is_well: Callable[[Upstream], bool],
    may_look: bool,
    tls_port: int | None,
) -> Decision:
    """`turn` counts the requests for this name; `may_look`: user and password were found right.
    `tls_port` None: the front has no TLS."""
    if route is None:
        return page(404, NOTHING_HERE)
    if route.https and asked.scheme == "http" and tls_port is not None:
        port = "" if tls_port == 443 else f":{tls_port}"
        return Decision(308, {"Location": f"https://{asked.name}{port}{asked.uri}"})
    if route.closed:
        return page(503, route.closed)
    if route.users and not may_look:
        realm = {"WWW-Authenticate": 'Basic realm="restricted", charset="UTF-8"', "Cache-Control": "no-store"}
        return page(401, "User name and password are needed.", realm)
    if route.redirect_to:
        to = route.redirect_to
        return Decision(308, {"Location": to[:-1] + asked.uri if to.endswith("/") else to})
    found = _in_turn(route, asked, turn, is_well)
    return Decision(204, to=found) if found else page(503, NOBODY_THERE)


def _in_turn(
    route: DomainRoute, asked: Asked, turn: int, is_well: Callable[[Upstream], bool]
) -> tuple[Upstream, ...]:
    """Those that are well; all of them where none seems to be, since a check may be wrong."""
    every: Sequence[Upstream] = [one for one in route.upstreams if is_well(one)] or route.upstreams
    if not every:
        return ()
    if route.balance is Balance.STICKY:
        return (every[crc32(asked.client.encode()) % len(every)],)
    return tuple(every[(turn + n) % len(every)] for n in range(min(2, len(every))))


def page(status: int, text: str, headers: dict[str, str] | None = None) -> Decision:
    """For whoever came by a browser; nobody keeps it."""
    said = html.escape(text)
    body = f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{said}</title><p>{said}</p></html>\n'
    own = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
    again = {"Retry-After": "10"} if status == 503 else {}
    return Decision(status, {**own, **again, **(headers or {})}, body)
