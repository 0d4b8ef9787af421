"""A jail brought to another build of its base: its own copy of what it shares is replaced, and it is of the
other base from then on.

What is its own stays: /etc, /var but for the package database, /usr/local, and all else. The copy shares its
data with the base, so that names alone take room. For a jail that doesn't run; safe to be cut off anywhere
and run again.
"""

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runtime.contract.said import Said
from runtime.contract.words import jails
from runtime.errors import RuntimeFault
from runtime.storage.bases import BASE, BEFORE, OWN, PACKAGES, SHARED, Bases

#: On the top of the root, while it is at work.
_ASIDE = ".wadah-base"
_FICLONE = 0x40049409
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def bring_to(bases: Bases, root: Path, build: str) -> Said | None:
    """None where it is of that base already. Raises `RuntimeFault`."""
    now, wanted = bases.key_of(root), bases.wanted_of(root, build)
    if not now or wanted == now:
        return None
    base = refuse_missing(bases, root, build)
    is_back = wanted == bases.key_before(root)
    try:
        if not is_back:
            os.setxattr(root, BEFORE, now.encode())
        with _held(os.open(base, _OPEN)) as shared, _held(os.open(root, _OPEN)) as own:
            _replace_all(shared, own)
        os.setxattr(root, BASE, wanted.encode())
        if is_back:
            os.removexattr(root, BEFORE)
    except OSError as error:
        raise RuntimeFault(jails.base_not_copied(str(error.strerror)), code="volume_failed") from error
    return jails.base_updated(now, wanted)


def refuse_missing(bases: Bases, root: Path, build: str) -> Path:
    """The base that it should be of; its own root stands for the one that it is of already."""
    wanted = bases.wanted_of(root, build)
    if wanted == bases.key_of(root):
        return root
    found = bases.find(wanted)
    if found is None:
        raise RuntimeFault(
            jails.base_missing(wanted), code="base_missing", next_step=jails.look_again(), retryable=False
        )
    return found


@contextmanager
def _held(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _replace_all(shared: int, own: int) -> None:
    _mend(own)
    os.mkdir(_ASIDE, 0o700, dir_fd=own)
    with _held(os.open(_ASIDE, _OPEN, dir_fd=own)) as aside:
        for path in (*SHARED, *PACKAGES):
            with suppress(FileNotFoundError, NotADirectoryError), opened(shared, path) as source:
                _replace(source, own, aside, path)
    shutil.rmtree(_ASIDE, dir_fd=own)


def _replace(source: int, own: int, aside: int, path: str) -> None:
    """A link or a file in its place is left alone: the base's is laid over a directory only."""
    above, _, name = path.rpartition("/")
    with suppress(FileNotFoundError, NotADirectoryError), opened(own, above or ".") as parent:
        fresh = path.replace("/", "-")
        os.mkdir(fresh, 0o700, dir_fd=aside)
        with _held(os.open(fresh, _OPEN, dir_fd=aside)) as to:
            _copy(source, to, {own_path.removeprefix(f"{path}/") for own_path in OWN})
        for kept in OWN:
            if kept.startswith(f"{path}/"):
                with suppress(FileNotFoundError):
                    os.rename(
                        kept, f"{fresh}/{kept.removeprefix(f'{path}/')}", src_dir_fd=own, dst_dir_fd=aside
                    )
        with suppress(FileNotFoundError):
            os.rename(name, f"{fresh}.old", src_dir_fd=parent, dst_dir_fd=aside)
        os.rename(fresh, name, src_dir_fd=aside, dst_dir_fd=parent)


def _mend(own: int) -> None:
    """What one that was cut off left: what is the jail's own goes back to its place before the rest goes."""
    try:
        aside = os.open(_ASIDE, _OPEN, dir_fd=own)
    except FileNotFoundError:
        return
    with _held(aside):
        for path in OWN:
            above, _, name = path.rpartition("/")
            with suppress(FileNotFoundError), opened(aside, above) as moved:
                with suppress(FileExistsError):
                    os.mkdir(above, 0o755, dir_fd=own)
                with opened(own, above) as place, suppress(FileExistsError):
                    os.rename(name, name, src_dir_fd=moved, dst_dir_fd=place)
    shutil.rmtree(_ASIDE, dir_fd=own)


@contextmanager
def opened(top: int, path: str) -> Iterator[int]:
    """A directory below, over no link."""
    at = os.dup(top)
    try:
        for part in path.split("/"):
            further = os.open(part, _OPEN, dir_fd=at)
            os.close(at)
            at = further
        yield at
    finally:
        os.close(at)


def _copy(source: int, to: int, but: set[str]) -> None:
    """Of what is in a directory, with owners, modes, times and extended attributes; files of several names
    become one for each. Names in `but` are left out."""
    with os.scandir(source) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name in but:
            continue
        seen = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(seen.st_mode):
            os.mkdir(entry.name, 0o700, dir_fd=to)
            with (
                _held(os.open(entry.name, _OPEN, dir_fd=source)) as below,
                _held(os.open(entry.name, _OPEN, dir_fd=to)) as made,
            ):
                _copy(below, made, {one.partition("/")[2] for one in but if one.startswith(f"{entry.name}/")})
        elif stat.S_ISREG(seen.st_mode):
            _copy_file(source, to, entry.name, seen)
        elif stat.S_ISLNK(seen.st_mode):
            os.symlink(os.readlink(entry.name, dir_fd=source), entry.name, dir_fd=to)
            os.chown(entry.name, seen.st_uid, seen.st_gid, dir_fd=to, follow_symlinks=False)
    _finish(source, to)


def _copy_file(source: int, to: int, name: str, seen: os.stat_result) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        _held(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)) as old,
        _held(os.open(name, flags, 0o600, dir_fd=to)) as new,
    ):
        if seen.st_size:
            fcntl.ioctl(new, _FICLONE, old)
        _finish(old, new)


def _finish(old: int, new: int) -> None:
    """Owner first: it takes set-id bits and capabilities away."""
    seen = os.fstat(old)
    os.fchown(new, seen.st_uid, seen.st_gid)
    os.fchmod(new, stat.S_IMODE(seen.st_mode))
    for name in os.listxattr(old):
        os.setxattr(new, name, os.getxattr(old, name))
    os.utime(new, ns=(seen.st_atime_ns, seen.st_mtime_ns))
