"""What people have is rarely a bare root: one leading directory, a template's `rootfs/`, no entry for the root
itself, links where directories are wanted. What was unpacked is arranged as the root of a machine here.

Nothing runs in the tree yet, and names are handled relative to open directories, without following links.
"""

import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from runtime.host.safetree import SafeTree

#: Directories that the OCI runtime mounts on: a link there could lead a mount out of the tree
#: (CVE-2025-31133 and its kin, not mended in Debian 12's runc and crun).
MOUNT_POINTS = {"dev": 0o755, "proc": 0o555, "sys": 0o555, "run": 0o755, "tmp": 0o1777}
#: Files that are written when an environment is made: each has to be one of its own.
_OURS = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/shadow", "/root/.ssh/authorized_keys")
_ROOTS = frozenset(("bin", "etc", "sbin", "usr"))


def has_root(tree: Path) -> bool:
    """Whether it looks like the root of a machine, not like what one is packed in."""
    return any((tree / name).is_symlink() or (tree / name).exists() for name in _ROOTS)


def arrange(tree: Path, root_mode: int | None) -> None:
    """`root_mode`: that of the archive's entry for the root; None without one."""
    inner_mode = _unwrap(tree)
    if inner_mode is None and root_mode is None:
        tree.chmod(0o755)
    with SafeTree.open(tree) as safe:
        for name, mode in MOUNT_POINTS.items():
            if not safe.is_directory(f"/{name}"):
                safe.remove(f"/{name}")
                safe.make_directory(f"/{name}", mode=mode)
        for path in _OURS:
            safe.make_own(path)


def _unwrap(tree: Path) -> int | None:
    """Takes the root out of its one directory, and away what lay beside it; its mode, or None when there was
    nothing to take out."""
    names = [one.name for one in tree.iterdir()]
    if _ROOTS.intersection(names):
        return None
    inner = [name for name in names if _looks_like_a_root(tree / name)]
    if len(inner) != 1:
        return None
    mode = stat.S_IMODE((tree / inner[0]).lstat().st_mode)
    aside = f".wadah-{secrets.token_hex(6)}"
    (tree / inner[0]).rename(tree / aside)
    for name in names:
        if name != inner[0]:
            _delete(tree / name)
    for one in list((tree / aside).iterdir()):
        one.rename(tree / one.name)
    (tree / aside).rmdir()
    tree.chmod(mode)
    return mode


def _looks_like_a_root(directory: Path) -> bool:
    if not stat.S_ISDIR(directory.lstat().st_mode):
        return False
    names = {one.name for one in directory.iterdir()}
    return "etc" in names and len(_ROOTS & names) > 1


def _delete(path: Path) -> None:
    """Directly in the tree's own top: a link is taken away, not followed."""
    if stat.S_ISDIR(path.lstat().st_mode):
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
