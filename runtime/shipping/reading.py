"""The lines of a console's log from a place on, over a change of its file.

Reads what conmon writes, see `runtime.console.log`. A place is always between whole lines of both streams, so
that what was taken is never read twice and nothing between is left out.
"""

import os
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from runtime.console.log import HEADER, LogFile

_TIME = 35
#: Of a line without an end so much makes one.
LONGEST_LINE = 64 * 1024
#: Read at once.
MOST_BYTES = 256 * 1024
#: What was begun, and has no end for so long, is a line: a prompt, a counter of dots.
_BEGUN_S = 1.0


@dataclass(frozen=True)
class Line:
    at: str
    """RFC 3339 with nanoseconds, 35 characters."""
    stream: str
    """`stdout` or `stderr`."""
    text: bytes
    """Without the newline."""


@dataclass
class Reader:
    """One console's. Not for several threads."""

    directory: Path
    identity: str = ""
    """Of the file that was read last (`LogFile.identity`); empty: none yet."""
    position: int = 0
    """Up to where it was taken."""
    lost_bytes: int = 0
    """Of files that went before they were read to their end."""
    _file: LogFile | None = field(default=None, repr=False)

    def has_more(self) -> bool:
        """Whether a look is worth it: cheap, one call of the kernel. What can't be told is looked at."""
        try:
            now = (self.directory / "log").lstat()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        if self._file is None:
            return now.st_size > 0
        return now.st_ino != self._file.inode or now.st_size > self.position

    def read(self) -> tuple[list[Line], int]:
        """The next lines and the place behind them, for `take`; no lines: nothing new that is whole."""
        if not self._open():
            return [], self.position
        assert self._file is not None
        lines, end = _lines(self._file, self.position)
        if not lines and self._is_replaced():
            self._leave()
            return self.read()
        return lines, end

    def take(self, position: int) -> None:
        """What `read` gave was taken."""
        self.position = position

    def let_go(self) -> None:
        """Of a file that another was moved over: it would keep its room on the disk. What wasn't read of it is
        lost, and counted. A no-op while it is the newest."""
        if self._file is not None and self._is_replaced():
            self._leave()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> bool:
        if self._file is not None:
            return True
        try:
            fd = os.open(self.directory / "log", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        self._file = LogFile(fd, 0)
        identity = self._file.identity()
        if identity != self.identity:
            self.identity, self.position = identity, 0
        return True

    def _is_replaced(self) -> bool:
        assert self._file is not None
        try:
            return (self.directory / "log").lstat().st_ino != self._file.inode
        except FileNotFoundError:
            return False

    def _leave(self) -> None:
        assert self._file is not None
        self.lost_bytes += max(0, self._file.size() - self.position)
        self.close()
        self._open()


def _lines(file: LogFile, position: int) -> tuple[list[Line], int]:
    found: list[Line] = []
    whole, clean = 0, position
    begun: dict[str, tuple[str, bytes]] = {}
    records = file.records(position, MOST_BYTES)
    last = ""
    for record in records.splitlines(keepends=True):
        position += len(record)
        if len(record) <= HEADER:
            continue
        last, _, stream = record[: _TIME + 7].decode("ascii", "replace").partition(" ")
        at, text = begun.pop(stream, (last, b""))
        text += record[HEADER:-1]
        if record[HEADER - 2 : HEADER - 1] == b"P" and len(text) < LONGEST_LINE:
            begun[stream] = (at, text)
            continue
        found.append(Line(at, stream, text.rstrip(b"\r")))
        if not begun:
            whole, clean = len(found), position
    if begun and (len(records) >= MOST_BYTES or _is_old(last)):
        found += [Line(at, stream, text.rstrip(b"\r")) for stream, (at, text) in begun.items()]
        return found, position
    return (found, position) if not begun else (found[:whole], clean)


def _is_old(at: str) -> bool:
    try:
        age = time.time() - datetime.fromisoformat(at).timestamp()
    except ValueError:
        return True
    return not 0 <= age < _BEGUN_S
