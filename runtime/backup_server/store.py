"""Repositories in the directory for backups, laid out as restic itself lays out a local one.

No link below the directory is followed: what lies there may have been written by a tool that was taken over.
"""

import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from runtime.host.safetree import open_directory

#: What restic keeps files of, each called by the SHA-256 of what is in it; and one that has a name alone.
SORTS, CONFIG = ("data", "index", "keys", "locks", "snapshots"), "config"
#: Left free on the disk: it isn't the tenants' to fill.
RESERVE_BYTES = 64 * 2**20
_NAME = re.compile(r"[0-9a-f]{64}")
_COMING, _FORGOTTEN_AFTER_S = "coming", 24 * 3600.0


class Gone(Exception):
    """The directory, the repository or the file isn't there."""


class Full(Exception):
    """No room is left for it."""


class Refused(Exception):
    """It isn't what it is called, or there is one of this name already."""


def is_file(sort: str, name: str) -> bool:
    return (sort, name) == (CONFIG, CONFIG) or (sort in SORTS and _NAME.fullmatch(name) is not None)


@dataclass
class Coming:
    """A file that is being written, and isn't there before it is whole."""

    repository: "Repository"
    sort: str
    name: str
    descriptor: int
    temporary: str
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def write(self, piece: bytes) -> None:
        """Raises `Full`."""
        if len(piece) + RESERVE_BYTES > self.repository.free:
            raise Full
        self._digest.update(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def keep(self) -> None:
        """Raises `Refused`."""
        if self.sort != CONFIG and self._digest.hexdigest() != self.name:
            raise Refused
        os.fsync(self.descriptor)
        with self.repository.place_of(self.sort, self.name, makes=True) as (place, name):
            try:
                os.link(f"{_COMING}/{self.temporary}", name, src_dir_fd=self.repository.top, dst_dir_fd=place)
            except FileExistsError as error:
                raise Refused from error
            _synced(place)


@dataclass(frozen=True)
class Repository:
    top: int
    """A descriptor of its directory."""

    @property
    def free(self) -> int:
        found = os.statvfs(self.top)
        return found.f_bavail * found.f_frsize

    def make(self) -> None:
        """A no-op where it is there; what was cut off a day ago goes."""
        for name in (*SORTS, _COMING):
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=self.top)
        self.forget_what_came(older_than_s=_FORGOTTEN_AFTER_S)

    def forget_what_came(self, *, older_than_s: float = 0.0) -> None:
        """Files that were cut off before they were whole. Raises `Gone` before the repository was made."""
        with self._directory(_COMING) as coming:
            for name in _names_in(coming):
                with suppress(OSError):
                    if older_than_s <= 0 or os.lstat(name, dir_fd=coming).st_mtime < time.time() - older_than_s:
                        os.unlink(name, dir_fd=coming)

    @contextmanager
    def place_of(self, sort: str, name: str, *, makes: bool = False) -> Iterator[tuple[int, str]]:
        """Its directory, and what it is called there. Raises `Gone`."""
        below = "." if sort == CONFIG else f"data/{name[:2]}" if sort == "data" else sort
        if makes and sort == "data":
            with suppress(FileExistsError), self._directory("data") as data:
                os.mkdir(name[:2], 0o700, dir_fd=data)
        with self._directory(below) as place:
            yield place, CONFIG if sort == CONFIG else name

    @contextmanager
    def coming(self, sort: str, name: str) -> Iterator[Coming]:
        """Raises `Gone` before the repository was made."""
        temporary = secrets.token_hex(16)
        with self._directory(_COMING) as place:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o600, dir_fd=place)
            try:
                yield Coming(self, sort, name, descriptor, temporary)
            finally:
                os.close(descriptor)
                os.unlink(temporary, dir_fd=place)

    def open(self, sort: str, name: str) -> tuple[int, int]:
        """A descriptor to read, and its size. Raises `Gone`."""
        with self.place_of(sort, name) as (place, known):
            try:
                found = os.open(known, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
            except OSError as error:
                raise Gone from error
        seen = os.fstat(found)
        if not stat.S_ISREG(seen.st_mode):
            os.close(found)
            raise Gone
        return found, seen.st_size

    def listed(self, sort: str) -> list[tuple[str, int]]:
        """Names and sizes. Raises `Gone`."""
        if sort != "data":
            return list(self._files_in(sort))
        found = list[tuple[str, int]]()
        with self._directory("data") as data:
            parts = _names_in(data)
        for part in parts:
            with suppress(Gone):
                found += self._files_in(f"data/{part}")
        return found

    def _files_in(self, below: str) -> Iterator[tuple[str, int]]:
        with self._directory(below) as place, os.scandir(place) as entries:
            for one in entries:
                if _NAME.fullmatch(one.name) and one.is_file(follow_symlinks=False):
                    yield one.name, one.stat(follow_symlinks=False).st_size

    def remove(self, sort: str, name: str) -> None:
        """Raises `Gone`."""
        with self.place_of(sort, name) as (place, known):
            try:
                os.unlink(known, dir_fd=place)
            except FileNotFoundError as error:
                raise Gone from error
            _synced(place)

    @contextmanager
    def _directory(self, below: str) -> Iterator[int]:
        try:
            path = open_directory(self.top, below, beneath_mounts=True)
        except OSError as error:
            raise Gone from error
        try:
            found = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=path)
        finally:
            os.close(path)
        try:
            yield found
        finally:
            os.close(found)


def _names_in(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [one.name for one in entries]


def _synced(directory: int) -> None:
    os.fsync(directory)


@contextmanager
def opened(directory: Path, tenant: UUID, name: str, *, makes: bool = False) -> Iterator[Repository]:
    """Of one tenant, by its name. Raises `Gone`, and `Full` where none is made for lack of room."""
    try:
        root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Gone from error
    try:
        if makes:
            if shutil.disk_usage(root).free < RESERVE_BYTES:
                raise Full
            for path in (str(tenant), f"{tenant}/{name}"):
                _made(root, path)
        try:
            top = open_directory(root, f"{tenant}/{name}")
        except OSError as error:
            raise Gone from error
    finally:
        os.close(root)
    try:
        yield Repository(top)
    finally:
        os.close(top)


def forget_what_came(directory: Path) -> None:
    """Of all repositories: before the server takes anything, since what it was taking when it was killed is
    nobody's."""
    for tenant in directory.glob("*"):
        with suppress(ValueError, OSError):
            known = UUID(tenant.name)
            for name in [one.name for one in tenant.iterdir()]:
                with suppress(Gone), opened(directory, known, name) as repository:
                    repository.forget_what_came()


def _made(root: int, path: str) -> None:
    above, _, name = path.rpartition("/")
    parent = open_directory(root, above or ".")
    try:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
    finally:
        os.close(parent)
