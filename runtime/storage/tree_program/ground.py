"""What all verbs stand on: names and bounds, refusals, and a path opened part by part."""

import contextlib
import errno
import os
from collections.abc import Iterator

BEFORE, AFTER = "/before", "/after"
#: At the top of a tree, of root alone: what was deleted, and what hasn't come whole yet.
TRASH, UPLOADS = b".wadah-trash", b".wadah-uploads"
#: Of directories within each other; two descriptors are open for each.
DEEPEST = 200
PIECE = 1 << 20
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Of what is gone by now, or is something else.
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)


class Refused(Exception):
    """By a word of `runtime.storage.trees`."""


class GaveWay(BaseException):
    """Told to end, by SIGTERM: what isn't whole is taken away on the way out, and nothing more is begun."""


#: What is worth telling of a refusal, by errno.
_CODES = {
    **dict.fromkeys((errno.ENOENT, errno.ELOOP, errno.ENOTDIR), "not_found"),
    errno.ENAMETOOLONG: "name_too_long",
    **dict.fromkeys((errno.EDQUOT, errno.ENOSPC), "no_space"),
    **dict.fromkeys((errno.EISDIR, errno.EEXIST), "in_the_way"),
    **dict.fromkeys((errno.EPERM, errno.EACCES, errno.EROFS), "not_allowed"),
    errno.ENOTEMPTY: "not_empty",
    errno.EMFILE: "too_long",
}


def code_of(error: BaseException) -> str:
    """The word for what was refused, or couldn't be done."""
    if isinstance(error, GaveWay):
        return "gave_way"
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, OSError):
        return _CODES.get(error.errno or 0, "failed")
    return "too_long" if isinstance(error, RecursionError) else "failed"


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


def names_in(place: int) -> list[bytes]:
    return [os.fsencode(one) for one in os.listdir(place)]


def directory(top: str, parts: list[bytes]) -> int:
    """A descriptor of a directory below the top: no link is followed."""
    found = os.open(top, DIRECTORY)
    for part in parts:
        with closing(found):
            inner = os.open(part, DIRECTORY, dir_fd=found)
        found = inner
    return found
