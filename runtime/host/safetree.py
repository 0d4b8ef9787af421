"""Every touch of an environment's tree from the host goes through here.

The tree is hostile: any name in it may be a link to the host, a fifo, a device, a huge file. So files
are opened by openat2(2) relative to the tree's root, never by a joined path; what is read must be a
plain file with one name and a size in bounds; what is written is written beside and renamed.
"""

import ctypes
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from runtime.contract.words import advice, refusals
from runtime.errors import RuntimeFault

_SYS_OPENAT2 = 437  # asm-generic, the same on x86-64 and arm64
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH, _IN_ROOT = 1, 2, 4, 8, 16
#: linux/openat2.h: reading follows links, but only inside the tree; writing follows none.
_READ = _IN_ROOT | _NO_MAGICLINKS | _NO_XDEV
_WRITE = _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS | _NO_XDEV

MAX_BYTES = 2**20

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


class UnsafePath(RuntimeFault):
    """A name in the tree is not what it should be; nothing was touched."""

    code = "unsafe_path"


def _openat2(directory: int, path: str, flags: int, resolve: int, mode: int = 0) -> int:
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    fd = _libc.syscall(
        _SYS_OPENAT2, directory, ctypes.c_char_p(os.fsencode(path)), ctypes.byref(how), ctypes.sizeof(how)
    )
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return int(fd)


@dataclass(frozen=True, slots=True)
class Head:
    mode: int
    data: bytes


