"""What a console printed, as a file: as it came, or with its times (asciicast v2, docs.asciinema.org).

Both read the log that conmon writes now (see `log`), up to where it ends when they begin.
"""

import codecs
import json
import os
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from runtime.console.log import HEADER, READ_BYTES, LogFile, decode

#: Length of a record's time.
_TIME = 35
_LONGEST_LINE = 64 * 1024
_LINES_AT_ONCE = 1000
#: Nobody keeps the size that the terminal had; players wrap at this one.
_COLUMNS, _ROWS = 80, 24


def text(directory: Path) -> Iterator[bytes]:
    """The bytes of the terminal, without times. Nothing where there is no log yet."""
    for records in _records(directory):
        yield decode(records)


def cast(directory: Path) -> Iterator[bytes]:
    """A header line, then one line for each piece: seconds since the first, "o", what was printed.

    Bytes that are no UTF-8 become replacement characters. Only the header where there is no log yet.
    """
    utf8 = codecs.getincrementaldecoder("utf-8")("replace")
    first: float | None = None
    for records in _records(directory):
        lines = []
        for record in records.split(b"\n"):
            if len(record) < HEADER:
                continue
            at = datetime.fromisoformat(record[:_TIME].decode("ascii", "replace")).timestamp()
            if first is None:
                first = at
                lines.append(_header(first))
            content = utf8.decode(decode(record))
            lines.append(json.dumps([round(at - first, 6), "o", content]))
        yield "".join(f"{line}\n" for line in lines).encode()
    if first is None:
        yield f"{_header(0)}\n".encode()


def lines(
    directory: Path,
    *,
    stream: str = "",
    since: float = 0.0,
    until: float | None = None,
    words: str = "",
    tail: int | None = None,
) -> Iterator[bytes]:
    """`TIME stdout text`, a line for each: of one stream (empty: both), from a moment on and up to another
    (seconds since the epoch), with these words in it; of what is left the newest `tail`. Of a line that has no
    end some 64 KiB make one.

    Of a terminal both streams are stdout.
    """
    found = _chosen(directory, stream=stream, since=since, until=until, words=words)
    if tail is None:
        for some in found:
            yield b"".join(some)
        return
    last = deque[bytes](maxlen=tail)
    for some in found:
        last.extend(some)
        yield b""  # others have their turn
    while last:
        yield b"".join(last.popleft() for _ in range(min(len(last), _LINES_AT_ONCE)))


def _chosen(
    directory: Path, *, stream: str, since: float, until: float | None, words: str
) -> Iterator[list[bytes]]:
    wanted, begun = words.encode(), {b"stdout": b"", b"stderr": b""}
    for records in _records(directory):
        found = []
        for record in records.split(b"\n"):
            name = record[_TIME + 1 : _TIME + 7]
            if len(record) < HEADER or name not in begun:
                continue
            begun[name] += record[HEADER:]
            if record[HEADER - 2 : HEADER - 1] == b"P" and len(begun[name]) < _LONGEST_LINE:
                continue
            line, begun[name] = begun[name], b""
            if (stream and name != stream.encode()) or wanted not in line:
                continue
            if since or until is not None:
                at = datetime.fromisoformat(record[:_TIME].decode("ascii", "replace")).timestamp()
                if at < since or (until is not None and at > until):
                    continue
            found.append(b"%s %s %s\n" % (record[:_TIME], name, line.rstrip(b"\r")))
        yield found


def _header(at: float) -> str:
    return json.dumps({"version": 2, "width": _COLUMNS, "height": _ROWS, "timestamp": int(at)})


def _records(directory: Path) -> Iterator[bytes]:
    """Whole records in pieces, to where the file ends now."""
    try:
        file = LogFile(os.open(directory / "log", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), 0)
    except FileNotFoundError:
        return
    try:
        end, position = file.size(), 0
        while position < end and (records := file.records(position, READ_BYTES)):
            yield records
            position += len(records)
    finally:
        file.close()
