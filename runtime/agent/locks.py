"""Semaphores by whose they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from runtime.contract.words import advice, agent
from runtime.errors import RuntimeFault

#: The panel lets tenants that hang together ask half as much at once; whoever hangs up and asks again doesn't
#: come beyond this.
MOST_WAITING = 128


class Locks:
    """A semaphore of `most` for each of many; forgotten when nobody uses it. Raises `RuntimeFault`
    (`too_many`) for who already has `MOST_WAITING` that wait."""

    def __init__(self, most: int):
        self._most = most
        self._all: dict[UUID, tuple[asyncio.Semaphore, int]] = {}

    @property
    def are_used(self) -> bool:
        return bool(self._all)

    @asynccontextmanager
    async def of(self, whose: UUID) -> AsyncIterator[None]:
        semaphore, users = self._all.get(whose, (None, 0))
        if users >= self._most + MOST_WAITING:
            waiting = users - self._most
            raise RuntimeFault(agent.too_many_waiting(waiting), code="too_many", next_step=advice.try_later())
        semaphore = semaphore or asyncio.Semaphore(self._most)
        self._all[whose] = semaphore, users + 1
        try:
            async with semaphore:
                yield
        finally:
            users = self._all[whose][1] - 1
            if users:
                self._all[whose] = semaphore, users
            else:
                del self._all[whose]
