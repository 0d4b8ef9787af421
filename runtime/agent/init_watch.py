"""Keeps an eye on each environment's init and on what keeps its console: a pidfd each (pidfd_open(2)).

An init's end is told by its monitor, as long as that lives; without it this is the only one to see it.
"""

import asyncio
import os
from collections.abc import Callable
from uuid import UUID

from runtime.host.processes import Identity
from runtime.sandboxes import Sandbox

#: A monitor that ends with its init writes the exit code first; this is how long the file may take.
SETTLE_S = 0.3


class InitWatch:
    """Use inside an event loop. `lost` is called with an environment whose monitor or init went and whose
    other one did not say why."""

    def __init__(self, sandbox: Sandbox, lost: Callable[[UUID], None]):
        self._sandbox = sandbox
        self._lost = lost
        self._watched: dict[UUID, dict[Identity, int]] = {}
        """By environment: process to its pidfd."""

    def look(self, environment_id: UUID) -> None:
        """Watches what runs of it now; a no-op when that is watched already."""
        there = self._sandbox.watched(environment_id)
        watched = self._watched.setdefault(environment_id, {})
        for one in list(watched):
            if one not in there:
                self._drop(environment_id, one)
        for one in there - watched.keys():
            try:
                with one.held() as held:
                    fd = os.dup(held.fileno())
            except OSError:
                self._lost(environment_id)
                continue
            watched[one] = fd
            asyncio.get_running_loop().add_reader(fd, self._ended, environment_id, one)
        if not watched:
            self._watched.pop(environment_id, None)

    def _ended(self, environment_id: UUID, process: Identity) -> None:
        self._drop(environment_id, process)
        asyncio.get_running_loop().call_later(SETTLE_S, self._lost, environment_id)

    def _drop(self, environment_id: UUID, process: Identity) -> None:
        fd = self._watched.get(environment_id, {}).pop(process, None)
        if fd is not None:
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)

    def close(self) -> None:
        for environment_id, watched in list(self._watched.items()):
            for process in list(watched):
                self._drop(environment_id, process)
