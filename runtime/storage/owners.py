"""Names of users and groups, by the lists that a tree has of them itself."""

import os
import stat
from contextlib import suppress

from runtime.host.safetree import SafeTree

#: Of a list: what stands behind that has numbers alone.
_MOST_BYTES = 256 * 1024
_LONGEST_NAME = 64


def owners(tree: SafeTree, listed: str) -> dict[int, str]:
    """passwd(5) or group(5), which have name and number in the same fields; the first of a number counts. Empty
    where there is no such plain file."""
    text = b""
    with suppress(OSError):
        fd = tree.open_plain(listed, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            text = os.read(fd, _MOST_BYTES) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
        finally:
            os.close(fd)
    return parsed(text)


def parsed(text: bytes) -> dict[int, str]:
    found: dict[int, str] = {}
    for line in text.splitlines():
        name, *fields = line.split(b":")
        if len(fields) < 2 or not name or len(name) > _LONGEST_NAME:
            continue
        if fields[1].isdigit() and len(fields[1]) <= 10:
            found.setdefault(int(fields[1]), name.decode(errors="replace"))
    return found
