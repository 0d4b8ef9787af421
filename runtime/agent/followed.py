"""The lines of a console from its log, and those that come, for as long as somebody reads them."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from runtime.shipping.reading import Line, Reader

#: One who reads longer asks again: whether he still may is seen then.
FOLLOWED_S: Final = 600.0
_LOOK_S: Final = 0.4
#: Lines that are kept while those before the newest are counted off.
_AT_ONCE: Final = 1000


def lines(
    directory: Path,
    *,
    stream: str = "",
    since: float = 0.0,
    until: float | None = None,
    words: str = "",
    tail: int | None = None,
) -> Iterator[bytes]:
    """As `runtime.console.recording.lines`, and then what comes: an empty piece each time that nothing did.
    Ends when the console is gone, and where `until` has passed."""
    reader, wanted = Reader(directory), words.encode()

    def some() -> list[bytes]:
        found, place = reader.read()
        reader.take(place)
        return [
            b"%s %s %s\n" % (one.at.encode(), one.stream.encode(), one.text)
            for one in found
            if (not stream or one.stream == stream) and wanted in one.text and _is_within(one, since, until)
        ]

    try:
        if tail is not None:
            last = deque[bytes](maxlen=tail)
            place: tuple[int, str] | None = None
            while reader.has_more() and place != _place(reader):
                place = _place(reader)
                last.extend(some())
            while last:
                yield b"".join(last.popleft() for _ in range(min(len(last), _AT_ONCE)))
        while directory.exists():
            place = _place(reader)
            if reader.has_more() and (found := some()):
                yield b"".join(found)
            elif _place(reader) == place:
                if until is not None and time.time() > until:
                    return
                yield b""
    finally:
        reader.close()


def _place(reader: Reader) -> tuple[int, str]:
    return reader.position, reader.identity


def _is_within(line: Line, since: float, until: float | None) -> bool:
    if not since and until is None:
        return True
    with suppress(ValueError):
        at = datetime.fromisoformat(line.at).timestamp()
        return since <= at and (until is None or at <= until)
    return False


async def paced(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What comes, looked for now and then while nothing does; for ten minutes at most."""
    end = time.monotonic() + FOLLOWED_S
    async for piece in pieces:
        if piece:
            yield piece
        elif time.monotonic() > end:
            return
        else:
            await asyncio.sleep(_LOOK_S)
