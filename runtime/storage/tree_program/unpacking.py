"""A tar stream into a directory that is there."""

import contextlib
import os
import stat
import sys
import tarfile
import time
from base64 import b64decode
from collections.abc import Callable
from typing import IO, Any

from runtime.storage.tree_program.ground import (
    AFTER,
    DEEPEST,
    DIRECTORY,
    PIECE,
    Refused,
    closing,
    directory,
    parts_of,
)
from runtime.storage.tree_program.writing import aside, refuse_directory, replacing, write

#: User ids that there are inside.
IDS = 65_536
#: What a link may hold: symlink(7), PATH_MAX.
LONGEST_LINK = 4095


class Unpacking:
    """Entries of an archive into a directory. What is there and isn't in the archive stays."""

    def __init__(self, top: int, until: float):
        self.top, self.until, self.entries, self.skipped = top, until, 0, 0

    def take(self, archive: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        self.take_file(info, lambda: archive.extractfile(info))

    def take_file(self, info: tarfile.TarInfo, opened: Callable[[], IO[bytes] | None]) -> None:
        """`opened` gives what is in a file."""
        if time.monotonic() > self.until:
            raise Refused("too_long")
        parts = inner_parts(info.name)
        if not parts:
            return  # the directory itself
        with contextlib.ExitStack() as undo:
            place = self._place(undo, parts[:-1])
            if info.isdir():
                self._directory(place, parts[-1], info)
            elif info.isreg():
                self._file(place, parts[-1], opened(), info)
            elif info.issym():
                refuse_directory(place, parts[-1])
                leads_to, other = os.fsencode(info.linkname), aside()
                if not 0 < len(leads_to) <= LONGEST_LINK:
                    raise Refused("bad_archive")
                os.symlink(leads_to, other, dir_fd=place)
                os.chown(other, *owner_of(info), dir_fd=place, follow_symlinks=False)
                os.rename(other, parts[-1], src_dir_fd=place, dst_dir_fd=place)
            elif info.islnk():
                self._second_name(place, parts[-1], inner_parts(info.linkname))
            else:
                self.skipped += 1
                return
        self.entries += 1

    def _place(self, undo: contextlib.ExitStack, parts: list[bytes]) -> int:
        """The directory, made where there is none; no link is followed."""
        place = self.top
        for part in parts:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=place)
            place = undo.enter_context(closing(opened_directory(part, place)))
        return place

    def _directory(self, place: int, name: bytes, info: tarfile.TarInfo) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=place)
        with closing(opened_directory(name, place)) as made:
            os.fchown(made, *owner_of(info))
            os.fchmod(made, stat.S_IMODE(info.mode))

    def _file(self, place: int, name: bytes, data: IO[bytes] | None, info: tarfile.TarInfo) -> None:
        with replacing(place, name) as new:
            while data is not None and (piece := data.read(PIECE)):
                if time.monotonic() > self.until:
                    raise Refused("too_long")
                write(new, piece)
            os.fchown(new, *owner_of(info))
            os.fchmod(new, stat.S_IMODE(info.mode))
            moment = max(0.0, min(float(info.mtime), 2.0**40))
            os.utime(new, (moment, moment))

    def _second_name(self, place: int, name: bytes, parts: list[bytes]) -> None:
        """Of a file that came before it."""
        if not parts:
            raise Refused("bad_archive")
        refuse_directory(place, name)
        with contextlib.ExitStack() as undo:
            source, other = self.top, aside()
            try:
                for part in parts[:-1]:
                    source = undo.enter_context(closing(opened_directory(part, source)))
                kind = stat.S_IFMT(os.stat(parts[-1], dir_fd=source, follow_symlinks=False).st_mode)
            except FileNotFoundError as error:
                raise Refused("bad_archive") from error
            if kind != stat.S_IFREG:
                raise Refused("in_the_way")
            os.link(parts[-1], other, src_dir_fd=source, dst_dir_fd=place, follow_symlinks=False)
            os.rename(other, name, src_dir_fd=place, dst_dir_fd=place)
            with contextlib.suppress(FileNotFoundError):  # of two names of one file rename(2) keeps both
                os.unlink(other, dir_fd=place)


def inner_parts(name: str) -> list[bytes]:
    parts = parts_of(os.fsencode(name))
    if b".." in parts or len(parts) > DEEPEST:
        raise Refused("bad_archive")
    return parts


def opened_directory(name: bytes, place: int) -> int:
    try:
        return os.open(name, DIRECTORY, dir_fd=place)
    except NotADirectoryError as error:  # a link, too
        raise Refused("in_the_way") from error


def owner_of(info: tarfile.TarInfo) -> tuple[int, int]:
    """As the archive says, where there is such an id inside; else root."""
    uid, gid = (one if 0 <= one < IDS else 0 for one in (info.uid, info.gid))
    return uid, gid


def unpack(asked: dict[str, Any]) -> dict[str, Any]:
    """A tar archive from stdin, plain or packed, into a directory that is there."""
    with closing(directory(AFTER, parts_of(b64decode(asked["path"])))) as top:
        made = Unpacking(top, time.monotonic() + asked["seconds"])
        try:
            with tarfile.open(fileobj=sys.stdin.buffer, mode="r|*") as archive:
                for info in archive:
                    made.take(archive, info)
                    archive.members = []  # type: ignore[attr-defined]  # it would keep all
        except (Refused, OSError):
            raise
        except Exception as error:  # whatever a parser says of what a stranger sent
            raise Refused("bad_archive") from error
    return {"entries": made.entries, "skipped": made.skipped}
