"""Mode and owner, by the names that the tree itself has for its users."""

import contextlib
import os
import stat
import time
from typing import Any

from runtime.storage.tree_program.ground import (
    AFTER,
    DEEPEST,
    DIRECTORY,
    FILE,
    Refused,
    closing,
    directory,
    names_in,
    parts_of,
)
from runtime.storage.tree_program.trash import each_of, names_given
from runtime.storage.tree_program.unpacking import IDS

#: Of a list of users or groups.
_MOST_LIST_BYTES = 1 << 20


def _id_of(wanted: str, listed: bytes) -> int:
    """A number, or a name of passwd(5) or group(5), which have it in the third field alike. -1 for none: what
    chown(2) takes for `as it is`. `Refused` for one that there isn't."""
    if not wanted:
        return -1
    if wanted.isdecimal():
        if len(wanted) > 5 or int(wanted) >= IDS:
            raise Refused("no_such_user")
        return int(wanted)
    with (
        contextlib.suppress(OSError),
        closing(directory(AFTER, [b"etc"])) as etc,
        closing(os.open(listed, FILE, dir_fd=etc)) as file,
    ):
        text = os.read(file, _MOST_LIST_BYTES) if stat.S_ISREG(os.fstat(file).st_mode) else b""
        for line in text.splitlines():
            fields = line.split(b":")
            is_it = len(fields) > 2 and fields[0] == wanted.encode()
            if is_it and fields[2].isdigit() and len(fields[2]) <= 5 and int(fields[2]) < IDS:
                return int(fields[2])
    raise Refused("no_such_user")


class Changing:
    """Mode (None: as it is), owner and group (-1: as they are)."""

    def __init__(self, mode: int | None, uid: int, gid: int, until: float):
        self.mode, self.uid, self.gid, self.until = mode, uid, gid, until

    def change(self, place: int, name: bytes, *, is_deep: bool, depth: int = 0) -> None:
        if time.monotonic() > self.until or depth > DEEPEST:
            raise Refused("too_long")
        kind = stat.S_IFMT(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode)
        if kind == stat.S_IFDIR:
            with closing(os.open(name, DIRECTORY, dir_fd=place)) as opened:
                if is_deep:
                    for one in names_in(opened):
                        with contextlib.suppress(FileNotFoundError):
                            self.change(opened, one, is_deep=True, depth=depth + 1)
                # who may read a directory's names may use them: chmod(1) says X for it
                self._set(opened, (self.mode or 0) | (((self.mode or 0) & 0o444) >> 2 if is_deep else 0))
        elif kind == stat.S_IFREG:
            with closing(os.open(name, FILE, dir_fd=place)) as opened:
                if not stat.S_ISREG(os.fstat(opened).st_mode):
                    raise Refused("in_the_way")
                self._set(opened, self.mode or 0)
        else:  # of a link the mode counts nothing, and what else has one can't be opened without waiting
            if depth == 0 and self.mode is not None:
                raise Refused("not_allowed")
            os.chown(name, self.uid, self.gid, dir_fd=place, follow_symlinks=False)

    def _set(self, opened: int, mode: int) -> None:
        if (self.uid, self.gid) != (-1, -1):
            os.fchown(opened, self.uid, self.gid)
        if self.mode is not None:
            os.fchmod(opened, mode)


def change_mode(asked: dict[str, Any]) -> dict[str, Any]:
    """`mode`, `owner` and `group` of each path from stdin; with `is_deep` of all that is in it."""
    until = time.monotonic() + asked["seconds"]
    uid, gid = _id_of(asked["owner"], b"passwd"), _id_of(asked["group"], b"group")
    changing = Changing(asked["mode"], uid, gid, until)

    def one(path: bytes) -> None:
        parts = parts_of(path)
        if not parts:
            raise Refused("not_allowed")
        with closing(directory(AFTER, parts[:-1])) as place:
            changing.change(place, parts[-1], is_deep=asked["is_deep"])

    return each_of(names_given(), one)
