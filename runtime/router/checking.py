"""Which of several environments behind a name is well: asked by the router itself, every two seconds.

Each name is asked for by itself, so that those behind one name who never answer hold up no other's.
"""

import asyncio
from contextlib import suppress

from runtime.contract.domain import DomainRoute, Upstream
from runtime.router.table import Table

EVERY_S, _WITHIN_S = 2.0, 2.0
#: In a row, before one gets no more requests; a single good one brings it back.
_FAILS = 2
#: Of all names, and of one.
_AT_ONCE, _OF_ONE_AT_ONCE = 256, 8


class Checks:
    def __init__(self, table: Table) -> None:
        self._table = table
        self._failed: dict[str, dict[Upstream, int]] = {}
        self._gate = asyncio.Semaphore(_AT_ONCE)

    def is_well(self, name: str, one: Upstream) -> bool:
        return self._failed.get(name, {}).get(one, 0) < _FAILS

    async def run(self) -> None:
        """Until it is cancelled."""
        names: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                shared = {name for name, route in self._table.shared() if not route.closed}
                over = {name for name, task in names.items() if name not in shared or task.done()}
                for name in over:  # there is nobody else to send people to
                    names.pop(name).cancel()
                    self._failed.pop(name, None)
                for name in shared - names.keys():
                    names[name] = asyncio.create_task(self._watch(name))
                await asyncio.sleep(EVERY_S)
        finally:
            for one in names.values():
                one.cancel()

    async def _watch(self, name: str) -> None:
        while True:
            route = self._table.find(name)
            if route is not None:
                await self._look(name, route)
            await asyncio.sleep(EVERY_S)

    async def _look(self, name: str, route: DomainRoute) -> None:
        own = asyncio.Semaphore(_OF_ONE_AT_ONCE)

        async def look(one: Upstream) -> tuple[Upstream, bool]:
            async with own, self._gate:
                return one, await _answers(one, route.health_path, name)

        before = self._failed.get(name, {})
        seen = await asyncio.gather(*(look(one) for one in dict.fromkeys(route.upstreams)))
        self._failed[name] = {one: 0 if is_well else before.get(one, 0) + 1 for one, is_well in seen}


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
