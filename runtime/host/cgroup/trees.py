"""Groups below groups, as deep as root of an environment may have dug."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from runtime.host.cgroup.files import read


def tree(directory: Path) -> list[Path]:
    """The directory and all below it, deepest last."""
    found = [directory] if directory.is_dir() else []
    for one in found:
        with suppress(OSError):
            found.extend(Path(entry.path) for entry in os.scandir(one) if entry.is_dir(follow_symlinks=False))
    return found


def two_below(root: Path, top: str) -> Iterator[str]:
    """Paths of the groups two levels below `top` in this hierarchy, as `<top>/<one>/<other>`."""
    for one in _names(root / top):
        for other in _names(root / top / one):
            yield f"{top}/{one}/{other}"


def _names(directory: Path) -> list[str]:
    with suppress(OSError), os.scandir(directory) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []


def remove_tree(directory: Path) -> bool:
    """The group and those below it. False when it isn't there; OSError (EBUSY) while tasks are in it."""
    if not directory.is_dir():
        return False
    clear_tree(directory)
    for attempt in range(20):
        try:
            directory.rmdir()
            break
        except FileNotFoundError:
            break
        except OSError as error:
            if error.errno != errno.EBUSY or attempt == 19:
                raise
            time.sleep(0.005)
    return True


def clear_tree(directory: Path) -> None:
    """Removes the groups below this one. What root of an environment may divide can be deeper than any
    path may be long, so it goes down and up again by descriptors, one at a time, and without recursion."""
    try:
        here = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    way: list[str] = []
    tries = 0
    try:
        while True:
            below = _remove_leaves(here)
            if below is not None and below != "":
                way.append(below)
                here = _step(here, below)
            elif way and below is None:
                here = _step(here, "..")
                way.pop()
            elif below is None:
                return
            else:
                tries += 1
                if tries > 100:
                    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(directory))
                time.sleep(0.005)
    finally:
        os.close(here)


def _step(here: int, name: str) -> int:
    there = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=here)
    os.close(here)
    return there


def _remove_leaves(here: int) -> str | None:
    """Removes the groups directly below that have none below themselves. The name of one that has; an empty
    name when only busy ones are left; None when nothing is."""
    left: str | None = None
    with os.scandir(here) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for name in names:
        try:
            os.rmdir(name, dir_fd=here)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            with suppress(OSError):
                if _has_groups(here, name):
                    return name
            left = ""
    return left


def _has_groups(here: int, name: str) -> bool:
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=here)
    try:
        with os.scandir(fd) as entries:
            return any(entry.is_dir(follow_symlinks=False) for entry in entries)
    finally:
        os.close(fd)


def pids_below(directory: Path) -> list[int]:
    return [int(line) for one in tree(directory) for line in read(one / "cgroup.procs").split()]
