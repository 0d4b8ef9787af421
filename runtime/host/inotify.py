"""inotify(7) by ctypes: which names in a directory were made, moved, changed or taken away."""

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

IN_MODIFY = 0x002
IN_CLOSE_WRITE = 0x008
IN_MOVED_TO = 0x080
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_Q_OVERFLOW = 0x4000

_EVENT = struct.Struct("iIII")
_BUFFER_BYTES = 65_536


class Inotify:
    """Watches directories. `fd` is readable when there is something to read; a context manager."""

    def __init__(self) -> None:
        self.fd: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"inotify_init1: {os.strerror(number)}")

    def __enter__(self) -> "Inotify":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def watch(self, directory: Path, mask: int) -> int:
        """Returns the watch's number; watching the same directory again changes its mask."""
        number: int = _libc.inotify_add_watch(self.fd, os.fsencode(directory), ctypes.c_uint32(mask))
        if number < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(directory))
        return number

    def events(self) -> Iterator[tuple[int, int, str]]:
        """What happened since the last call: (watch, mask, name). Never waits."""
        try:
            data = os.read(self.fd, _BUFFER_BYTES)
        except BlockingIOError:
            return
        position = 0
        while position < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, position)
            position += _EVENT.size
            name = data[position : position + length].split(b"\0", 1)[0]
            position += length
            yield watch, mask, os.fsdecode(name)
