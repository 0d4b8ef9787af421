"""Run by `runtime.storage.trees`, inside the confined container, with nothing but Python's own library:
compares two trees, and copies, writes, deletes and packs what is in one.

Whatever is in the trees is hostile, and one of them may change meanwhile. Each part of a path is opened without
following a link; nothing is opened that could wait. What goes wrong nevertheless stays within the container.

    python3 -I -c SOURCE '{"verb": "compare", …}'

Answers in one line of JSON; refusals come as one on stderr, with exit code 3.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import stat
import sys
import tarfile
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

BEFORE, AFTER = "/before", "/after"
#: Of directories within each other; two descriptors are open for each.
DEEPEST = 200
#: Of one directory: its names are held in memory.
MOST_NAMES = 300_000
#: Of paths in an answer.
MOST_PATH_BYTES = 2 * 2**20
#: Of a package manager's list.
MOST_STATUS_BYTES = 16 * 2**20
MOST_PACKAGES = 2000
PIECE = 1 << 20
_FICLONE = 0x40049409
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
_LISTS = ((b"var/lib/dpkg/status", "Package: ", "Version: "), (b"lib/apk/db/installed", "P:", "V:"),
          (b"usr/lib/apk/db/installed", "P:", "V:"))  # fmt: skip
#: User ids that there are inside.
IDS = 65_536
#: What is worth telling of a refusal, by errno.
_CODES = {
    **dict.fromkeys((errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG), "not_found"),
    **dict.fromkeys((errno.EDQUOT, errno.ENOSPC), "no_space"),
    **dict.fromkeys((errno.EISDIR, errno.EEXIST), "in_the_way"),
    **dict.fromkeys((errno.EPERM, errno.EACCES, errno.EROFS), "not_allowed"),
    errno.ENOTEMPTY: "not_empty",
    errno.EMFILE: "too_long",
}
#: Of what is gone by now, or is something else.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)


class Refused(Exception):
    """By a word of `runtime.storage.trees`."""


class TooLong(Exception):
    """The time is over; what was found by then is told."""


@contextlib.contextmanager
def closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def parts_of(path: bytes) -> list[bytes]:
    return [one for one in path.split(b"/") if one not in (b"", b".")]


def directory(top: str, parts: list[bytes]) -> int:
    """A descriptor of a directory below the top: no link is followed."""
    found = os.open(top, _DIRECTORY)
    for part in parts:
        with closing(found):
            inner = os.open(part, _DIRECTORY, dir_fd=found)
        found = inner
    return found


# comparing ----------------------------------------------------------------------------------------


class Comparison:
    def __init__(self, most: int, until: float):
        self.most, self.until = most, until
        self.found: list[list[Any]] = []
        self.counts = {"added": 0, "changed": 0, "removed": 0}
        self.is_whole = True
        self._bytes = self._seen = 0

    def directories(self, before: int | None, after: int | None, at: bytes, depth: int) -> None:
        old, new = self._listed(before), self._listed(after)
        for name in sorted(old.keys() | new.keys()):
            x, y = old.get(name), new.get(name)
            path = at + b"/" + name
            if x is None or y is None:
                self._note("removed" if y is None else "added", path, x, y)
            elif differ(x, y):
                self._note("changed", path, x, y)
            inner = [one is not None and stat.S_ISDIR(one.st_mode) for one in (x, y)]
            if any(inner):
                self._deeper(before if inner[0] else None, after if inner[1] else None, name, path, depth)

    def _deeper(self, before: int | None, after: int | None, name: bytes, path: bytes, depth: int) -> None:
        if depth >= DEEPEST:
            self.is_whole = False
            return
        with contextlib.ExitStack() as undo:
            opened = []
            for one in (before, after):
                found = None
                if one is not None:
                    with contextlib.suppress(OSError):  # gone, or something else by now
                        found = undo.enter_context(closing(os.open(name, _DIRECTORY, dir_fd=one)))
                opened.append(found)
            self.directories(opened[0], opened[1], path, depth + 1)

    def _listed(self, directory: int | None) -> dict[bytes, os.stat_result]:
        if directory is None:
            return {}
        found = {}
        with os.scandir(directory) as entries:
            for entry in islice(entries, MOST_NAMES + 1):
                with contextlib.suppress(OSError):  # gone meanwhile
                    found[os.fsencode(entry.name)] = entry.stat(follow_symlinks=False)
                self._seen += 1
                if self._seen % 1000 == 0 and time.monotonic() > self.until:
                    raise TooLong
        if len(found) > MOST_NAMES:
            self.is_whole = False
        return found

    def _note(self, what: str, path: bytes, x: os.stat_result | None, y: os.stat_result | None) -> None:
        self.counts[what] += 1
        if len(self.found) >= self.most or self._bytes > MOST_PATH_BYTES:
            return
        self._bytes += len(path)
        kept = y if y is not None else x
        assert kept is not None
        self.found.append([what, b64encode(path).decode(), sort_of(kept), size_of(x), size_of(y)])


def differ(x: os.stat_result, y: os.stat_result) -> bool:
    """Of a directory only what is its own: what is in it is told by itself."""
    own = (x.st_mode, x.st_uid, x.st_gid) != (y.st_mode, y.st_uid, y.st_gid)
    if own or stat.S_ISDIR(x.st_mode):
        return own
    return (x.st_size, x.st_mtime_ns, x.st_ctime_ns, x.st_rdev) != (
        *(y.st_size, y.st_mtime_ns, y.st_ctime_ns, y.st_rdev),
    )


def sort_of(seen: os.stat_result) -> str:
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(seen.st_mode), "other")


def size_of(seen: os.stat_result | None) -> int | None:
    return seen.st_size if seen is not None and stat.S_ISREG(seen.st_mode) else None


def packages(top: str) -> dict[str, str]:
    """Versions of what dpkg or apk has installed, by name."""
    found: dict[str, str] = {}
    for path, named, versioned in _LISTS:
        parts = parts_of(path)
        with (
            contextlib.suppress(OSError),
            closing(directory(top, parts[:-1])) as place,
            closing(os.open(parts[-1], _FILE, dir_fd=place)) as file,
        ):
            if stat.S_ISREG(os.fstat(file).st_mode):
                found.update(_versions(os.read(file, MOST_STATUS_BYTES), named, versioned))
    return found


def _versions(text: bytes, named: str, versioned: str) -> Iterator[tuple[str, str]]:
    name = version = ""
    is_there = True
    for line in [*text.decode(errors="replace").splitlines(), ""]:
        if line.startswith(named):
            name = line[len(named) :].strip()[:200]
        elif line.startswith(versioned):
            version = line[len(versioned) :].strip()[:200]
        elif line.startswith("Status: "):
            is_there = line.endswith(" installed")
        elif not line:
            if name and version and is_there:
                yield name, version
            name, version, is_there = "", "", True


def compare(asked: dict[str, Any]) -> dict[str, Any]:
    made = Comparison(asked["most"], time.monotonic() + asked["seconds"])
    try:
        with closing(directory(BEFORE, [])) as x, closing(directory(AFTER, [])) as y:
            made.directories(x, y, b"", 0)
    except TooLong:
        made.is_whole = False
    old, new = packages(BEFORE), packages(AFTER)
    other = [[one, old.get(one), new.get(one)] for one in sorted(old | new) if old.get(one) != new.get(one)]
    return {
        "changes": made.found,
        "counts": made.counts,
        "is_whole": made.is_whole,
        "packages": other[:MOST_PACKAGES],
    }


# writing ------------------------------------------------------------------------------------------


class Copy:
    """From the tree of then into the one of now. What was added to a directory since stays in it."""

    def __init__(self, until: float):
        self.until, self.entries, self.skipped = until, 0, 0

    def put_back(self, parts: list[bytes]) -> None:
        with contextlib.ExitStack() as undo:
            x = undo.enter_context(closing(directory(BEFORE, [])))
            y = undo.enter_context(closing(directory(AFTER, [])))
            for part in parts[:-1]:
                x = undo.enter_context(closing(os.open(part, _DIRECTORY, dir_fd=x)))
                y = undo.enter_context(closing(self._made(part, os.fstat(x), y)))
            if parts:
                self._entry(x, y, parts[-1], 0)
            else:
                self._all_of(x, y, 0)

    def _made(self, name: bytes, like: os.stat_result, place: int) -> int:
        """The directory of this name, made where there is none."""
        try:
            return os.open(name, _DIRECTORY, dir_fd=place)
        except FileNotFoundError:
            os.mkdir(name, 0o700, dir_fd=place)
        except OSError as error:
            raise Refused("in_the_way") from error
        made = os.open(name, _DIRECTORY, dir_fd=place)
        os.fchown(made, like.st_uid, like.st_gid)
        os.fchmod(made, stat.S_IMODE(like.st_mode))
        return made

    def _entry(self, x: int, y: int, name: bytes, depth: int) -> None:
        if time.monotonic() > self.until or depth > DEEPEST:
            raise Refused("too_long")
        seen = os.stat(name, dir_fd=x, follow_symlinks=False)
        kind = stat.S_IFMT(seen.st_mode)
        if kind == stat.S_IFDIR:
            with (
                closing(os.open(name, _DIRECTORY, dir_fd=x)) as inner,
                closing(self._made(name, seen, y)) as made,
            ):
                self._all_of(inner, made, depth + 1)
                os.fchown(made, seen.st_uid, seen.st_gid)
                os.fchmod(made, stat.S_IMODE(seen.st_mode))
                _copy_attributes(inner, made)
                os.utime(made, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        elif kind == stat.S_IFREG:
            with closing(os.open(name, _FILE, dir_fd=x)) as file, replacing(y, name) as new:
                _fill(file, new, self.until)
                os.fchown(new, seen.st_uid, seen.st_gid)
                os.fchmod(new, stat.S_IMODE(seen.st_mode))
                _copy_attributes(file, new)
                os.utime(new, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        elif kind == stat.S_IFLNK:
            _refuse_directory(y, name)
            other = aside()
            os.symlink(os.readlink(name, dir_fd=x), other, dir_fd=y)
            os.chown(other, seen.st_uid, seen.st_gid, dir_fd=y, follow_symlinks=False)
            os.rename(other, name, src_dir_fd=y, dst_dir_fd=y)
        else:
            self.skipped += 1
            return
        self.entries += 1

    def _all_of(self, x: int, y: int, depth: int) -> None:
        for entry in os.listdir(x):
            self._entry(x, y, os.fsencode(entry), depth)


def aside() -> bytes:
    """A name for what isn't whole yet."""
    return b".wadah-" + os.urandom(8).hex().encode()


