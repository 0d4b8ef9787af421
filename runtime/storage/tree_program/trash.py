"""The trash of an environment: what was deleted, on its own disk, until somebody wants the room.

A directory at the top of the tree, of root alone, with one for each thing: where it was, and the thing itself.
It lies on the disk of the environment and counts there; whatever runs inside may put anything into it.
"""

import contextlib
import errno
import json
import os
import re
import shutil
import stat
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

from runtime.storage.tree_program.ground import (
    AFTER,
    DIRECTORY,
    FILE,
    TRASH,
    Refused,
    closing,
    code_of,
    directory,
    names_in,
    parts_of,
)
from runtime.storage.tree_program.writing import rename_to_free, write

#: What is older goes, and the oldest of what is more.
_TRASH_DAYS, _MOST_TRASHED = 30, 1000
_A_SLOT = re.compile(rb"[0-9]{19}-[0-9a-f]{8}")
_WAS_AT, _THING = b"path", b"it"
_LONGEST_PATH = 4095
_SORTS_OF_MODE = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}


def each_of(names: list[bytes], work: Callable[[bytes], None]) -> dict[str, Any]:
    """Done to each of them, whatever became of those before it: how many it was done to, and what the others
    were refused for."""
    done, failed = 0, list[list[str]]()
    for name in names:
        try:
            work(name)
        except (Refused, OSError, RecursionError) as error:
            failed.append([b64encode(name).decode(), code_of(error)])
        else:
            done += 1
    return {"done": done, "failed": failed}


def names_given() -> list[bytes]:
    """From stdin: paths are too long for words of a command."""
    return [b64decode(one) for one in json.load(sys.stdin.buffer)]


def remove(place: int, name: bytes) -> None:
    """Whatever it is, with all that is in it."""
    if stat.S_ISDIR(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode):
        shutil.rmtree(os.fsdecode(name), dir_fd=place)
    else:
        os.unlink(name, dir_fd=place)


def into_trash(place: int, name: bytes, was_at: bytes, now_ns: int) -> None:
    """Where it lies in a subvolume of its own, it can't be renamed out of it: that is refused (`no_trash`)."""
    with contextlib.ExitStack() as undo:
        top = undo.enter_context(closing(directory(AFTER, [])))
        with contextlib.suppress(FileExistsError):
            os.mkdir(TRASH, 0o700, dir_fd=top)
        kept = undo.enter_context(closing(_trash(top)))
        slot = b"%019d-%s" % (now_ns, os.urandom(4).hex().encode())
        os.mkdir(slot, 0o700, dir_fd=kept)
        try:
            inner = undo.enter_context(closing(os.open(slot, DIRECTORY, dir_fd=kept)))
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with closing(os.open(_WAS_AT, flags, 0o600, dir_fd=inner)) as note:
                write(note, was_at)
            os.rename(name, _THING, src_dir_fd=place, dst_dir_fd=inner)
        except OSError as error:
            with contextlib.suppress(OSError):
                shutil.rmtree(os.fsdecode(slot), dir_fd=kept)
            if error.errno == errno.EXDEV:
                raise Refused("no_trash") from error
            raise


def sweep_trash(now_ns: int) -> None:
    """A no-op where there is none. One that can't be deleted keeps none of the others."""
    with contextlib.suppress(OSError, Refused), closing(directory(AFTER, [TRASH])) as kept:
        slots = _slots(kept)
        oldest = b"%019d" % max(0, now_ns - _TRASH_DAYS * 86_400 * 10**9)
        for number, slot in enumerate(slots):
            if number < len(slots) - _MOST_TRASHED or slot < oldest:
                with contextlib.suppress(OSError, RecursionError):
                    remove(kept, slot)


def _trash(top: int) -> int:
    try:
        return os.open(TRASH, DIRECTORY, dir_fd=top)
    except NotADirectoryError as error:  # a link, too
        raise Refused("in_the_way") from error


def _slots(kept: int) -> list[bytes]:
    """Oldest first."""
    return sorted(one for one in names_in(kept) if _A_SLOT.fullmatch(one))


def _was_at(slot: int) -> bytes:
    """The path that it had. `Refused` for what can't be one."""
    with closing(os.open(_WAS_AT, FILE, dir_fd=slot)) as note:
        if not stat.S_ISREG(os.fstat(note).st_mode):
            raise Refused("in_the_way")
        path = os.read(note, _LONGEST_PATH + 1)
    parts = parts_of(path)
    if len(path) > _LONGEST_PATH or b"\0" in path or b".." in parts or not parts:
        raise Refused("in_the_way")
    return path


def list_trash(asked: dict[str, Any]) -> dict[str, Any]:
    """The newest first: id, where it was, what it is, its size, and when it was deleted."""
    found = []
    with contextlib.suppress(FileNotFoundError), closing(directory(AFTER, [TRASH])) as kept:
        for slot in reversed(_slots(kept)[-_MOST_TRASHED:]):
            with contextlib.suppress(OSError, Refused), closing(os.open(slot, DIRECTORY, dir_fd=kept)) as inner:
                seen = os.stat(_THING, dir_fd=inner, follow_symlinks=False)
                sort = _SORTS_OF_MODE.get(stat.S_IFMT(seen.st_mode), "other")
                size = seen.st_size if sort == "file" else None
                path = b64encode(_was_at(inner)).decode()
                found.append([slot.decode(), path, sort, size, int(slot[:19]) / 1e9])
    return {"entries": found}


def restore_trash(asked: dict[str, Any]) -> dict[str, Any]:
    """Each to where it was; directories that are gone since are made."""

    def back(slot: bytes) -> None:
        with contextlib.ExitStack() as undo:
            kept = undo.enter_context(closing(directory(AFTER, [TRASH])))
            inner = undo.enter_context(closing(os.open(_checked_slot(slot), DIRECTORY, dir_fd=kept)))
            parts = parts_of(_was_at(inner))
            place = undo.enter_context(closing(directory(AFTER, [])))
            for part in parts[:-1]:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=place)
                place = undo.enter_context(closing(os.open(part, DIRECTORY, dir_fd=place)))
            rename_to_free(inner, _THING, place, parts[-1])
            remove(kept, slot)

    return each_of(names_given(), back)


def empty_trash(asked: dict[str, Any]) -> dict[str, Any]:
    """These, or with `is_all` all of it: for good."""
    names = names_given()
    try:
        with closing(directory(AFTER, [TRASH])) as kept:
            chosen = names_in(kept) if asked["is_all"] else names
            return each_of(chosen, lambda one: remove(kept, one if asked["is_all"] else _checked_slot(one)))
    except FileNotFoundError:
        return each_of(names, _nothing_of)


def _nothing_of(_slot: bytes) -> None:
    raise Refused("not_found")


def _checked_slot(slot: bytes) -> bytes:
    if not _A_SLOT.fullmatch(slot):
        raise Refused("not_found")
    return slot
