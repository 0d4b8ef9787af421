"""A tree as a tar stream."""

import os
import stat
import sys
import tarfile
from base64 import b64decode
from typing import IO, Any

from runtime.storage.tree_program.ground import (
    BEFORE,
    DEEPEST,
    DIRECTORY,
    FILE,
    GONE,
    Refused,
    closing,
    directory,
    parts_of,
)


def pack(asked: dict[str, Any]) -> None:
    """A directory as a tar stream on stdout; with `is_any`, whatever has this name."""
    parts = parts_of(b64decode(asked["path"]))
    name = os.fsdecode(parts[-1]) if parts else "root"
    with (
        closing(directory(BEFORE, parts[:-1] if asked.get("is_any") else parts)) as top,
        tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        if not asked.get("is_any") or not parts:
            _pack(archive, top, name, 0)
        elif not pack_entry(archive, top, name, name, 0):
            raise Refused("not_found")


def _pack(archive: tarfile.TarFile, place: int, at: str, depth: int) -> None:
    archive.addfile(_described(at, os.fstat(place)))
    for name in sorted(os.listdir(place)):
        pack_entry(archive, place, name, f"{at}/{name}", depth)


def pack_entry(archive: tarfile.TarFile, place: int, name: str, path: str, depth: int) -> bool:
    """What has this name, under a path of the archive. False for what is gone, or isn't packed."""
    found = _opened(place, name)
    if found is None:
        return False
    seen, opened = found
    if stat.S_ISDIR(seen.st_mode):
        if depth >= DEEPEST:
            os.close(opened)
            raise Refused("too_long")
        with closing(opened):
            _pack(archive, opened, path, depth + 1)
    elif stat.S_ISREG(seen.st_mode):
        _pack_file(archive, opened, path)
    else:
        with closing(opened):
            info = _described(path, seen)
            info.linkname = os.readlink("", dir_fd=opened)
            archive.addfile(info)
    return True


def _opened(place: int, name: str) -> tuple[os.stat_result, int] | None:
    """What has this name, with a descriptor: of a link one by which only that is known. None of what is gone
    by now, or no directory, file or link."""
    try:
        seen = os.stat(name, dir_fd=place, follow_symlinks=False)
        if stat.S_ISLNK(seen.st_mode):
            opened = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
        elif stat.S_ISDIR(seen.st_mode) or stat.S_ISREG(seen.st_mode):
            opened = os.open(name, DIRECTORY if stat.S_ISDIR(seen.st_mode) else FILE, dir_fd=place)
        else:
            return None
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
    now = os.fstat(opened)
    if stat.S_IFMT(now.st_mode) != stat.S_IFMT(seen.st_mode):
        os.close(opened)
        return None
    return now, opened


def _pack_file(archive: tarfile.TarFile, opened: int, path: str) -> None:
    with os.fdopen(opened, "rb", buffering=0) as file:
        seen = os.fstat(file.fileno())
        if stat.S_ISREG(seen.st_mode):
            info = _described(path, seen)
            info.size = seen.st_size
            archive.addfile(info, _Exactly(file, seen.st_size))


class _Exactly:
    """So many bytes of a file that may shrink or grow meanwhile; what lacks is zero."""

    def __init__(self, file: IO[bytes], size: int):
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted) or b""
        self._left -= wanted
        return data + bytes(wanted - len(data))


def _described(path: str, seen: os.stat_result) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.mode, info.uid, info.gid = stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid
    info.mtime = seen.st_mtime
    kinds = {stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE}
    info.type = kinds.get(stat.S_IFMT(seen.st_mode), tarfile.REGTYPE)
    return info
