"""The panel's daily backup (`./wadah backup panel --daily`), begun when its time has come.

The agent runs as root wherever there is a node, under whatever supervision: so it is the one who looks at the
clock. What is due runs in a process of its own, that outlives the agent.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from runtime.host.logfile import keep_small
from runtime.node import Node

log = structlog.get_logger()

LOOK_EVERY_S = 30.0
_DAY_S, _MINUTE_S = 86_400, 60


@dataclass
class PanelClock:
    node: Node
    _running: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def look(self) -> None:
        """A no-op where none is scheduled, none is due, or one is at work."""
        minute = self._minute()
        is_at_work = self._running is not None and self._running.poll() is None
        if minute is None or is_at_work or not self._is_due(minute, time.time()):
            return
        self._note(time.time())  # before it: one that fails is tried again tomorrow, not each half minute
        self._running = self._begin()

    def _minute(self) -> int | None:
        try:
            return int(json.loads((self.node.home / "etc" / "panel-backup.json").read_text())["minute"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            log.warning("the schedule of the panel's backup can't be read")
            return None

    @property
    def _noted(self) -> Path:
        return self.node.root / "panel-backup.day"

    def _is_due(self, minute: int, now: float) -> bool:
        """Not yet begun since its last time of the day (UTC). What was missed is made up for once; a clock that
        was set back makes none twice."""
        last_time = (now - minute * _MINUTE_S) // _DAY_S
        try:
            begun = int(self._noted.read_text())
        except (OSError, ValueError):
            self._note(now)  # one was made as it was scheduled
            return False
        return begun < int(last_time * _DAY_S + minute * _MINUTE_S)

    def _note(self, now: float) -> None:
        self._noted.write_text(str(int(now)))

    def _begin(self) -> "subprocess.Popen[bytes]":
        file = self.node.home / "log" / "panel-backup.log"
        keep_small(file)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        words = [sys.executable, "-m", "runtime.install", "backup", "--home", str(self.node.home)]
        with os.fdopen(os.open(file, flags, 0o640), "ab") as out:
            return subprocess.Popen(
                [*words, "panel", "--scheduled"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=Path(__file__).parent.parent.parent,
                start_new_session=True,
            )
