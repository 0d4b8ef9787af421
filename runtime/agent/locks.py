"""Semaphores by whose they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID


class Locks:
    """A semaphore of `most` for each of many; forgotten when nobody uses it."""

    def __init__(self, most: int):
        self._most = most
        self._all: dict[UUID, tuple[asyncio.Semaphore, int]] = {}

    @property
    def are_used(self) -> bool:
        return bool(self._all)

    @asynccontextmanager
    async def of(self, whose: UUID) -> AsyncIterator[None]:
        semaphore, users = self._all.get(whose, (None, 0))
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
