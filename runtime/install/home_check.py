"""HOME: whether an installation can live there, and whether one does, so that nothing of others is touched."""

import fcntl
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.install.layout import Layout
from runtime.install.output import Stop

#: Sockets below HOME must stay under 108 bytes (unix(7)), with room for the names that we add.
LONGEST = 72
#: It stands in configuration files and `#!` lines of other programs, which have no common way of quoting.
_PLAIN = re.compile(r"^/[A-Za-z0-9._/-]*$")
LOCKS = Path("/run")
#: For a new installation; and for one that is there, which must come up again on a disk that is all but full.
NEEDED_BYTES, NEEDED_AGAIN_BYTES = 2 * 2**30, 64 * 2**20


def is_installation(layout: Layout) -> bool:
    """Whether `up` has made something there."""
    marks = ("front.json", "venv/pyvenv.cfg", "node/node.json", "admin.json")
    return any((layout.home / mark).exists() for mark in marks)


def _is_a_disk(entry: Path) -> bool:
    """An empty directory for a part of the installation, where somebody wants it on a disk of its own."""
    return (
        entry.name in ("panel", "node", "log")
        and entry.is_dir()
        and all(one.name == "lost+found" for one in entry.iterdir())
    )


def check(layout: Layout) -> None:
    """Raises `Stop` when no installation can live in HOME. Makes and changes nothing."""
    home = layout.home
    if not _PLAIN.match(str(home)) or len(str(home)) > LONGEST:
        raise Stop(
            f"HOME can't be “{home}”: at most {LONGEST} letters, digits, dots, hyphens and underscores",
            "Choose another: --home DIR",
        )
    if home.exists() and not home.is_dir():
        raise Stop(f"{home} is not a directory", "Choose another: --home DIR")
    if home.is_dir() and not all(map(_is_a_disk, home.iterdir())) and not is_installation(layout):
        raise Stop(
            f"{home} has files in it that are none of Wadah's", "Give an empty or a new directory: --home DIR"
        )
    for parent in home.parents:
        if parent.exists() and not parent.stat().st_mode & 0o001:
            raise Stop(
                f"{parent} lets nobody but its owner pass, so the panel's user can't reach {home}",
                "Choose another: --home DIR",
            )
    if not is_installation(layout):
        _only_roots(home)
    place = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(place).free
    needed = NEEDED_AGAIN_BYTES if is_installation(layout) else NEEDED_BYTES
    if free < needed:
        raise Stop(
            f"{place} has {free // 2**20:,} MiB free; {needed // 2**20:,} MiB are needed",
            "Free some space, or take a larger disk: --home DIR",
        )


def _only_roots(home: Path) -> None:
    """Raises `Stop` where another user could put his own HOME in its place, from which root then runs code."""
    for path in (home, *home.parents):
        if not path.exists():
            continue
        seen = path.stat()
        if seen.st_uid not in (0, os.geteuid()):
            owner = f"belongs to the user {seen.st_uid}"
        elif seen.st_mode & 0o002 and not seen.st_mode & stat.S_ISVTX:
            owner = "is writable for everybody"
        else:
            continue
        raise Stop(f"{path} {owner}, who could exchange what is in {home}", "Choose another: --home DIR")


@contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """One `up` or `down` at a time for an installation. Raises `Stop` when another is at work."""
    file = _lock_of(layout)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(descriptor), file.lstat()):  # a purge has taken it away meanwhile
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError):
            raise Stop(
                f"another `up` or `down` is at work on {layout.home}", "Wait until it has ended."
            ) from None
        yield
    finally:
        os.close(descriptor)


def forget_lock(layout: Layout) -> None:
    """Takes the lock's file away; to be called by who holds it."""
    _lock_of(layout).unlink(missing_ok=True)


def _lock_of(layout: Layout) -> Path:
    """Where root alone makes files: in /run/lock and /tmp anybody can put one first, and hold it for ever.
    Named by a hash, since two HOMEs may have the same letters."""
    name = hashlib.sha256(os.fsencode(layout.home)).hexdigest()[:16]
    return LOCKS / f"wadah-{name}.lock"


def delete(layout: Layout) -> bool:
    """Deletes HOME with all that is in it; False when there is no installation. Never a foreign directory."""
    if not layout.home.exists():
        return False
    if not is_installation(layout):
        raise Stop(f"{layout.home} holds no installation of Wadah; it is left as it is")
    shutil.rmtree(layout.home)
    return True
