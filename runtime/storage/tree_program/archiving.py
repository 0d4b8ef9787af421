"""Archives within a tree: several files into one, and one into a directory."""

import contextlib
import os
import stat
import tarfile
import time
import zipfile
from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import IO, Any

from runtime.storage.tree_program.ground import (
    AFTER,
    DEEPEST,
    DIRECTORY,
    FILE,
    GONE,
    PIECE,
    Refused,
    closing,
    directory,
    names_in,
    parts_of,
)
from runtime.storage.tree_program.packing import pack_entry
from runtime.storage.tree_program.trash import names_given
from runtime.storage.tree_program.unpacking import LONGEST_LINK, Unpacking
from runtime.storage.tree_program.writing import aside, rename_to_free

#: zip(5) has no times before it.
_FIRST_YEAR = (1980, 1, 1, 0, 0, 0)


class InTime:
    """A file that is written to or read from until a moment."""

    def __init__(self, file: IO[bytes], until: float):
        self._file, self._until = file, until

    def write(self, data: bytes) -> int:
        self._look()
        return self._file.write(data)

    def read(self, size: int = -1) -> bytes:
        self._look()
        return self._file.read(size)

    def seek(self, at: int, whence: int = 0) -> int:
        return self._file.seek(at, whence)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._file.flush()

    def seekable(self) -> bool:
        return True

    def _look(self) -> None:
        if time.monotonic() > self._until:
            raise Refused("too_long")


