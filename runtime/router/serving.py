"""The router's own HTTP: short requests of the front alone, over a socket that only it may open.

It speaks no more of HTTP/1.1 than the front sends: a GET without a body, one after another on a connection.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, urlsplit

from runtime.contract.domain import DomainRoute, Upstream
from runtime.held import HELD_S
from runtime.router.deciding import Asked, Decision, decide, page
from runtime.router.passwords import Passwords, TooManyGuesses
from runtime.router.table import Table, name_of

#: So many requests wait for what is being replaced, of one name and of all.
MOST_HELD, MOST_HELD_OF_ALL = 2000, 8000
_LOOK_S = 0.05
#: The front itself takes 32 KB of headers.
_MOST_BYTES = 96 * 1024
_REASONS = {200: "OK", 204: "Serve", 308: "Elsewhere", 401: "Who", 404: "Nothing", 429: "Wait", 503: "Closed"}


class Router:
    def __init__(self, table: Table, is_well: Callable[[str, Upstream], bool], tls_port: int | None) -> None:
        self.table = table
        self._is_well = is_well
        self._tls_port = tls_port
        self._passwords = Passwords()
        self._turns: dict[str, int] = {}
        self._held: Counter[str] = Counter()

    def protocol(self) -> "_Connection":
        return _Connection(self)

    async def answer(self, target: str, headers: Mapping[str, str]) -> Decision:
        if target.startswith("/ask?"):
            return self._certificate(parse_qs(urlsplit(target).query).get("domain", [""])[0])
        asked = Asked(
            scheme=headers.get("x-wadah-scheme", ""),
            name=name_of(headers.get("host", "")),
            uri=_path(headers.get("x-wadah-uri", "")),
            client=headers.get("x-wadah-client", ""),
            authorization=headers.get("authorization", ""),
        )
        return await self._decided(asked)

    def _certificate(self, domain: str) -> Decision:
        """Whether the front may get one for this name: 200 or 404."""
        return Decision(200 if self.table.find(name_of(domain)) is not None else 404)

    async def _decided(self, asked: Asked) -> Decision:
        route = self.table.find(asked.name)
        if route is not None and route.is_held:
            route = await self._once_there(asked.name)
        may_look = True
        if route is not None and route.users:
            try:
                may_look = await self._passwords.are_right(route.users, asked.authorization)
            except TooManyGuesses:
                return page(429, "Too many passwords are being tried.", {"Retry-After": "2"})
        turn = 0
        if route is not None:
            turn = self._turns[asked.name] = self._turns.get(asked.name, -1) + 1
        return decide(
            route,
            asked,
            turn=turn,
            is_well=lambda one: self._is_well(asked.name, one),
            may_look=may_look,
            tls_port=self._tls_port,
        )

    async def _once_there(self, name: str) -> DomainRoute | None:
        """The route when something is behind it again; as it is after so long, or where too many wait."""
        if self._held[name] >= MOST_HELD or self._held.total() >= MOST_HELD_OF_ALL:
            return self.table.find(name)
        self._held[name] += 1
        try:
            until = asyncio.get_running_loop().time() + HELD_S
            while True:
                route = self.table.find(name)
                if route is None or not route.is_held or asyncio.get_running_loop().time() > until:
                    return route
                await asyncio.sleep(_LOOK_S)
        finally:
            self._held[name] -= 1
            if not self._held[name]:
                del self._held[name]


class _Connection(asyncio.Protocol):
    def __init__(self, router: Router) -> None:
        self._router = router
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > _MOST_BYTES and self._transport is not None:
            self._transport.close()
        elif self._task is None and b"\r\n\r\n" in self._buffer:
            self._task = asyncio.ensure_future(self._go_on())

    async def _go_on(self) -> None:
        """One after another, as they came."""
        try:
            while self._transport is not None and b"\r\n\r\n" in self._buffer:
                head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
                target, headers = _read(head)
                decision = await self._router.answer(target, headers)
                if self._transport is not None:
                    self._transport.write(_written(decision))
        finally:
            self._task = None


def _read(head: bytes) -> tuple[str, dict[str, str]]:
    """Target and headers of a request; of a header that is there twice the last one."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return words[1] if len(words) > 1 else "/", headers


def _path(uri: str) -> str:
    """What may stand behind a name in a `Location`."""
    return uri if uri.startswith("/") else "/"


def _written(decision: Decision) -> bytes:
    body = decision.body.encode()
    headers = {**decision.headers, **_told(decision.to)}
    if decision.status != 204:
        headers["Content-Length"] = str(len(body))
    lines = [f"HTTP/1.1 {decision.status} {_REASONS.get(decision.status, 'Answer')}"]
    lines += [f"{name}: {_one_line(value)}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def _one_line(value: str) -> str:
    return value.replace("\r", "").replace("\n", "")


def _told(upstreams: tuple[Upstream, ...]) -> dict[str, str]:
    """The front tries the second where the first takes no connection."""
    if not upstreams:
        return {}
    texts = [f"[{one.address}]:{one.port}" if one.address.version == 6 else f"{one.address}:{one.port}"
             for one in upstreams]  # fmt: skip
    return {"X-Wadah-First": texts[0], "X-Wadah-Second": texts[-1]}