def _refuse_directory(place: int, name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode):
            raise Refused("in_the_way")


@contextlib.contextmanager
def replacing(place: int, name: bytes) -> Iterator[int]:
    """A new file that takes the place of what has the name once it is whole."""
    _refuse_directory(place, name)
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
            _write(new, data)


def _write(to: int, data: bytes) -> None:
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
            _write(new, data)
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


# packing ------------------------------------------------------------------------------------------


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
        elif not _pack_entry(archive, top, name, name, 0):
            raise Refused("not_found")


def _pack(archive: tarfile.TarFile, place: int, at: str, depth: int) -> None:
    archive.addfile(_described(at, os.fstat(place)))
    for name in sorted(os.listdir(place)):
        _pack_entry(archive, place, name, f"{at}/{name}", depth)


def _pack_entry(archive: tarfile.TarFile, place: int, name: str, path: str, depth: int) -> bool:
    """False for what is gone, or isn't packed."""
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
            opened = os.open(name, _DIRECTORY if stat.S_ISDIR(seen.st_mode) else _FILE, dir_fd=place)
        else:
            return None
    except OSError as error:
        if error.errno in _GONE:
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


# unpacking ----------------------------------------------------------------------------------------


class Unpacking:
    """Entries of an archive into a directory. What is there and isn't in the archive stays."""

    def __init__(self, top: int, until: float):
        self.top, self.until, self.entries, self.skipped = top, until, 0, 0

    def take(self, archive: tarfile.TarFile, info: tarfile.TarInfo) -> None:
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
                self._file(place, parts[-1], archive.extractfile(info), info)
            elif info.issym():
                _refuse_directory(place, parts[-1])
                other = aside()
                os.symlink(os.fsencode(info.linkname), other, dir_fd=place)
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
                _write(new, piece)
            os.fchown(new, *owner_of(info))
            os.fchmod(new, stat.S_IMODE(info.mode))
            moment = max(0.0, min(float(info.mtime), 2.0**40))
            os.utime(new, (moment, moment))

    def _second_name(self, place: int, name: bytes, parts: list[bytes]) -> None:
        """Of a file that came before it."""
        if not parts:
            raise Refused("bad_archive")
        _refuse_directory(place, name)
        with contextlib.ExitStack() as undo:
            source, other = self._place(undo, parts[:-1]), aside()
            if not stat.S_ISREG(os.stat(parts[-1], dir_fd=source, follow_symlinks=False).st_mode):
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
        return os.open(name, _DIRECTORY, dir_fd=place)
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


VERBS = {
    "compare": compare,
    "put_back": put_back,
    "put": put,
    "delete": delete,
    "pack": pack,
    "unpack": unpack,
}


def main() -> None:
    asked = json.loads(sys.argv[1])
    os.umask(0)
    try:
        answer = VERBS[asked["verb"]](asked)
    except Refused as refused:
        code = str(refused)
    except OSError as error:
        code = _CODES.get(error.errno or 0, "failed")
    except RecursionError:
        code = "too_long"
    else:
        if answer is not None:
            sys.stdout.write(json.dumps(answer))
        return
    sys.stderr.write(json.dumps({"refused": code}))
    sys.exit(3)


if __name__ == "__main__":
    main()
