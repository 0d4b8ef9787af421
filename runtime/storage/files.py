"""Files of a snapshot or of the environment itself, read from outside: a page of a directory, and one file.

Names are hostile, and what is no snapshot changes while it is looked at.
No link is followed, no fifo waited for, no device opened: openat2(2) resolves paths below the snapshot's top.
"""

import os
import stat
from base64 import b64encode
from bisect import bisect_right
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from uuid import UUID

from runtime.contract.words import agent
from runtime.errors import RuntimeFault
from runtime.host.safetree import SafeTree
from runtime.node import Node
from runtime.storage.owners import owners
from runtime.storage.snapshots import Snapshots

#: Entries of one page.
MOST_ENTRIES = 1000
#: Of a directory: all of them are held and sorted, in memory of the node's own.
MOST_NAMES = 200_000
#: Of names and targets of a page; each link's target may have 4,095, and who answers holds the page as a whole.
MOST_PAGE_BYTES = 256 * 1024
#: path_resolution(7), PATH_MAX.
LONGEST_PATH_BYTES = 4095


class Sort(StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"
    """Fifo, socket or device."""


_SORTS = {stat.S_IFREG: Sort.FILE, stat.S_IFDIR: Sort.DIRECTORY, stat.S_IFLNK: Sort.LINK}


@dataclass(frozen=True)
class Entry:
    name: str
    """Bytes that are no UTF-8 stand as U+FFFD."""
    raw: str
    """The name's own bytes as base64."""
    sort: Sort
    size: int
    mode: str
    """Octal, as chmod(1) takes it."""
    uid: int
    gid: int
    """As inside."""
    changed_at: float
    """Seconds since 1970: of the content."""
    target: str = ""
    """Of a link."""
    owner: str = ""
    """By the tree's own list of users; empty where it has none of that number."""
    group: str = ""


@dataclass(frozen=True)
class Listed:
    entries: list[Entry]
    total: int
    next: str
    """Raw name to go on after; empty at the end."""


class Files:
    def __init__(self, node: Node):
        self.snapshots = Snapshots(node)

    def listed(
        self, environment_id: UUID, snapshot: UUID | None, path: bytes, *, after: bytes, most: int
    ) -> Listed:
        """Entries of a directory by name, those that come after `after`. Raises `RuntimeFault` (`not_found`)
        when there is no such snapshot or directory, or a link is on the way; `too_many_entries` for one with
        more than `MOST_NAMES`."""
        with self._tree(environment_id, snapshot) as tree:
            fd = tree.open_plain(os.fsdecode(checked(path)), os.O_RDONLY | os.O_DIRECTORY)
            try:
                names = _names(fd)
                begin = bisect_right(names, after) if after else 0
                entries, looked_at = _page(fd, names[begin : begin + max(1, min(most, MOST_ENTRIES))])
            finally:
                os.close(fd)
            users, groups = owners(tree, "etc/passwd"), owners(tree, "etc/group")
        entries = [replace(one, owner=users.get(one.uid, ""), group=groups.get(one.gid, "")) for one in entries]
        end = begin + looked_at
        return Listed(entries, len(names), "" if end >= len(names) else b64encode(names[end - 1]).decode())

    def opened(self, environment_id: UUID, snapshot: UUID | None, path: bytes) -> tuple[int, int]:
        """A descriptor to read a plain file by, which the caller closes, and its size in bytes. Raises
        `RuntimeFault` (`not_found`) for anything else."""
        with self._tree(environment_id, snapshot) as tree:
            fd = tree.open_plain(os.fsdecode(checked(path)), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        seen = os.fstat(fd)
        if not stat.S_ISREG(seen.st_mode):
            os.close(fd)
            raise _missing()
        return fd, seen.st_size

    def _tree(self, environment_id: UUID, snapshot: UUID | None) -> "_Tree":
        if snapshot is None:
            return _Tree(self.snapshots.node.root_volume(environment_id))
        return _Tree(self.snapshots.path(environment_id, snapshot))


class _Tree:
    """The top of a snapshot, while it is used."""

    def __init__(self, top: Path):
        self._top = top

    def __enter__(self) -> SafeTree:
        try:
            self._opened = SafeTree.open(self._top)
            return self._opened.__enter__()
        except OSError as error:
            raise RuntimeFault(agent.no_snapshot(), code="not_found", retryable=False) from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._opened.__exit__(None, None, None)
        if isinstance(error, OSError):
            raise _missing() from error


def checked(path: bytes) -> bytes:
    """Relative to the top; `.` for the top itself. `RuntimeFault` (`not_found`) for what can't be a path."""
    if len(path) > LONGEST_PATH_BYTES or b"\0" in path or b".." in path.split(b"/"):
        raise _missing()
    return path.strip(b"/") or b"."


def _missing() -> RuntimeFault:
    return RuntimeFault(agent.no_such_path(), code="not_found", retryable=False)


def _names(directory: int) -> list[bytes]:
    with os.scandir(directory) as entries:
        names = sorted(os.fsencode(one.name) for one in islice(entries, MOST_NAMES + 1))
    if len(names) > MOST_NAMES:
        raise RuntimeFault(agent.too_many_entries(MOST_NAMES), code="too_many_entries", retryable=False)
    return names


def _page(directory: int, names: list[bytes]) -> tuple[list[Entry], int]:
    """As many of them as are a page, without those that are gone by now; how many were looked at."""
    entries, size, looked_at = list[Entry](), 0, 0
    for name in names:
        looked_at += 1
        if (entry := _entry(directory, name)) is not None:
            entries.append(entry)
            size += len(name) + len(entry.target)
        if size >= MOST_PAGE_BYTES:
            break
    return entries, looked_at


def _entry(directory: int, name: bytes) -> Entry | None:
    """None of what is gone by now."""
    try:
        seen = os.stat(name, dir_fd=directory, follow_symlinks=False)
        sort = _SORTS.get(stat.S_IFMT(seen.st_mode), Sort.OTHER)
        target = os.readlink(name, dir_fd=directory) if sort is Sort.LINK else b""
    except OSError:
        return None
    return Entry(
        name=name.decode(errors="replace"),
        raw=b64encode(name).decode(),
        sort=sort,
        size=seen.st_size,
        mode=f"{stat.S_IMODE(seen.st_mode):04o}",
        uid=seen.st_uid,
        gid=seen.st_gid,
        changed_at=seen.st_mtime,
        target=target.decode(errors="replace"),
    )
