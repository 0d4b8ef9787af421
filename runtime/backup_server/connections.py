"""Who holds the connections of the server of backups: strangers a few for a short while, each node its share.

An environment reaches the port as any of the host's, and a node that was taken over has passes. Neither may
hold what the others' backups need.
"""

import asyncio
import ssl
from collections import Counter
from typing import Any

import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: For a handshake, and for a request with a good pass after it.
PROVE_S = 20.0
#: Connections that showed no pass yet, of all together, and those of one node that showed one. restic has five.
MOST_UNPROVED, MOST_OF_ONE = 128, 64


class Connections:
    """Those that are open now."""

    def __init__(self) -> None:
        self._unproved = dict[Any, Connection]()
        """By the other end's address and port, the oldest first."""
        self._of = dict[Any, str]()
        """The node that showed a pass, by the same."""

    def opened(self, one: "Connection") -> None:
        """Where strangers have all that they may, the oldest goes of who has most."""
        self._unproved[one.client] = one
        if len(self._unproved) > MOST_UNPROVED:
            most = Counter(_address(client) for client in self._unproved).most_common(1)[0][0]
            next(other for client, other in self._unproved.items() if _address(client) == most).end()

    def proved(self, client: Any, asker: str) -> bool:
        """Whether this node may have one more; True for one that it has already."""
        if self._of.get(client) == asker:
            return True
        if sum(one == asker for one in self._of.values()) >= MOST_OF_ONE:
            return False
        if self._unproved.pop(client, None) is not None or client in self._of:
            self._of[client] = asker
        return True

    def is_unproved(self, one: "Connection") -> bool:
        return self._unproved.get(one.client) is one

    def closed(self, one: "Connection") -> None:
        self._unproved.pop(one.client, None)
        self._of.pop(one.client, None)


def _address(client: Any) -> str:
    return client[0] if client else ""


class Connection(HttpToolsProtocol):
    """Ended where it shows no good pass in time, or begins a request and doesn't end its head."""

    held: Connections
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(PROVE_S, self._late)
        self.held.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.held.closed(self)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._timer is None:
            self._timer = self.loop.call_later(PROVE_S, self.end)

    def on_headers_complete(self) -> None:
        if self._timer is not None and not self.held.is_unproved(self):
            self._timer.cancel()
            self._timer = None
        super().on_headers_complete()

    def _late(self) -> None:
        self._timer = None
        if self.held.is_unproved(self):
            self.end()

    def end(self) -> None:
        self.held.closed(self)
        self.transport.abort()


def protocol_of(connections: Connections) -> type[Connection]:
    return type("HeldConnection", (Connection,), {"held": connections})


#: As uvicorn asks for it.
LOOP = f"{__name__}:Loop"


class Loop(uvloop.Loop):
    """Has no patience with handshakes: asyncio's own is a minute."""

    async def create_server(self, *args: Any, **more: Any) -> Any:
        if isinstance(more.get("ssl"), ssl.SSLContext):
            more["ssl_handshake_timeout"] = PROVE_S
        return await super().create_server(*args, **more)
