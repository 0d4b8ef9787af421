"""Files that come in parts: what has come of each, on the disk of the environment, until it is whole.

A directory at the top of the tree, of root alone, with one for each file: where it goes, and what has come.
Whatever runs inside may put anything into it, so nothing in there is opened before it is looked at.
"""

import contextlib
import ctypes
import errno
import json
import os
import re
import stat
import sys
import time
from base64 import b64decode
from typing import Any

from runtime.storage.tree_program.arranging import copied, into_place
from runtime.storage.tree_program.ground import (
    AFTER,
    DIRECTORY,
    FILE,
    PIECE,
    UPLOADS,
    Refused,
    closing,
    directory,
    names_in,
    parts_of,
)
from runtime.storage.tree_program.trash import remove
from runtime.storage.tree_program.writing import write

#: What nothing was added to for so long goes; and so many may have begun.
_UPLOAD_DAYS, _MOST_UPLOADS = 7, 100
_AN_UPLOAD = re.compile(rb"[0-9a-f]{32}")
_ABOUT, _PART = b"about", b"part"
_LONGEST_ABOUT, _LONGEST_PATH64 = 16 * 1024, 5464
#: Of a file's time: the last second of 9999.
_LAST_S = 253_402_300_799
#: linux/falloc.h
_FALLOC_FL_KEEP_SIZE = 1


def upload(asked: dict[str, Any]) -> dict[str, Any]:
    """`bytes` of it from stdin, at `offset`: how much there is then. Nothing is written where less than
    `offset` has come yet. When all has come, the file gets its name."""
    until = time.monotonic() + asked["seconds"]
    parts, name = parts_of(b64decode(asked["path"])), asked["id"].encode()
    if not parts:
        raise Refused("in_the_way")
    if asked["offset"] + asked["bytes"] > asked["size"]:
        raise Refused("not_allowed")
    with contextlib.ExitStack() as undo:
        place = undo.enter_context(closing(directory(AFTER, parts[:-1])))
        _refuse_taken(place, parts[-1], asked["if_exists"])
        kept = undo.enter_context(closing(_uploads(asked["now_ns"])))
        slot = undo.enter_context(closing(_slot(kept, name, asked)))
        part = undo.enter_context(closing(_opened_part(slot)))
        has = os.fstat(part).st_size
        if asked["offset"] <= has:
            try:
                _take(part, asked["offset"], asked["bytes"])
            finally:
                _touch(part, asked["now_ns"])
            has = max(has, asked["offset"] + asked["bytes"])
        if asked["offset"] + asked["bytes"] < asked["size"] or has < asked["size"]:
            return {"offset": min(has, asked["size"] - 1), "is_whole": False}
        os.ftruncate(part, asked["size"])
        _own_as(part, place, parts[-1])
        modified = asked["modified"]
        os.utime(part, None if modified is None else (modified, modified))
        os.fsync(part)
        try:
            into_place(slot, _PART, place, parts[-1], asked["if_exists"])
        except OSError as error:
            if error.errno != errno.EXDEV:  # into a subvolume
                raise
            copied(slot, _PART, place, parts[-1], asked["if_exists"], until)
        remove(kept, name)
    return {"offset": asked["size"], "is_whole": True}


def _refuse_taken(place: int, name: bytes, if_exists: str) -> None:
    """Before anything is taken, rather than after the last part."""
    with contextlib.suppress(FileNotFoundError):
        seen = os.stat(name, dir_fd=place, follow_symlinks=False)
        if if_exists == "refuse":
            raise Refused("exists")
        if if_exists == "replace" and not stat.S_ISREG(seen.st_mode):
            raise Refused("in_the_way")


def _uploads(now_ns: int) -> int:
    """The directory of them all, made where there is none; what is stale goes."""
    with closing(directory(AFTER, [])) as top:
        with contextlib.suppress(FileExistsError):
            os.mkdir(UPLOADS, 0o700, dir_fd=top)
        kept = _opened_directory(top, UPLOADS)
    _sweep(kept, now_ns)
    return kept


def _opened_directory(place: int, name: bytes) -> int:
    try:
        return os.open(name, DIRECTORY, dir_fd=place)
    except NotADirectoryError as error:  # a link, too
        raise Refused("in_the_way") from error


def _sweep(kept: int, now_ns: int) -> None:
    oldest = now_ns - _UPLOAD_DAYS * 86_400 * 10**9
    for name in names_in(kept):
        with contextlib.suppress(OSError):
            if _touched_at(kept, name) < oldest:
                remove(kept, name)


def _touched_at(kept: int, name: bytes) -> int:
    """When something was added to it last, by the clock of who asked (`_touch`), in nanoseconds."""
    made = os.stat(name, dir_fd=kept, follow_symlinks=False).st_mtime_ns
    with contextlib.suppress(OSError), closing(os.open(name, DIRECTORY, dir_fd=kept)) as slot:
        return max(made, os.stat(_PART, dir_fd=slot, follow_symlinks=False).st_mtime_ns)
    return made


