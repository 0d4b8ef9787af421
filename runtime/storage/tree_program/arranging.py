"""Several at once: renamed, moved, copied, deleted."""

import contextlib
import errno
import os
import stat
import time
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from runtime.storage.tree_program.ground import AFTER, TRASH, Refused, closing, directory, parts_of
from runtime.storage.tree_program.trash import (
    each_of,
    into_trash,
    names_given,
    remove,
    sweep_trash,
)
from runtime.storage.tree_program.writing import Copy, aside, refuse_directory, rename_to_free

#: Names that are tried for a second one of the same name.
_MOST_NAMES = 100


def _free_names(name: bytes, *, keeps_both: bool) -> Iterator[bytes]:
    """`a.txt`, and then `a (2).txt`, `a (3).txt`, …"""
    yield name
    if keeps_both:
        stem, dot, ending = name.rpartition(b".") if name.strip(b".").count(b".") else (name, b"", b"")
        for number in range(2, _MOST_NAMES):
            yield b"%s (%d)%s%s" % (stem, number, dot, ending)


def into_place(from_: int, name: bytes, place: int, to: bytes, if_exists: str) -> None:
    """Under the name that is free."""
    if if_exists == "replace" and not stat.S_ISDIR(os.stat(name, dir_fd=from_, follow_symlinks=False).st_mode):
        refuse_directory(place, to)
        os.rename(name, to, src_dir_fd=from_, dst_dir_fd=place)
        return
    for one in _free_names(to, keeps_both=if_exists == "keep_both"):
        try:
            rename_to_free(from_, name, place, one)
        except Refused as refused:
            if str(refused) != "exists":
                raise
        else:
            return
    raise Refused("exists")


def _refuse_within(parts: list[bytes], into: list[bytes]) -> None:
    """A directory doesn't go into itself."""
    place = directory(AFTER, parts[:-1])
    with closing(place):
        seen = os.stat(parts[-1], dir_fd=place, follow_symlinks=False)
    if not stat.S_ISDIR(seen.st_mode):
        return
    for depth in range(len(into) + 1):
        with closing(directory(AFTER, into[:depth])) as above:
            found = os.fstat(above)
            if (found.st_dev, found.st_ino) == (seen.st_dev, seen.st_ino):
                raise Refused("into_itself")


def copied(  # noqa: PLR0917 (two directories, a name in each)
    from_: int, name: bytes, place: int, to: bytes, if_exists: str, until: float
) -> None:
    """Whole, or not at all: it is made aside, and gets its name then."""
    if if_exists == "refuse":
        with contextlib.suppress(FileNotFoundError):
            os.stat(to, dir_fd=place, follow_symlinks=False)
            raise Refused("exists")
    other, made = aside(), Copy(until)
    try:
        made.entry(from_, place, name, 0, other)
        if not made.entries:
            raise Refused("not_allowed")  # a device, fifo or socket
        into_place(place, other, place, to, if_exists)
    except BaseException:
        with contextlib.suppress(OSError):
            remove(place, other)
        raise


def _arranged(asked: dict[str, Any], *, is_copy: bool) -> dict[str, Any]:
    until = time.monotonic() + asked["seconds"]
    into = None if asked["into"] is None else parts_of(b64decode(asked["into"]))
    new_name, if_exists = b64decode(asked["name"]), asked["if_exists"]

    def one(path: bytes) -> None:
        parts = parts_of(path)
        if not parts:
            raise Refused("not_allowed")
        if time.monotonic() > until:
            raise Refused("too_long")
        target, to = parts[:-1] if into is None else into, new_name or parts[-1]
        _refuse_within(parts, target)
        with closing(directory(AFTER, parts[:-1])) as from_, closing(directory(AFTER, target)) as place:
            if is_copy:
                copied(from_, parts[-1], place, to, if_exists, until)
                return
            try:
                into_place(from_, parts[-1], place, to, if_exists)
            except OSError as error:
                if error.errno != errno.EXDEV:  # in or out of a subvolume
                    raise
                copied(from_, parts[-1], place, to, if_exists, until)
                remove(from_, parts[-1])

    return each_of(names_given(), one)


def move(asked: dict[str, Any]) -> dict[str, Any]:
    """Each path from stdin into the directory `into` (null: where it is), as `name` where one is given."""
    return _arranged(asked, is_copy=False)


def copy(asked: dict[str, Any]) -> dict[str, Any]:
    """The same, and what was there stays. Owners, modes, times and attributes are copied too."""
    return _arranged(asked, is_copy=True)


def delete_many(asked: dict[str, Any]) -> dict[str, Any]:
    """Each path from stdin with all that is in it: for good, or into the trash, and out of that for good."""

    def one(path: bytes) -> None:
        parts = parts_of(path)
        if not parts:
            raise Refused("not_allowed")
        with closing(directory(AFTER, parts[:-1])) as place:
            if asked["trash"] and parts[0] != TRASH:
                os.stat(parts[-1], dir_fd=place, follow_symlinks=False)
                into_trash(place, parts[-1], b"/" + b"/".join(parts), asked["now_ns"])
            else:
                remove(place, parts[-1])

    done = each_of(names_given(), one)
    sweep_trash(asked["now_ns"])
    return done
