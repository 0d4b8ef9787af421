"""Who made a call: his memory, his files, and whom he is for a lookup of a path.

Whatever is his may be made to hang or to lie. So no file system but the pool's is asked anything: where a file
lies is told by the kernel's own lists, a path is followed only as long as it stays in the pool, and with the
caller's rights, who could else learn what is in directories that are closed to him.
"""

import ctypes
import errno
import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple
from uuid import UUID

from runtime.answers.notify import Call, Listener
from runtime.answers.walk import BENEATH, IN_ROOT, NO_CROSSING, NO_MAGIC_LINKS, Unknown, open_from, walk

_libc = ctypes.CDLL(None, use_errno=True)

_SYS_SETGROUPS = {"x86_64": 116, "aarch64": 159}
_PAGE, _PATH_MAX = 4096, 4096
#: As much of a process's list of mounts as is looked through: its root comes first.
_MOUNTS_BYTES = 64 * 2**10
_STATUS_BYTES = 64 * 2**10
_IDS = 65_536
#: linux/capability.h: DAC_OVERRIDE, DAC_READ_SEARCH
_READS_ALL = 1 << 1 | 1 << 2
_STATFS_BYTES = 120
POOL = b"btrfs"


class Figures(NamedTuple):
    """What the kernel tells of a file system of the pool, and whose it is."""

    statfs: bytes
    volume: UUID | None
    """None: the environment's own root."""


