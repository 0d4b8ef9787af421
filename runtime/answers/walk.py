"""A caller's path across mounts, one name at a time: what openat2(2) won't follow within one file system.

A mount is stepped onto before it is known what it is of. That asks no file system anything, the descriptor
being one of `O_PATH`; and nothing is looked up below it unless the mount is one of those that may be asked.
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Callable
from contextlib import ExitStack

_libc = ctypes.CDLL(None, use_errno=True)

_SYS_OPENAT2 = 437
NO_CROSSING, NO_MAGIC_LINKS, BENEATH, IN_ROOT = 0x01, 0x02, 0x08, 0x10
#: Names and links that one path is followed by; the kernel answers for what is longer.
MOST_STEPS, _MOST_LINKS = 64, 8


class Unknown(Exception):
    """It can't be told, or isn't the environment's own: the kernel shall answer."""


def open_from(start: int, path: bytes, resolve: int, flags: int = 0) -> int:
    """A descriptor of `O_PATH`. Raises `Unknown`, with its number where the kernel had one (errno(3))."""
    how = struct.pack("<QQQ", os.O_PATH | os.O_CLOEXEC | flags, 0, resolve)
    fd: int = _libc.syscall(_SYS_OPENAT2, start, ctypes.c_char_p(path), ctypes.c_char_p(how), len(how))
    if fd < 0:
        raise Unknown(ctypes.get_errno())
    return fd


def walk(start: int, path: bytes, may_ask: Callable[[int], bool]) -> int:
    """A descriptor of where it leads to from `start`, which an absolute path and link begin at too. `may_ask`:
    whether what a descriptor was stepped onto is of a file system that answers."""
    with ExitStack() as undo:
        way, names, links = [start], _names(path), 0
        for _ in range(MOST_STEPS):
            if not names:
                return os.dup(way[-1])
            name = names.pop(0)
            if name == b"..":
                if len(way) == 1 and not path.startswith(b"/"):
                    raise Unknown  # above where a relative path begins
                del way[max(1, len(way) - 1) :]
                continue
            there = _step(way[-1], name, may_ask)
            undo.callback(os.close, there)
            if not stat.S_ISLNK(os.fstat(there).st_mode):
                way.append(there)
                continue
            leads_to = os.readlink(b"", dir_fd=there)
            links += 1
            if links > _MOST_LINKS or (leads_to.startswith(b"/") and not path.startswith(b"/")):
                raise Unknown
            if leads_to.startswith(b"/"):
                del way[1:]
            names = _names(leads_to) + names
        raise Unknown


def _names(path: bytes) -> list[bytes]:
    """A slash at its end asks for a directory."""
    names = [one for one in path.split(b"/") if one not in (b"", b".")]
    return [*names, b"."] if path.endswith((b"/", b"/.")) else names


def _step(at: int, name: bytes, may_ask: Callable[[int], bool]) -> int:
    try:
        return open_from(at, name, NO_CROSSING | NO_MAGIC_LINKS, os.O_NOFOLLOW)
    except Unknown as why:
        if why.args != (errno.EXDEV,):
            raise
    there = open_from(at, name, NO_MAGIC_LINKS, os.O_NOFOLLOW)
    if not may_ask(there):
        os.close(there)
        raise Unknown
    return there