class SafeTree:
    """Files of one tree. Paths are absolute as the environment sees them, such as `/etc/hostname`."""

    def __init__(self, descriptor: int):
        self._root = descriptor

    @classmethod
    @contextmanager
    def open(cls, root: Path) -> Iterator["SafeTree"]:
        """`root` itself is ours (a subvolume in the pool), so a plain open finds it."""
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            yield cls(descriptor)
        finally:
            os.close(descriptor)

    def read(self, path: str, limit: int = MAX_BYTES) -> bytes | None:
        """None when there is no such file. Raises `UnsafePath` when it is no plain file of at most `limit`."""
        try:
            fd = _openat2(self._root, _relative(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, _READ)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise _unsafe(path, error) from error
        try:
            seen = os.fstat(fd)
            if not stat.S_ISREG(seen.st_mode):
                raise UnsafePath(refusals.no_plain_file(path))
            if seen.st_nlink != 1:
                raise UnsafePath(refusals.many_names(path, seen.st_nlink))
            if seen.st_size > limit:
                raise UnsafePath(refusals.too_large(path, limit))
            with os.fdopen(os.dup(fd), "rb") as file:
                return file.read(limit + 1)[:limit]
        finally:
            os.close(fd)

    def open_file(self, path: str, *, size: int) -> int:
        """A descriptor to read the plain file of exactly `size` bytes; no link on the way is followed.

        Raises FileNotFoundError, or `UnsafePath` when it is anything else.
        """
        try:
            fd = _openat2(self._root, _relative(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, _WRITE)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _unsafe(path, error) from error
        seen = os.fstat(fd)
        if not stat.S_ISREG(seen.st_mode) or seen.st_nlink != 1 or seen.st_size != size:
            os.close(fd)
            raise UnsafePath(refusals.no_such_file(path, size))
        return fd

    def open_plain(self, path: str, flags: int) -> int:
        """A descriptor of what has this name, below the tree's root (`.`: the root itself); no link is
        followed, on the way or at the end. What it is, the caller looks at. Raises OSError."""
        return _openat2(self._root, path, flags | os.O_NOFOLLOW, _WRITE)

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Replaces the file in one step, owned by root of the environment; the old one stays when it fails.

        The directories above must be plain ones. A link at the very name is replaced, not followed.
        """
        self._write(self._parent(path), path, data, mode=mode)

    @staticmethod
    def _write(where: tuple[int, str], path: str, data: bytes, *, mode: int | None) -> None:
        """Beside and renamed; closes the directory. Without a mode: as what it replaces."""
        parent, name = where
        temporary = f".{name}.{secrets.token_hex(6)}"
        try:
            like = None if mode is not None else os.stat(name, dir_fd=parent, follow_symlinks=False)
            fd = os.open(
                temporary,
                os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
                0o600,
                dir_fd=parent,
            )
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(data)
                    if like is not None:
                        os.fchown(file.fileno(), like.st_uid, like.st_gid)
                    os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode) if like is not None else mode or 0)
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=parent)
                raise
        except OSError as error:
            raise _unsafe(path, error) from error
        finally:
            os.close(parent)

    def make_directory(self, path: str, *, mode: int = 0o755) -> None:
        """One level; a no-op when it is there. Raises `UnsafePath` when something else is."""
        parent, name = self._parent(path)
        try:
            with suppress(FileExistsError):
                os.mkdir(name, mode, dir_fd=parent)
                os.chmod(name, mode, dir_fd=parent, follow_symlinks=False)
            seen = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(seen.st_mode):
                raise UnsafePath(refusals.no_directory(path))
        except OSError as error:
            raise _unsafe(path, error) from error
        finally:
            os.close(parent)

    def head(self, path: str, size: int) -> "Head":
        """The beginning of a plain file, over links inside the tree, and its mode; nothing of anything else."""
        with suppress(OSError):
            fd = _openat2(self._root, _relative(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, _READ)
            try:
                seen = os.fstat(fd)
                if stat.S_ISREG(seen.st_mode):
                    return Head(stat.S_IMODE(seen.st_mode), os.pread(fd, size, 0))
            finally:
                os.close(fd)
        return Head(0, b"")

    def make_own(self, path: str) -> None:
        """A file that has other names too gets content of its own, with the owner and mode that it has; a no-op
        for anything else. For a tree that nothing runs in."""
        with suppress(UnsafePath):
            parent, name = self._parent(path)
            try:
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
            except OSError:
                os.close(parent)
                return
            with os.fdopen(fd, "rb") as file:
                seen = os.fstat(fd)
                is_shared = stat.S_ISREG(seen.st_mode) and seen.st_nlink > 1 and seen.st_size <= MAX_BYTES
                data = file.read(MAX_BYTES) if is_shared else b""
            if is_shared:
                self._write((parent, name), path, data, mode=None)
            else:
                os.close(parent)

    def exists(self, path: str) -> bool:
        """Whether the name leads, inside the tree, to anything."""
        try:
            os.close(_openat2(self._root, _relative(path), os.O_PATH, _READ))
        except (OSError, UnsafePath):
            return False
        return True

    def seen(self, path: str) -> os.stat_result | None:
        """Of what the name leads to inside the tree; None when to nothing."""
        try:
            fd = _openat2(self._root, _relative(path), os.O_PATH, _READ)
        except (OSError, UnsafePath):
            return None
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def is_directory(self, path: str) -> bool:
        """Whether a real directory (no link) stands there."""
        try:
            os.close(_openat2(self._root, _relative(path), os.O_PATH | os.O_DIRECTORY, _WRITE))
        except OSError:
            return False
        return True

    def place_of(self, path: str) -> str | None:
        """Where a path leads to a directory, over all links inside the tree; None where it leads to none."""
        try:
            fd = _openat2(self._root, _relative(path), os.O_PATH | os.O_DIRECTORY, _READ)
        except OSError:
            return None
        try:
            root, found = (str(Path("/proc/self/fd", str(one)).readlink()) for one in (self._root, fd))
            return found.removeprefix(root) or "/"
        finally:
            os.close(fd)

    def is_file(self, path: str) -> bool:
        """Whether a plain file (no link) has this name; directories above may be links inside the tree."""
        with suppress(OSError, UnsafePath):
            parent, name = self._parent(path, _READ)
            try:
                return stat.S_ISREG(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
            finally:
                os.close(parent)
        return False

    def names(self, path: str, most: int = 1000) -> list[str]:
        """Of what is in a directory, so many at most; none when there is no directory."""
        try:
            fd = _openat2(self._root, _relative(path), os.O_RDONLY | os.O_DIRECTORY, _READ)
        except (OSError, UnsafePath):
            return []
        try:
            with os.scandir(fd) as entries:
                return sorted(entry.name for entry in islice(entries, most))
        finally:
            os.close(fd)

    def replace(self, path: str, data: bytes) -> None:
        """Other content for a plain file, in one step, with the owner and mode that it has; a no-op where there
        is none. A link becomes a plain file of mode 0600. Directories above may be links inside the tree: for
        one whose environment doesn't run."""
        if self.is_file(path):
            self._write(self._parent(path, _READ), path, data, mode=None)
        elif self.link_target(path) is not None:
            self._write(self._parent(path, _READ), path, data, mode=0o600)

    def remove(self, path: str) -> bool:
        """The name alone, of a plain file or a link; False when there is none. As `replace`."""
        try:
            parent, name = self._parent(path, _READ)
        except UnsafePath:
            return False
        try:
            os.unlink(name, dir_fd=parent)
        except (FileNotFoundError, IsADirectoryError):
            return False
        except OSError as error:
            raise _unsafe(path, error) from error
        finally:
            os.close(parent)
        return True

    def link_target(self, path: str) -> str | None:
        """Where the link at this name points; None when it is no link. The text is hostile."""
        try:
            parent, name = self._parent(path)
        except UnsafePath:
            return None
        try:
            return os.readlink(name, dir_fd=parent)
        except OSError:
            return None
        finally:
            os.close(parent)

    def leads_to(self, path: str) -> str | None:
        """Last part of the name of what a path leads to, over all links inside the tree; None when to nothing.
        The text is hostile."""
        try:
            fd = _openat2(self._root, _relative(path), os.O_PATH, _READ)
        except OSError:
            return None
        try:
            return Path("/proc/self/fd", str(fd)).readlink().name
        finally:
            os.close(fd)

    def _parent(self, path: str, resolve: int = _WRITE) -> tuple[int, str]:
        pure = PurePosixPath(_relative(path))
        try:
            return _openat2(self._root, str(pure.parent), os.O_RDONLY | os.O_DIRECTORY, resolve), pure.name
        except OSError as error:
            raise _unsafe(path, error) from error


def open_directory(root: int, path: str, *, beneath_mounts: bool = False) -> int:
    """A descriptor (O_PATH) of a directory below an open one; no link on the way is followed.

    `beneath_mounts`: on the same file system only. Raises OSError.
    """
    resolve = _WRITE if beneath_mounts else _WRITE & ~_NO_XDEV
    return _openat2(root, path, os.O_PATH | os.O_DIRECTORY, resolve)


def _relative(path: str) -> str:
    text = path.lstrip("/")
    if not text or ".." in PurePosixPath(text).parts or "\0" in text:
        raise UnsafePath(refusals.no_path_inside(repr(path)))
    return text


def _unsafe(path: str, error: OSError) -> RuntimeFault:
    if error.errno in (errno.EDQUOT, errno.ENOSPC):
        return RuntimeFault(
            refusals.not_written(path),
            code="disk_full",
            next_step=advice.delete_files_inside(),
        )
    return UnsafePath(
        refusals.not_usable(path, os.strerror(error.errno or 0)),
        next_step=advice.put_a_plain_file(),
    )
