"""What of the tree of then is put into the one of now; a file written; something deleted."""

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import stat
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from runtime.storage.tree_program.ground import (
    AFTER,
    BEFORE,
    DEEPEST,
    DIRECTORY,
    FILE,
    PIECE,
    Refused,
    closing,
    directory,
    parts_of,
)

_FICLONE, _RENAME_NOREPLACE = 0x40049409, 1


class Copy:
    """From the tree of then into the one of now. What was added to a directory since stays in it."""

    def __init__(self, until: float):
        self.until, self.entries, self.skipped = until, 0, 0

    def put_back(self, parts: list[bytes]) -> None:
        with contextlib.ExitStack() as undo:
            x = undo.enter_context(closing(directory(BEFORE, [])))
            y = undo.enter_context(closing(directory(AFTER, [])))
            for part in parts[:-1]:
                x = undo.enter_context(closing(os.open(part, DIRECTORY, dir_fd=x)))
                y = undo.enter_context(closing(self._made(part, os.fstat(x), y)))
            if parts:
                self.entry(x, y, parts[-1], 0)
            else:
                self._all_of(x, y, 0)

    def _made(self, name: bytes, like: os.stat_result, place: int) -> int:
        """The directory of this name, made where there is none."""
        try:
            return os.open(name, DIRECTORY, dir_fd=place)
        except FileNotFoundError:
            os.mkdir(name, 0o700, dir_fd=place)
        except OSError as error:
            raise Refused("in_the_way") from error
        made = os.open(name, DIRECTORY, dir_fd=place)
        os.fchown(made, like.st_uid, like.st_gid)
        os.fchmod(made, stat.S_IMODE(like.st_mode))
        return made

    def entry(self, x: int, y: int, name: bytes, depth: int, to: bytes = b"") -> None:
        """What has this name in the directory `x`, into `y`; as `to`, where that is another name."""
        if time.monotonic() > self.until or depth > DEEPEST:
            raise Refused("too_long")
        to = to or name
        seen = os.stat(name, dir_fd=x, follow_symlinks=False)
        kind = stat.S_IFMT(seen.st_mode)
        if kind == stat.S_IFDIR:
            with (
                closing(os.open(name, DIRECTORY, dir_fd=x)) as inner,
                closing(self._made(to, seen, y)) as made,
            ):
                self._all_of(inner, made, depth + 1)
                os.fchown(made, seen.st_uid, seen.st_gid)
                os.fchmod(made, stat.S_IMODE(seen.st_mode))
                _copy_attributes(inner, made)
                os.utime(made, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        elif kind == stat.S_IFREG:
            with closing(os.open(name, FILE, dir_fd=x)) as file, replacing(y, to) as new:
                _fill(file, new, self.until)
                os.fchown(new, seen.st_uid, seen.st_gid)
                os.fchmod(new, stat.S_IMODE(seen.st_mode))
                _copy_attributes(file, new)
                os.utime(new, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        elif kind == stat.S_IFLNK:
            refuse_directory(y, to)
            other = aside()
            os.symlink(os.readlink(name, dir_fd=x), other, dir_fd=y)
            os.chown(other, seen.st_uid, seen.st_gid, dir_fd=y, follow_symlinks=False)
            os.rename(other, to, src_dir_fd=y, dst_dir_fd=y)
        else:
            self.skipped += 1
            return
        self.entries += 1

    def _all_of(self, x: int, y: int, depth: int) -> None:
        for entry in os.listdir(x):
            self.entry(x, y, os.fsencode(entry), depth)


def aside() -> bytes:
    """A name for what isn't whole yet."""
    return b".wadah-" + os.urandom(8).hex().encode()


def refuse_directory(place: int, name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode):
            raise Refused("in_the_way")


def rename_to_free(from_: int, name: bytes, place: int, to: bytes) -> None:
    """Where nothing has that name: `Refused` (`exists`) else. By renameat2(2), which Python has no call for."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(from_, ctypes.c_char_p(name), place, ctypes.c_char_p(to), _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        if number == errno.EEXIST:
            raise Refused("exists")
        if number == errno.EINVAL:
            raise Refused("into_itself")
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def replacing(place: int, name: bytes) -> Iterator[int]:
    """A new file that takes the place of what has the name once it is whole."""
    refuse_directory(place, name)
    other = aside()
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with closing(os.open(other, flags, 0o600, dir_fd=place)) as made:
            yield made
        os.rename(other, name, src_dir_fd=place, dst_dir_fd=place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(other, dir_fd=place)
        raise


def _fill(file: int, new: int, until: float) -> None:
    """By sharing the extents where the file system can; else by copying."""
    try:
        fcntl.ioctl(new, _FICLONE, file)
    except OSError:
        while data := os.read(file, PIECE):
            if time.monotonic() > until:
                raise Refused("too_long") from None
            write(new, data)


def write(to: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(to, view) :]


def _copy_attributes(old: int, new: int) -> None:
    """Extended ones: access lists, capabilities, those of users."""
    wanted = {}
    for name in os.listxattr(old):
        with contextlib.suppress(OSError):
            wanted[name] = os.getxattr(old, name)
    for name, value in wanted.items():
        with contextlib.suppress(OSError):
            os.setxattr(new, name, value)


def put_back(asked: dict[str, Any]) -> dict[str, Any]:
    made = Copy(time.monotonic() + asked["seconds"])
    made.put_back(parts_of(b64decode(asked["path"])))
    return {"entries": made.entries, "skipped": made.skipped}


def put(asked: dict[str, Any]) -> dict[str, Any]:
    """A file from stdin, of exactly `size` bytes. One that is there keeps owner and mode."""
    parts = parts_of(b64decode(asked["path"]))
    if not parts:
        raise Refused("in_the_way")
    data = sys.stdin.buffer.read(asked["size"])
    if len(data) < asked["size"]:
        raise Refused("cut_off")
    with closing(directory(AFTER, parts[:-1])) as place:
        owner, mode, is_new = (0, 0), 0o644, True
        with contextlib.suppress(FileNotFoundError):
            seen = os.stat(parts[-1], dir_fd=place, follow_symlinks=False)
            if not stat.S_ISREG(seen.st_mode):
                raise Refused("in_the_way")
            owner, mode, is_new = (seen.st_uid, seen.st_gid), stat.S_IMODE(seen.st_mode), False
        with replacing(place, parts[-1]) as new:
            write(new, data)
            os.fchown(new, *owner)
            os.fchmod(new, mode)
    return {"size": len(data), "is_new": is_new}


def delete(asked: dict[str, Any]) -> dict[str, Any]:
    """A file, a link, or a directory: with all that is in it where that is asked for."""
    parts = parts_of(b64decode(asked["path"]))
    if not parts:
        raise Refused("not_allowed")
    with closing(directory(AFTER, parts[:-1])) as place:
        name = parts[-1]
        if not stat.S_ISDIR(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=place)
        elif asked["recursive"]:
            shutil.rmtree(os.fsdecode(name), dir_fd=place)
        else:
            os.rmdir(name, dir_fd=place)
    return {}
