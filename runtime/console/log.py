"""The log that conmon writes: `<time> stdout F|P <content>` lines (the k8s-file driver).

F: the content was a whole line; P: a part of one, whose newline here is not content.
"""

import re
from contextlib import suppress
from pathlib import Path

#: A record's head: 35 characters of time, the stream, and whether the line is full.
_RECORD = re.compile(rb"[^\n]{35} std(?:out|err) (F|P) ([^\n]*)\n")


def decode(raw: bytes) -> tuple[bytes, int]:
    """What was printed, and how many bytes of `raw` that used: a last record without its end waits."""
    end = raw.rfind(b"\n") + 1
    return _RECORD.sub(lambda m: m[2] + b"\n" if m[1] == b"F" else m[2], raw[:end]), end


def tail(console: Path, lines: int) -> bytes:
    """The last lines of a console, as they were printed; empty when there is none."""
    with suppress(OSError):
        with (console / "log").open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 2**20))
            raw = file.read()
        if size > 2**20:
            raw = raw.partition(b"\n")[2]
        text, _ = decode(raw)
        return b"".join(text.splitlines(keepends=True)[-lines:])
    return b""
