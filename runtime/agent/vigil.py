"""Keeps an eye on each environment's init and on what keeps its console: a pidfd each (pidfd_open(2)).

An init's end is told by its monitor, as long as that lives; without it this is the only one to see it.
"""

import asyncio
import os
from collections.abc import Callable
from uuid import UUID

from runtime.host.oci import init_pid, monitor_pid
from runtime.node import Node

#: A monitor that ends with its init writes the exit code first; this is how long the file may take.
SETTLE_S = 0.3


class Vigil:
    """Use inside an event loop. `lost` is called with an environment whose monitor or init went and whose
    other one did not say why."""

    def __init__(self, node: Node, lost: Callable[[UUID], None]):
        self._node = node
        self._lost = lost
        self._watched: dict[UUID, dict[int, int]] = {}
        """By environment: pid to pidfd."""

    def look(self, environment_id: UUID) -> None:
        """Watches what runs of it now; a no-op when that is watched already."""
        both = (init_pid(self._node, environment_id), monitor_pid(self._node, environment_id))
        pids = {pid for pid in both if pid is not None}
        watched = self._watched.setdefault(environment_id, {})
        for pid in list(watched):
            if pid not in pids:
                self._drop(environment_id, pid)
        for pid in pids - watched.keys():
            try:
                fd = os.pidfd_open(pid)
            except OSError:
                self._lost(environment_id)
                continue
            watched[pid] = fd
            asyncio.get_running_loop().add_reader(fd, self._ended, environment_id, pid)
        if not watched:
            self._watched.pop(environment_id, None)

    def _ended(self, environment_id: UUID, pid: int) -> None:
        self._drop(environment_id, pid)
        asyncio.get_running_loop().call_later(SETTLE_S, self._lost, environment_id)

    def _drop(self, environment_id: UUID, pid: int) -> None:
        fd = self._watched.get(environment_id, {}).pop(pid, None)
        if fd is not None:
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)

    def close(self) -> None:
        for environment_id, pids in list(self._watched.items()):
            for pid in list(pids):
                self._drop(environment_id, pid)
