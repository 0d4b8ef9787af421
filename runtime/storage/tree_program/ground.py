"""What all verbs stand on: names and bounds, refusals, and a path opened part by part."""

import contextlib
import errno
import os
from collections.abc import Iterator

BEFORE, AFTER = "/before", "/after"
#: Of directories within each other; two descriptors are open for each.
DEEPEST = 200
PIECE = 1 << 20
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Of what is gone by now, or is something else.
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)


class Refused(Exception):
    """By a word of `runtime.storage.trees`."""


class TooLong(Exception):
    """The time is over; what was found by then is told."""


@contextlib.contextmanager
def closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def parts_of(path: bytes) -> list[bytes]:
    return [one for one in path.split(b"/") if one not in (b"", b".")]


def directory(top: str, parts: list[bytes]) -> int:
    """A descriptor of a directory below the top: no link is followed."""
    found = os.open(top, DIRECTORY)
    for part in parts:
        with closing(found):
            inner = os.open(part, DIRECTORY, dir_fd=found)
        found = inner
    return found
