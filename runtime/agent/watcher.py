"""Notices within milliseconds that an environment's init ended, and does what its policy says.

conmon writes a file per ended container; inotify(7) tells. Works without panel, Redis and database.
"""

import ctypes
import os
import select
import struct
import threading
import time
from pathlib import Path
from uuid import UUID

import structlog

from runtime.engine import Engine

log = structlog.get_logger()

_IN_CLOSE_WRITE, _IN_MOVED_TO = 0x8, 0x80
#: How often drift is looked for.
RECONCILE_EVERY_S = 30.0

_libc = ctypes.CDLL(None, use_errno=True)


class Watcher:
    """Threads of the agent; `start` returns at once."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self.exits = engine.node.exits

    def start(self) -> None:
        for work in (self._watch, self._reconcile):
            threading.Thread(target=work, name=work.__name__, daemon=True).start()

    def _watch(self) -> None:
        fd = _libc.inotify_init1(os.O_CLOEXEC)
        if fd < 0 or _libc.inotify_add_watch(fd, os.fsencode(self.exits), _IN_CLOSE_WRITE | _IN_MOVED_TO) < 0:
            log.error("inotify is not to be had; ends are noticed by reconciling only")
            return
        for entry in self.exits.iterdir():
            self._ended(entry.name)
        while True:
            select.select([fd], [], [])
            events = os.read(fd, 65_536)
            at = 0
            while at < len(events):
                length = struct.unpack_from("=I", events, at + 12)[0]
                name = events[at + 16 : at + 16 + length].rstrip(b"\0").decode(errors="replace")
                at += 16 + length
                self._ended(name)

    def _ended(self, name: str) -> None:
        """Container names of environments are their ids; terminals have longer ones and are not ours here."""
        try:
            environment_id = UUID(hex=name)
        except ValueError:
            return
        threading.Thread(target=self._handle, args=(environment_id,), daemon=True).start()

    def _handle(self, environment_id: UUID) -> None:
        file = self.exits / environment_id.hex
        try:
            code = int(Path(file).read_text().strip() or "-1")
        except (OSError, ValueError):
            return
        try:
            delay = self.engine.on_exit(environment_id, code)
            if delay is None:
                return
            time.sleep(delay)
            self.engine.again(environment_id)
        except Exception:
            log.exception("the end of an environment was not handled", environment=str(environment_id))

    def _reconcile(self) -> None:
        while True:
            try:
                for environment_id, why in self.engine.reconcile().items():
                    log.warning("mended", environment=str(environment_id), why=why)
            except Exception:
                log.exception("reconciling failed")
            time.sleep(RECONCILE_EVERY_S)