def _touch(one: int, now_ns: int) -> None:
    os.utime(one, ns=(now_ns, now_ns))


def _slot(kept: int, name: bytes, asked: dict[str, Any]) -> int:
    with contextlib.suppress(FileNotFoundError):
        return _opened_directory(kept, name)
    if len(names_in(kept)) >= _MOST_UPLOADS:
        raise Refused("too_many_uploads")
    os.mkdir(name, 0o700, dir_fd=kept)
    slot = _opened_directory(kept, name)
    about = {key: asked[key] for key in ("path", "size", "modified")}
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with closing(os.open(_PART, flags, 0o600, dir_fd=slot)) as part:
            _see_room(part, asked["size"])
        with closing(os.open(_ABOUT, flags, 0o600, dir_fd=slot)) as note:
            write(note, json.dumps(about).encode())
        _touch(slot, asked["now_ns"])
    except BaseException:
        os.close(slot)
        remove(kept, name)
        raise
    return slot


def _see_room(part: int, size: int) -> None:
    """`OSError` where the disk has no room for all of it now. Nothing stays taken: who gives up half-way would
    hold it from others. By fallocate(2), since Python's has no mode."""
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.fallocate(part, _FALLOC_FL_KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(size))
    number = ctypes.get_errno()
    os.ftruncate(part, 0)
    if failed and number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        raise OSError(errno.ENOSPC, os.strerror(number))


def _opened_part(slot: int) -> int:
    """Begun anew where it is gone: whoever took it away was cut off before he took the rest."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    part = os.open(_PART, flags, 0o600, dir_fd=slot)
    if not stat.S_ISREG(os.fstat(part).st_mode):
        os.close(part)
        raise Refused("in_the_way")
    return part


def _take(part: int, offset: int, length: int) -> None:
    os.lseek(part, offset, os.SEEK_SET)
    left = length
    while left:
        data = sys.stdin.buffer.read(min(left, PIECE))
        if not data:
            raise Refused("cut_off")
        write(part, data)
        left -= len(data)


def _own_as(part: int, place: int, name: bytes) -> None:
    """As what it takes the place of; else root's, and readable."""
    owner, mode = (0, 0), 0o644
    with contextlib.suppress(FileNotFoundError):
        seen = os.stat(name, dir_fd=place, follow_symlinks=False)
        if stat.S_ISREG(seen.st_mode):
            owner, mode = (seen.st_uid, seen.st_gid), stat.S_IMODE(seen.st_mode)
    os.fchown(part, *owner)
    os.fchmod(part, mode)


def list_uploads(asked: dict[str, Any]) -> dict[str, Any]:
    """Those that aren't whole, the newest first: id, where it goes, its size and time of change, how much has
    come, and when the last of that came."""
    found = []
    with contextlib.suppress(FileNotFoundError), closing(directory(AFTER, [UPLOADS])) as kept:
        _sweep(kept, asked["now_ns"])
        for name in [one for one in names_in(kept) if _AN_UPLOAD.fullmatch(one)][:_MOST_UPLOADS]:
            with contextlib.suppress(OSError, Refused):
                with closing(os.open(name, DIRECTORY, dir_fd=kept)) as slot:
                    seen, about = os.stat(_PART, dir_fd=slot, follow_symlinks=False), _about(slot)
                path, size, modified = about
                found.append([name.decode(), path, size, modified, min(seen.st_size, size - 1), seen.st_mtime])
    return {"entries": sorted(found, key=lambda one: one[5], reverse=True)}


def _about(slot: int) -> tuple[str, int, int | None]:
    """Path, size and time that are some. `Refused` for all else that somebody may have written."""
    with closing(os.open(_ABOUT, FILE, dir_fd=slot)) as note:
        if not stat.S_ISREG(os.fstat(note).st_mode):
            raise Refused("in_the_way")
        text = os.read(note, _LONGEST_ABOUT)
    try:
        found = json.loads(text)
        path, size, modified = (found[key] for key in ("path", "size", "modified"))
        is_one = len(path) <= _LONGEST_PATH64 and parts_of(b64decode(path.encode("ascii"), validate=True))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as odd:
        raise Refused("in_the_way") from odd
    if not is_one or type(size) is not int or not 0 < size < 1 << 63:
        raise Refused("in_the_way")
    if modified is not None and (type(modified) is not int or not 0 <= modified <= _LAST_S):
        raise Refused("in_the_way")
    return path, size, modified


def discard_upload(asked: dict[str, Any]) -> dict[str, Any]:
    """What has come of it, for good. Of one that isn't there nothing is said: it may be whole by now."""
    with contextlib.suppress(FileNotFoundError), closing(directory(AFTER, [UPLOADS])) as kept:
        remove(kept, asked["id"].encode())
    return {}
