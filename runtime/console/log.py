"""Reads the log that conmon writes: the one source of a console's live view, scrollback and replay.

A record is `<35 characters of time> stdout F|P <content>\\n`: after F (full) the newline belongs to the
content, after P (partial) it doesn't. (Kubernetes CRI logging; conmon's src/ctr_logging.c.) An offset counts
bytes of content since the console's first one. When the log has reached its size, conmon moves a new file over
it; the offset at which the present file begins is kept beside it in `index`.
"""

import json
import os
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

HEADER = 45
_FULL = ord("F")
#: Read at once from the file.
READ_BYTES = 256 * 1024
#: A place to begin decoding from is remembered for each so many bytes of the file.
_CHECKPOINT_BYTES = 128 * 1024
#: Added to the offset when files were lost and nobody knows how much they held: more than any file holds.
_LOST_FILE = 64 * 2**20
#: conmon reads and writes at most 8 KiB at once; a "record" longer than this is no record.
_LONGEST_RECORD = 1 << 20


def decode(records: bytes) -> bytes:
    """Content of whole records."""
    return b"".join(
        [line[HEADER:] + b"\n" if line[43] == _FULL else line[HEADER:] for line in records.split(b"\n") if line]
    )


@dataclass
class LogFile:
    """One file of the log, open; stays readable after conmon moved another over it."""

    fd: int
    base: int
    """Offset of its first content byte."""
    position: int = 0
    """Up to here the file has been looked at (always between records)."""
    end: int = 0
    """Offset that belongs to `position`."""
    checkpoints: list[tuple[int, int]] = field(default_factory=list)
    """(offset, position) pairs, ascending."""

    def __post_init__(self) -> None:
        self.end = self.base
        self.checkpoints.append((self.base, 0))

    @property
    def inode(self) -> int:
        return os.fstat(self.fd).st_ino

    def identity(self) -> str:
        """Inode and time of the first record: inode numbers are used again, both together aren't.
        Empty while the file is."""
        first = os.pread(self.fd, 35, 0)
        return f"{self.inode}:{first.decode(errors='replace')}" if len(first) == 35 else ""

    def size(self) -> int:
        return os.fstat(self.fd).st_size

    def read(self, most: int = READ_BYTES) -> bytes:
        """Content that came since the last read; empty when there is none (yet)."""
        records = self.records(self.position, most)
        if not records:
            return b""
        content = decode(records)
        self.position += len(records)
        self.end += len(content)
        if self.position - self.checkpoints[-1][1] >= _CHECKPOINT_BYTES:
            self.checkpoints.append((self.end, self.position))
        return content

    def records(self, position: int, most: int) -> bytes:
        """Whole records from a place between records on; empty when the next one isn't whole yet."""
        while True:
            data = os.pread(self.fd, most, position)
            whole = data[: data.rfind(b"\n") + 1]
            if whole or len(data) < most or most > _LONGEST_RECORD:
                return whole
            most *= 4

    def content_at(self, offset: int, most: int = READ_BYTES) -> bytes:
        """Content from `offset` on, which lies between `base` and `end`; a piece, not all of it."""
        start, position = self.checkpoints[bisect_right(self.checkpoints, (offset, 1 << 62)) - 1]
        while True:
            records = self.records(position, min(most, self.position - position))
            if not records:
                return b""
            content = decode(records)
            position += len(records)
            if start + len(content) > offset:
                return content[offset - start :]
            start += len(content)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class ConsoleLog:
    """Follows a console's log over its changes of file. Not for several threads."""

    def __init__(self, directory: Path, *, keeps_index: bool = True):
        """`keeps_index` is for the one process that hands out offsets: the agent."""
        self.directory = directory
        self._keeps_index = keeps_index
        self.previous: LogFile | None = None
        self.current: LogFile | None = None
        self._next: list[LogFile] = []
        """Files that came after the current one and wait for it to be read to its end."""
        self._missed = 0
        self.files_seen = 0
        """How many new files were noticed after the first."""
        self._recorded = ""

    # offsets ---------------------------------------------------------------------------------

    @property
    def begin(self) -> int:
        """First offset that can still be read."""
        if self.previous is not None:
            return self.previous.base
        return self.current.base if self.current else 0

    @property
    def end(self) -> int:
        """Offset after the last byte that was read."""
        return self.current.end if self.current else 0

    # following -------------------------------------------------------------------------------

    def open(self) -> bool:
        """Opens the log where there is one; True when it is open."""
        if self.current is not None:
            return True
        fd = self._open_fd()
        if fd is None:
            return False
        file = LogFile(fd, 0)
        base = self._recorded_base(file)
        self.current = LogFile(fd, base)
        return True

    def _open_fd(self) -> int | None:
        try:
            return os.open(self.directory / "log", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None

    def read(self, most: int = READ_BYTES) -> bytes:
        """The next content, in order, over a change of file; empty: nothing new now."""
        if not self.open() or self.current is None:
            return b""
        content = self.current.read(most)
        if content:
            if not self._recorded:
                self._record()
            return content
        if not self._next:
            self.look()
        if not self._next:
            return b""
        content = self.current.read(most)  # conmon wrote to it up to the very moment of its replacement
        return content or self._step()

    def look(self) -> None:
        """Sees whether conmon moved a new file over the log. To be called at each such event; calling
        it more often does no harm."""
        fd = self._open_fd()
        if fd is None:
            return
        newest = self._next[-1] if self._next else self.current
        if newest is not None and os.fstat(fd).st_ino == newest.inode:
            os.close(fd)
            return
        self._next.append(LogFile(fd, 0))
        self.files_seen += 1

    def missed(self, files: int) -> None:
        """Says that files came and went unseen: what follows begins behind a gap."""
        self._missed += files
        self.files_seen += files

    def _step(self) -> bytes:
        """Goes on to the next file."""
        assert self.current is not None
        if self.previous is not None:
            self.previous.close()
        self.previous = self.current
        coming = self._next.pop(0)
        base = self.previous.end
        if self._missed:
            base += self._missed * _LOST_FILE
            self._missed = 0
        self.current = LogFile(coming.fd, base)
        self._recorded = ""
        content = self.current.read()
        if content:
            self._record()
        return content

    def content_at(self, offset: int) -> tuple[int, bytes]:
        """Content from the first readable offset at or after `offset`: (its offset, a piece of content).

        The piece is empty at the end. An offset greater than asked for means a gap.
        """
        for file in (self.previous, self.current):
            if file is not None and offset < file.end:
                start = max(offset, file.base)
                return start, file.content_at(start)
        return self.end, b""

    # the file beside it ----------------------------------------------------------------------

    def _recorded_base(self, file: LogFile) -> int:
        """Where the present file begins. Bytes lost unseen make a jump, so that no offset is used twice."""
        identity = file.identity()
        try:
            known = json.loads((self.directory / "index").read_text())
            if known["file"] == identity:
                self._recorded = identity
                return int(known["base"])
            return int(known["base"]) + _LOST_FILE
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _record(self) -> None:
        assert self.current is not None
        identity = self.current.identity()
        if not identity or not self._keeps_index:
            return
        temporary = self.directory / f"index.{os.getpid()}.new"
        with suppress(OSError):  # the console's directory may be going away
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "w") as file:
                json.dump({"file": identity, "base": self.current.base}, file)
            temporary.rename(self.directory / "index")
        self._recorded = identity

    def close(self) -> None:
        for file in (self.previous, self.current, *self._next):
            if file is not None:
                file.close()
        self.previous = self.current = None
        self._next.clear()


def tail(directory: Path, lines: int) -> bytes:
    """The last lines of a console; empty when it has no log yet."""
    if lines <= 0:
        return b""
    log = ConsoleLog(directory, keeps_index=False)
    try:
        if not log.open():
            return b""
        kept = b""
        while content := log.read(1 << 20):
            kept = b"\n".join((kept + content).split(b"\n")[-(lines + 1) :])
        return b"".join(kept.splitlines(keepends=True)[-lines:])
    finally:
        log.close()
