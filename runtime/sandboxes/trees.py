"""A tree of the node's own that containers of a kernel have as their root: made once for each version of what
it is made from, and shown read-only. Nothing of it belongs to an environment."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from runtime.host import libc, mounts
from runtime.node import Node


def point(node: Node, name: str) -> Path:
    """Where it is shown, in the node's mount namespace."""
    return node.mounts / name


def show(node: Node, name: str, mark: str, make: Callable[[Path], None]) -> bool:
    """Makes it where there is none of this mark, and shows it; False when it is shown as it should be. What
    runs keeps the tree that it was started with."""
    place, view = node.root / "kernels" / f"{name}-{mark}", point(node, name)
    if mounts.is_mounted(view):
        if view.stat().st_ino == (place.stat().st_ino if place.exists() else 0):
            return False
        mounts.unmount(view)
    if place.exists():
        os.utime(place)  # `old_trees` leaves it, and those before it, for a while
    else:
        _make(place, make)
    view.mkdir(mode=0o755, exist_ok=True)
    flags = libc.MS_BIND | libc.MS_REMOUNT | libc.MS_RDONLY | libc.MS_NOSUID | libc.MS_NODEV
    libc.mount(str(place), str(view), "", libc.MS_BIND | libc.MS_REC)
    libc.mount("", str(view), "", flags)
    return True


def _make(place: Path, make: Callable[[Path], None]) -> None:
    """Beside it first, so that one that is there is whole; of one that failed nothing stays, since what it
    takes is room that others need."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = place.with_name(f"{place.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        make(new)
        new.rename(place)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def mark_of(programs: Iterable[Path], texts: Iterable[str]) -> str:
    """Of what it is made from: programs by their size and time, ours by what is in them."""
    parts = [f"{one} {one.stat().st_size} {one.stat().st_mtime_ns}" for one in programs]
    return hashlib.sha256("\0".join([*parts, *texts]).encode()).hexdigest()[:12]


def copy(source: Path, target: Path) -> None:
    """A no-op where it is."""
    if target.exists():
        return
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
