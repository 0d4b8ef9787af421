"""The tree that the container around a guarded kernel has as its root: gVisor's runsc, an init and a shell, all
three static."""

import subprocess
from functools import lru_cache
from pathlib import Path

from runtime.contract.said import Said
from runtime.contract.words import kernels
from runtime.node import Node
from runtime.sandboxes import trees

RUNSC, INIT, BUSYBOX = Path("/usr/bin/runsc"), Path("/usr/bin/catatonit"), Path("/bin/busybox")
_PACKAGES = {RUNSC: "runsc", INIT: "catatonit", BUSYBOX: "busybox-static"}
NAME = "guarded-kernel"
#: Older ones start nothing on kernels of these years. As the program says it: a date in its version.
OLDEST = "20240701"
#: Where it is mounted over.
_EMPTY = ("proc", "dev", "sys", "run", "disk", "tmp")


def unavailable() -> Said | None:
    """What this host lacks; None when it has all."""
    lacking = [package for file, package in _PACKAGES.items() if not file.exists()]
    if lacking:
        return kernels.lacks_packages_of_guarded(" ".join(lacking))
    found = version()
    return None if found >= OLDEST else kernels.too_old(found or "?", OLDEST)


def version() -> str:
    """The date in it; empty where it isn't told."""
    try:
        seen = RUNSC.stat()
    except OSError:
        return ""
    return _version(seen.st_ino, seen.st_mtime_ns)


@lru_cache(maxsize=4)
def _version(_inode: int, _changed: int) -> str:
    """`runsc version 0.0~20240729.0`, `runsc version release-20240729.0`."""
    try:
        done = subprocess.run([RUNSC, "--version"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = done.stdout.decode(errors="replace").partition("\n")[0].replace("~", "-").split("-")
    return words[-1].partition(".")[0] if words[-1][:1].isdigit() else ""


def point(node: Node) -> Path:
    """Where it is shown, in the node's mount namespace."""
    return trees.point(node, NAME)


def show(node: Node) -> bool:
    """As `trees.show`."""
    return trees.show(node, NAME, trees.mark_of(_PACKAGES, [Path(__file__).read_text()]), _make)


def _make(new: Path) -> None:
    for name in _EMPTY:
        (new / name).mkdir(mode=0o755, parents=True)
    for file in _PACKAGES:
        trees.copy(file, new / "bin" / file.name)
