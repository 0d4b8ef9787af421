"""Frames: what client, relay and agent say to each other over a stream that somebody else may write to.

A frame is a mark, its kind, the number of a session and a length, and as many bytes. What stands between two
frames is passed over: a serial line inside is open to root inside.
"""

import json
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

_HEADER = struct.Struct(">2sBII")
_MARK = b"\xf5W"
#: Of one frame: a command may have 128 KiB of words and as much of variables, which JSON makes longer.
LONGEST = 2**20
#: Bytes on their way: to the guest, whose terminal driver holds 4 KiB; and from it, into the buffer of a
#: socket.
TO_GUEST, FROM_GUEST = 2048, 32 * 1024
#: Of output, so that no session keeps another waiting for long on a line that all share.
PIECE = 2048


class Kind(IntEnum):
    HELLO = 1
    """The agent is there. What was said before it is lost: all sessions have ended."""
    START = 2
    """A command, as JSON: see `agent`."""
    INPUT = 3
    """For its standard input; an empty one ends it."""
    SIZE = 4
    """Of its terminal: columns and rows, as JSON."""
    DROP = 5
    """Nobody listens any more: it is ended."""
    OUTPUT = 6
    ERROR = 7
    EXIT = 8
    """Its exit code, as JSON; nothing comes after it."""
    HALT = 9
    """The guest shuts down."""


def frame(kind: Kind, session: int, payload: bytes = b"") -> bytes:
    return _HEADER.pack(_MARK, kind, session, len(payload)) + payload


def document(kind: Kind, session: int, value: Any) -> bytes:
    return frame(kind, session, json.dumps(value).encode())


class Reader:
    """Takes frames out of what a stream brings, in whatever pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Kind, int, bytes]]:
        self._buffer += data
        while True:
            start = self._buffer.find(_MARK)
            if start < 0:
                del self._buffer[: max(0, len(self._buffer) - 1)]
                return
            del self._buffer[:start]
            if len(self._buffer) < _HEADER.size:
                return
            _, kind, session, length = _HEADER.unpack_from(self._buffer)
            if length > LONGEST or kind not in Kind.__members__.values():
                del self._buffer[: len(_MARK)]
                continue
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield Kind(kind), session, payload


class Line:
    """Frames on a serial line of the guest, in segments: each end sends no more than the other has room for,
    and the other says how much it took. What the guest's driver has no room for would stop it for good.

    Whoever has such a line asks it what to write (`piece`), tells how much of that was written (`wrote`), and
    feeds it what came.
    """

    _SEGMENT = struct.Struct(">2sBH")
    _DATA, _TAKEN = 1, 2
    _LONGEST = 1024

    def __init__(self, window: int):
        self._window = window
        self._out, self._segment = bytearray(), bytearray()
        self._on_its_way = self._taken = 0
        self._in, self._reader = bytearray(), Reader()

    def queue(self, data: bytes) -> None:
        self._out += data

    @property
    def waiting(self) -> int:
        return len(self._out)

    def piece(self) -> bytes:
        """To be written next; empty when nothing may be written now."""
        if not self._segment:
            if self._taken:
                self._segment += self._pack(self._TAKEN, struct.pack(">I", self._taken))
                self._taken = 0
            room = min(self._window - self._on_its_way, self._LONGEST, len(self._out))
            if room > 0:
                self._segment += self._pack(self._DATA, bytes(self._out[:room]))
                self._on_its_way += room
                del self._out[:room]
        return bytes(self._segment)

    def _pack(self, kind: int, payload: bytes) -> bytes:
        return self._SEGMENT.pack(_MARK, kind, len(payload)) + payload

    def wrote(self, count: int) -> None:
        del self._segment[:count]

    def feed(self, data: bytes) -> Iterator[tuple[Kind, int, bytes]]:
        """The frames that are whole with it."""
        self._in += data
        while (segment := self._next_segment()) is not None:
            kind, payload = segment
            if kind == self._TAKEN:
                self._on_its_way = max(0, self._on_its_way - struct.unpack(">I", payload)[0])
            else:
                self._taken += len(payload)
                yield from self._reader.feed(payload)

    def _next_segment(self) -> tuple[int, bytes] | None:
        while True:
            start = self._in.find(_MARK)
            if start < 0:
                del self._in[: max(0, len(self._in) - 1)]
                return None
            del self._in[:start]
            if len(self._in) < self._SEGMENT.size:
                return None
            _, kind, length = self._SEGMENT.unpack_from(self._in)
            if length > self._LONGEST or (kind, length) not in {(self._DATA, length), (self._TAKEN, 4)}:
                del self._in[: len(_MARK)]
                continue
            end = self._SEGMENT.size + length
            if len(self._in) < end:
                return None
            payload = bytes(self._in[self._SEGMENT.size : end])
            del self._in[:end]
            return kind, payload
