"""All streams that somebody watches now, and how many may watch."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from runtime.agent.stream import Stream
from runtime.contract.words import advice, agent
from runtime.errors import RuntimeFault
from runtime.node import Node

SOCKETS_PER_ENVIRONMENT = 64
SOCKETS = 2000

Key = tuple[UUID, str | None]


class TooMany(RuntimeFault):
    code = "too_many"


class Streams:
    """By environment and terminal name; None stands for the environment's own console."""

    def __init__(self, node: Node):
        self._node = node
        self._streams: dict[Key, Stream] = {}
        self._sockets: dict[UUID, int] = {}

    @property
    def viewers(self) -> int:
        return sum(self._sockets.values())

    def viewers_of(self, environment_id: UUID, name: str | None) -> int:
        stream = self._streams.get((environment_id, name))
        return len(stream.viewers) if stream else 0

    def check_room(self, environment_id: UUID) -> None:
        if self._sockets.get(environment_id, 0) >= SOCKETS_PER_ENVIRONMENT or self.viewers >= SOCKETS:
            raise TooMany(agent.too_many_consoles(), next_step=advice.close_some())

    @asynccontextmanager
    async def watching(
        self, environment_id: UUID, name: str | None, directory: Path, bundle: Path
    ) -> AsyncIterator[Stream]:
        """The stream of that directory, for as long as somebody needs it."""
        key = (environment_id, name)
        stream = self._streams.get(key)
        if stream is None or stream.closed or stream.replaced:
            if stream is not None:
                stream.close()
            stream = Stream(directory, bundle, lambda ended: self._forget(key, ended))
            self._streams[key] = stream
        self._sockets[environment_id] = self._sockets.get(environment_id, 0) + 1
        try:
            yield stream
        finally:
            left = self._sockets[environment_id] - 1
            if left:
                self._sockets[environment_id] = left
            else:
                del self._sockets[environment_id]

    def _forget(self, key: Key, ended: Stream) -> None:
        if self._streams.get(key) is ended:
            del self._streams[key]

    async def close(self) -> None:
        for stream in list(self._streams.values()):
            stream.close()
        await asyncio.sleep(0)
