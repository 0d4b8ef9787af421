"""Searching a tree: by name, and by what is in its files."""

import fnmatch
import os
import stat
import time
from base64 import b64decode, b64encode
from typing import Any

from runtime.storage.tree_program.ground import (
    BEFORE,
    DEEPEST,
    DIRECTORY,
    FILE,
    GONE,
    TRASH,
    UPLOADS,
    TooLong,
    closing,
    directory,
    names_in,
    parts_of,
)

#: Of each file so much is looked at, and of its line so much is told.
_LOOKED_AT_BYTES, _SHOWN_BYTES = 4 << 20, 200
#: Of paths in an answer.
_MOST_FOUND_BYTES = 4 << 20
_SORT_OF = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}


class Search:
    """Names that hold the text, or match it where it has `*` or `?`, in whatever case; with `content` plain
    files whose content holds it. Bounded in time, depth and number: `is_whole` says whether that sufficed."""

    def __init__(self, asked: dict[str, Any]):
        self.wanted = b64decode(asked["text"])
        self.folded = self.wanted.decode(errors="surrogateescape").casefold()
        self.is_pattern = any(one in self.folded for one in "*?")
        self.content, self.most = asked["content"], asked["most"]
        self.until = time.monotonic() + asked["seconds"]
        self.found, self.is_whole, self.bytes = list[list[Any]](), True, 0

    def walk(self, place: int, at: bytes, depth: int) -> None:
        if depth > DEEPEST:
            self.is_whole = False
            return
        for name in sorted(names_in(place)):
            if len(self.found) >= self.most or self.bytes > _MOST_FOUND_BYTES:
                raise TooLong
            if time.monotonic() > self.until:
                raise TooLong
            if at == b"" and name in {TRASH, UPLOADS}:
                continue
            try:
                self._entry(place, name, at + b"/" + name, depth)
            except OSError as error:
                if error.errno not in GONE:
                    self.is_whole = False

    def _entry(self, place: int, name: bytes, path: bytes, depth: int) -> None:
        seen = os.stat(name, dir_fd=place, follow_symlinks=False)
        kind = stat.S_IFMT(seen.st_mode)
        line: tuple[int, str] | None = None
        is_it = False if self.content else self._is_name(name)
        if self.content and kind == stat.S_IFREG and seen.st_size:
            line = self._line(place, name)
            is_it = line is not None
        if is_it:
            size = seen.st_size if kind == stat.S_IFREG else None
            sort = _SORT_OF.get(kind, "other")
            self.bytes += len(path)
            self.found.append([b64encode(path).decode(), sort, size, *(line or (None, ""))])
        if kind == stat.S_IFDIR:
            with closing(os.open(name, DIRECTORY, dir_fd=place)) as inner:
                self.walk(inner, path, depth + 1)

    def _is_name(self, name: bytes) -> bool:
        text = name.decode(errors="surrogateescape").casefold()
        return fnmatch.fnmatchcase(text, self.folded) if self.is_pattern else self.folded in text

    def _line(self, place: int, name: bytes) -> tuple[int, str] | None:
        """Number and text of the first line with it."""
        with closing(os.open(name, FILE, dir_fd=place)) as file:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                return None
            data = os.read(file, _LOOKED_AT_BYTES)
        at = data.find(self.wanted)
        if at < 0:
            return None
        begin, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
        begin, end = max(begin, at - _SHOWN_BYTES // 2), len(data) if end < 0 else end
        shown = data[begin : min(end, begin + _SHOWN_BYTES)].decode(errors="replace")
        return data.count(b"\n", 0, at) + 1, "".join(one if one.isprintable() else " " for one in shown)


def search(asked: dict[str, Any]) -> dict[str, Any]:
    """Below a directory, by name; links aren't followed, and the trash is left out."""
    parts = parts_of(b64decode(asked["path"]))
    one = Search(asked)
    with closing(directory(BEFORE, parts)) as top:
        try:
            one.walk(top, b"".join(b"/" + part for part in parts), 0)
        except TooLong:
            one.is_whole = False
    return {"entries": one.found, "is_whole": one.is_whole}