class Caller:
    """A context manager; raises `Unknown` where he is gone, and OSError where something can't be opened."""

    def __init__(self, listener: Listener, call: Call):
        self._listener, self._call = listener, call
        self._undo = ExitStack()
        self._process = self._memory = -1

    def __enter__(self) -> "Caller":
        with ExitStack() as undo:
            self._process = os.open(f"/proc/{self._call.pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            undo.callback(os.close, self._process)
            self._memory = undo.enter_context(self._opened("mem", os.O_RDWR))
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @contextmanager
    def _opened(self, name: str, flags: int) -> Iterator[int]:
        """Something of his, and he waited still when it was open: it isn't of the program that a thread of his
        executed meanwhile, nor of another process with his number."""
        fd = os.open(name, flags | os.O_CLOEXEC, dir_fd=self._process)
        try:
            if not self._listener.is_waiting(self._call):
                raise Unknown
            yield fd
        finally:
            os.close(fd)

    def _text(self, name: str, most: int) -> bytes:
        with self._opened(name, os.O_RDONLY) as fd:
            parts = [os.read(fd, most)]
            while parts[-1] and sum(map(len, parts)) < most:
                parts.append(os.read(fd, most))
        return b"".join(parts)

    def write(self, address: int, data: bytes) -> None:
        """Into his memory; OSError where he has none there."""
        if os.pwrite(self._memory, data, address) != len(data):
            raise OSError

    def path_at(self, address: int) -> bytes:
        found = b""
        while b"\0" not in found and len(found) < _PATH_MAX:
            at = address + len(found)
            found += os.pread(self._memory, _PAGE - at % _PAGE, at)
        path, ended, _ = found.partition(b"\0")
        if not ended or not path:
            raise Unknown
        return path

    def uptime_offset_s(self) -> float:
        """Of his clock since boot, from the machine's: time_namespaces(7)."""
        with suppress(FileNotFoundError):
            for line in self._text("timens_offsets", _PAGE).splitlines():
                words = line.split()
                if words[0] == b"boottime":
                    return int(words[1]) + int(words[2]) / 1e9
        return 0.0

    # files -------------------------------------------------------------------------------------

    def figures_of_path(self, path: bytes) -> Figures:
        """Of the file system that a path of his leads to; `Unknown` where that isn't in the pool."""
        resolve = NO_CROSSING | NO_MAGIC_LINKS | (IN_ROOT if path.startswith(b"/") else BENEATH)
        with self._opened("root" if path.startswith(b"/") else "cwd", os.O_PATH) as start:
            self._owner(start)
            try:
                with self._as_himself():
                    there = open_from(start, path, resolve)
            except Unknown as why:
                if why.args != (errno.EXDEV,):
                    raise
                there = self._across(start, path)
            try:
                return self._figures(there)
            finally:
                os.close(there)

    def _across(self, start: int, path: bytes) -> int:
        """Onto volumes of his, and what of the pool is mounted in several places."""
        with self._opened("mountinfo", os.O_RDONLY) as mounts:
            owned = {line.split(b" ", 1)[0] for line in _lines(mounts) if self._owner_of(line)}
        with self._as_himself():
            return walk(start, path, lambda there: _mount_of(there) in owned)

    def figures_of_descriptor(self, number: int) -> Figures:
        with self._opened(f"fd/{number & 0xFFFFFFFF}", os.O_PATH) as there:
            return self._figures(there)

    def _figures(self, there: int) -> Figures:
        owner = self._owner(there)
        buffer = ctypes.create_string_buffer(_STATFS_BYTES)
        if _libc.fstatfs(there, buffer) != 0:
            raise Unknown
        return Figures(buffer.raw, None if owner == self._id else owner)

    @property
    def _id(self) -> UUID:
        return UUID(self._listener.of.rpartition("/")[2])

    def _owner(self, fd: int) -> UUID:
        """Whose it is, by its mount's number in the kernel's lists, so that no file system is asked: the
        environment, or a volume. `Unknown` for all else."""
        number = _mount_of(fd)
        with self._opened("mountinfo", os.O_RDONLY) as mounts:
            line = next((one for one in _lines(mounts) if one.startswith(number + b" ")), b"")
        if (owner := self._owner_of(line)) is None:
            raise Unknown
        return owner

    def _owner_of(self, mount: bytes) -> UUID | None:
        """By a line of his list of mounts. A volume is in it only if it was attached to him: nobody inside can
        mount of the pool what isn't mounted there already."""
        if mount.partition(b" - ")[2].split()[:1] != [POOL]:
            return None
        _, kind, owner, *_ = (*mount.split()[3].split(b"/"), b"", b"", b"")
        with suppress(ValueError):
            found = UUID(owner.decode("ascii", "replace"))
            if kind == b"volumes" or (kind == b"environments" and found == self._id):
                return found
        return None

    @contextmanager
    def _as_himself(self) -> Iterator[None]:
        """This thread has his user and groups in file systems (credentials(7)). Who reads everything in the
        environment anyway is looked up for as the host's root."""
        status = dict(
            line.split(b":\t", 1) for line in self._text("status", _STATUS_BYTES).splitlines() if b":\t" in line
        )
        user, group = (int(status[name].split()[3]) for name in (b"Uid", b"Gid"))
        if int(status[b"CapEff"], 16) & _READS_ALL and self._is_in_the_first_user_namespace():
            yield
            return
        groups = [int(one) for one in status.get(b"Groups", b"").split()]
        try:
            _set_groups(groups)
            _libc.setfsgid(group)
            _libc.setfsuid(user)
            yield
        finally:
            _libc.setfsuid(0)
            _libc.setfsgid(0)
            _set_groups([])

    def _is_in_the_first_user_namespace(self) -> bool:
        """One below has fewer ids, or was made by its root."""
        words = self._text("uid_map", _PAGE).split()
        return len(words) == 3 and words[0] == b"0" and int(words[2]) == _IDS


def _lines(mounts: int) -> Iterator[bytes]:
    """Of a list of mounts, as far as it is looked through: the kernel makes each piece when it is read."""
    rest, seen = b"", 0
    while seen < _MOUNTS_BYTES and (piece := os.read(mounts, _PAGE)):
        seen += len(piece)
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole


def _mount_of(fd: int) -> bytes:
    """The number of its mount."""
    with open(f"/proc/thread-self/fdinfo/{fd}", "rb") as file:  # noqa: PTH123 (quick)
        return next(line.split()[1] for line in file if line.startswith(b"mnt_id:"))


def _set_groups(groups: list[int]) -> None:
    """Of this thread alone, by the system call itself: libc's function changes all threads."""
    array = (ctypes.c_uint32 * len(groups))(*groups)
    if _libc.syscall(_SYS_SETGROUPS[platform.machine()], len(groups), array) != 0:
        raise Unknown
