"""Two trees beside each other: what was added, changed and taken away, and packages of each."""

import contextlib
import os
import stat
import time
from base64 import b64encode
from collections.abc import Iterator
from itertools import islice
from typing import Any

from runtime.storage.tree_program.ground import (
    AFTER,
    BEFORE,
    DEEPEST,
    DIRECTORY,
    FILE,
    TooLong,
    closing,
    directory,
    parts_of,
)

#: Of one directory: its names are held in memory.
MOST_NAMES = 300_000
#: Of paths in an answer.
MOST_PATH_BYTES = 2 * 2**20
#: Of a package manager's list.
MOST_STATUS_BYTES = 16 * 2**20
MOST_PACKAGES = 2000
_LISTS = ((b"var/lib/dpkg/status", "Package: ", "Version: "), (b"lib/apk/db/installed", "P:", "V:"),
          (b"usr/lib/apk/db/installed", "P:", "V:"))  # fmt: skip


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
                        found = undo.enter_context(closing(os.open(name, DIRECTORY, dir_fd=one)))
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
            closing(os.open(parts[-1], FILE, dir_fd=place)) as file,
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
