"""Which of several environments behind a name is well: asked by the router itself, every two seconds."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress

from runtime.contract.domain import DomainRoute, Upstream
from runtime.router.table import Table

EVERY_S, _WITHIN_S = 2.0, 2.0
#: In a row, before one gets no more requests; a single good one brings it back.
_FAILS = 2
_AT_ONCE = 50
Asked = tuple[Upstream, str, str]
"""Address, path (empty: a connection is enough) and the name to ask for."""


class Checks:
    def __init__(self, table: Table) -> None:
        self._table = table
        self._failed: dict[Upstream, int] = {}

    def is_well(self, one: Upstream) -> bool:
        return self._failed.get(one, 0) < _FAILS

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.once()
            await asyncio.sleep(EVERY_S)

    async def once(self) -> None:
        wanted = list(dict.fromkeys(_asked(self._table.shared())))
        gate = asyncio.Semaphore(_AT_ONCE)

        async def look(one: Asked) -> bool:
            async with gate:
                return await _answers(*one)

        answers = await asyncio.gather(*(look(one) for one in wanted))
        self._failed = dict(self._counted(zip(wanted, answers, strict=True)))

    def _counted(self, seen: Iterable[tuple[Asked, bool]]) -> Iterator[tuple[Upstream, int]]:
        for (upstream, _path, _name), is_well in seen:
            yield upstream, 0 if is_well else self._failed.get(upstream, 0) + 1


def _asked(shared: Iterable[tuple[str, DomainRoute]]) -> Iterator[Asked]:
    """Where there is nobody else to send people to, nothing is asked."""
    for name, route in shared:
        if not route.closed:
            yield from ((one, route.health_path, name) for one in route.upstreams)


async def _answers(upstream: Upstream, path: str, name: str) -> bool:
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(_WITHIN_S):
            reader, writer = await asyncio.open_connection(str(upstream.address), upstream.port, limit=8192)
            if not path:
                return True
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            words = (await reader.readline()).split()
            return len(words) > 1 and words[0].startswith(b"HTTP/") and words[1][:1] in (b"2", b"3")
    except (OSError, TimeoutError, ValueError):
        return False
    finally:
        if writer is not None:
            with suppress(OSError):
                writer.close()