@contextlib.contextmanager
def _made_aside(place: int, name: bytes) -> Iterator[int]:
    """A new file that gets its name when it is whole, where nothing has that by then."""
    other = aside()
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with closing(os.open(other, flags, 0o644, dir_fd=place)) as made:
            yield made
        rename_to_free(place, other, place, name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(other, dir_fd=place)
        raise


def archive(asked: dict[str, Any]) -> dict[str, Any]:
    """Those from stdin as one new file: `format` is tar.gz or zip. Each under its own last name."""
    target = parts_of(b64decode(asked["path"]))
    until = time.monotonic() + asked["seconds"]
    if not target:
        raise Refused("in_the_way")
    chosen = [parts_of(one) for one in names_given()]
    if not all(chosen):
        raise Refused("not_allowed")
    if any(target[: len(one)] == one for one in chosen):
        raise Refused("into_itself")
    with closing(directory(AFTER, target[:-1])) as place, _made_aside(place, target[-1]) as made:
        with os.fdopen(os.dup(made), "wb") as raw:
            file: Any = InTime(raw, until)
            entries = _zipped(file, chosen) if asked["format"] == "zip" else _tarred(file, chosen)
        size = os.fstat(made).st_size
    return {"entries": entries, "skipped": 0, "size": size}


def _tarred(file: Any, chosen: list[list[bytes]]) -> int:
    entries = 0
    with tarfile.open(fileobj=file, mode="w|gz", format=tarfile.PAX_FORMAT) as made:
        for parts in chosen:
            name = os.fsdecode(parts[-1])
            with closing(directory(AFTER, parts[:-1])) as place:
                if not pack_entry(made, place, name, name, 0):
                    raise Refused("not_found")
            entries += 1
    return entries


def _zipped(file: Any, chosen: list[list[bytes]]) -> int:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as made:
        for parts in chosen:
            with closing(directory(AFTER, parts[:-1])) as place:
                if not _zip_entry(made, place, parts[-1], parts[-1], 0):
                    raise Refused("not_found")
        return len(made.infolist())


def _zip_entry(made: zipfile.ZipFile, place: int, name: bytes, path: bytes, depth: int) -> bool:
    """False for what is gone, or isn't packed."""
    if depth > DEEPEST:
        raise Refused("too_long")
    try:
        seen = os.stat(name, dir_fd=place, follow_symlinks=False)
        kind = stat.S_IFMT(seen.st_mode)
        moment = max(_FIRST_YEAR, time.gmtime(max(0, min(seen.st_mtime, 4_354_819_198)))[:6])
        # names that are no UTF-8 have none in a zip
        info = zipfile.ZipInfo(path.decode(errors="replace") + ("/" if kind == stat.S_IFDIR else ""), moment)
        info.external_attr, info.compress_type = seen.st_mode << 16, zipfile.ZIP_DEFLATED
        if kind == stat.S_IFDIR:
            with closing(os.open(name, DIRECTORY, dir_fd=place)) as inner:
                made.writestr(info, b"")
                for one in sorted(names_in(inner)):
                    _zip_entry(made, inner, one, path + b"/" + one, depth + 1)
        elif kind == stat.S_IFREG:
            with closing(os.open(name, FILE, dir_fd=place)) as opened:
                if not stat.S_ISREG(os.fstat(opened).st_mode):
                    return False
                with made.open(info, "w", force_zip64=True) as into:
                    left = seen.st_size  # it may grow meanwhile
                    while left > 0 and (data := os.read(opened, min(PIECE, left))):
                        into.write(data)
                        left -= len(data)
        elif kind == stat.S_IFLNK:
            made.writestr(info, os.readlink(name, dir_fd=place))
        else:
            return False
    except OSError as error:
        if error.errno in GONE:
            return False
        raise
    return True


def _taken_back(above: int, name: bytes) -> Callable[..., None]:
    """Takes a directory away again that nothing came into, where something was refused."""

    def back(kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=above)

    return back


def extract(asked: dict[str, Any]) -> dict[str, Any]:
    """An archive that lies in the tree into a directory, which is made where there is none: zip, or tar plain
    or packed. What has the same name is replaced, all else stays."""
    parts, into = parts_of(b64decode(asked["path"])), parts_of(b64decode(asked["into"]))
    until = time.monotonic() + asked["seconds"]
    if not parts:
        raise Refused("not_found")
    with contextlib.ExitStack() as undo:
        place = undo.enter_context(closing(directory(AFTER, parts[:-1])))
        opened = os.open(parts[-1], FILE, dir_fd=place)
        raw = undo.enter_context(os.fdopen(opened, "rb"))
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise Refused("in_the_way")
        if into:
            above = undo.enter_context(closing(directory(AFTER, into[:-1])))
            with contextlib.suppress(FileExistsError):
                os.mkdir(into[-1], 0o755, dir_fd=above)
                undo.push(_taken_back(above, into[-1]))
        top = undo.enter_context(closing(directory(AFTER, into)))
        made, file = Unpacking(top, until), InTime(raw, until)
        try:
            if raw.read(2) == b"PK":
                _unzipped(made, file)
            else:
                raw.seek(0)
                _untarred(made, file)
        except (Refused, OSError):
            raise
        except Exception as error:  # whatever a parser says of what a stranger made
            raise Refused("bad_archive") from error
    return {"entries": made.entries, "skipped": made.skipped, "size": 0}


def _untarred(made: Unpacking, file: Any) -> None:
    with tarfile.open(fileobj=file, mode="r|*") as found:
        for info in found:
            made.take(found, info)
            found.members = []  # type: ignore[attr-defined]  # it would keep all


def _unzipped(made: Unpacking, file: Any) -> None:
    with zipfile.ZipFile(file) as found:
        for info in found.infolist():
            made.take_file(_as_of_tar(found, info), lambda info=info: found.open(info))  # type: ignore[misc]


def _as_of_tar(found: zipfile.ZipFile, info: zipfile.ZipInfo) -> tarfile.TarInfo:
    """The same in the words of a tar archive: of root, as zip(5) knows no owners."""
    one = tarfile.TarInfo(info.filename)
    mode = info.external_attr >> 16
    kind = stat.S_IFMT(mode)
    one.mode = stat.S_IMODE(mode) & 0o777
    one.size = info.file_size
    with contextlib.suppress(ValueError, OverflowError):
        one.mtime = time.mktime((*info.date_time, 0, 0, -1))
    if info.is_dir():
        one.type, one.mode = tarfile.DIRTYPE, one.mode or 0o755
    elif kind == stat.S_IFLNK:
        if info.file_size > LONGEST_LINK:
            raise Refused("bad_archive")
        one.type, one.linkname = tarfile.SYMTYPE, os.fsdecode(found.read(info))
    elif kind in (0, stat.S_IFREG):
        one.mode = one.mode or 0o644
    else:
        one.type = tarfile.FIFOTYPE  # which is skipped
    return one
