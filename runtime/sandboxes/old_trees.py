"""Trees of kernels (`trees`) that earlier versions made: taken away when nothing runs from them."""

import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import structlog

from runtime.node import Node
from runtime.sandboxes import trees
from runtime.sandboxes.base import Config
from runtime.sandboxes.shared.bundle import Bundle

log = structlog.get_logger()

#: So long a tree stays after it was made or shown: a start that is under way may still be about to use it.
SETTLED_S = 600.0
#: So long one that is still being made may take.
_MADE_WITHIN_S = 3600.0
_GOING = ".old"
#: Who looks goes through the mounts of all environments when an old one is there.
_SWEEP_EVERY_S = 600.0


class BundleOfTree(Bundle):
    """Of a kernel that has a tree; listed by that of the host's kernel."""

    tree: ClassVar[str]

    def __init__(self, node: Node, config: Config):
        super().__init__(node, config)
        self._sweep_at = 0.0

    def inventory(self) -> Iterable[Any]:
        return ()

    def sweep(self) -> int:
        """Trees of earlier versions, now and then."""
        if time.monotonic() < self._sweep_at:
            return 0
        self._sweep_at = time.monotonic() + _SWEEP_EVERY_S
        return sweep(self.node, self.tree)


def sweep(node: Node, name: str) -> int:
    """How many of this name went. None while the tree of now isn't shown: what is there may be the one that
    will be."""
    known = _trees(node, name)
    shown = _shown(node, name, known)
    if shown is None:
        return 0
    old = [one for one in known if one != shown and _has_settled(one)]
    used = _used([one for one in old if one.suffix == ""])
    count = 0
    for place in old:
        if place in used:
            continue
        going = place if place.suffix else place.rename(place.with_name(place.name + _GOING))
        shutil.rmtree(going, ignore_errors=True)  # what a kill leaves of it keeps that name, and goes next time
        log.info("an old tree of a kernel was taken away", tree=place.name)
        count += 1
    return count


def _trees(node: Node, name: str) -> list[Path]:
    """Those of before were called `own-MARK`."""
    return sorted((node.root / "kernels").glob(f"{name.partition('-')[0]}-*"))


def _shown(node: Node, name: str, known: list[Path]) -> Path | None:
    """The tree that starts get now; it settles as well, after it was made or shown again."""
    with suppress(FileNotFoundError):
        inode = trees.point(node, name).stat().st_ino
        for place in known:
            if place.stat().st_ino == inode:
                return place if _has_settled(place) else None
    return None


def _has_settled(place: Path) -> bool:
    within = SETTLED_S if place.suffix in ("", _GOING) else _MADE_WITHIN_S
    return abs(time.time() - place.stat().st_ctime) > within


def _used(places: list[Path]) -> set[Path]:
    """Those that somebody has mounted, in whatever mount namespace: the kernel's own word
    (proc_pid_mountinfo(5)), which no process is asked for."""
    seen: set[int] = set()
    used: set[Path] = set()
    marks = {f"/kernels/{one.name} ".encode(): one for one in places}
    for entry in os.scandir("/proc") if places else ():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # it has ended meanwhile
            namespace = Path(entry.path, "ns", "mnt").stat().st_ino
            if namespace in seen:
                continue
            text = Path(entry.path, "mountinfo").read_bytes()
            seen.add(namespace)
            used |= {place for mark, place in marks.items() if mark in text}
    return used
