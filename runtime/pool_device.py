"""A block device that becomes the pool of a new node: nothing may be on it, and nobody may use it."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from runtime.contract.said import plain
from runtime.errors import HostLacks
from runtime.host.command import run

GIB = 2**30
LEAST_BYTES = GIB
#: Of its beginning and its end: where file systems, tables of partitions, arrays and volumes have their signs.
_LOOKED_AT = 2**20
_WITHIN_S = 120


def size_of(device: str) -> int:
    with Path(device).open("rb") as file:
        return file.seek(0, os.SEEK_END)


def refuse(device: str) -> None:
    """Raises `HostLacks` for what is no whole and empty device that is free; nothing is changed."""
    if not Path(device).is_absolute() or not _is_block(device):
        raise _no(f"{device} is no block device", "Name one, best by /dev/disk/by-id/.")
    name = os.path.realpath(device).rpartition("/")[2]
    below = Path("/sys/class/block") / name
    if any(one.is_dir() and (one / "partition").exists() for one in _entries(below)):
        raise _no(f"{device} has partitions", "Name one of them, or a disk without.")
    if holders := [one.name for one in _entries(below / "holders")]:
        raise _no(f"{device} is used by {', '.join(holders)}", "Name a device that nothing lies on.")
    size = size_of(device)
    if size < LEAST_BYTES:
        raise _no(
            f"{device} has {size // 2**20} MiB, and a pool wants {LEAST_BYTES // 2**20}", "Name a larger one."
        )
    if (below / "ro").exists() and (below / "ro").read_text().strip() == "1":
        raise _no(f"{device} is read-only", "Name another one.")
    _refuse_used(device)
    if sort := _sign(device):
        raise _no(f"{device} holds something: {sort}", _EMPTY_IT.format(device=device))
    if _has_bytes(device, size):
        raise _no(f"{device} holds something: it is not all zeros at its ends", _EMPTY_IT.format(device=device))


_EMPTY_IT = "If nothing on it is wanted any more: blkdiscard --zeroout {device}"


def make(device: str, label: str) -> str:
    """A file system on it, and its UUID. Metadata is kept twice, since one bad sector there loses the whole."""
    try:
        run(["mkfs.btrfs", "--quiet", "--metadata", "dup", "--label", label, device], timeout_s=_WITHIN_S)
        return uuid_of(device)
    except BaseException:
        clear(device)
        raise


def clear(device: str) -> None:
    """Without the signs of a file system; a no-op where there are none."""
    run(["wipefs", "--quiet", "--all", device], timeout_s=_WITHIN_S, check=False)


def uuid_of(device: str) -> str:
    """Of the file system on it, asked of the device itself; empty where there is none."""
    return _asked(["blkid", "--probe", "--match-tag", "UUID", "--output", "value", device])


def found(device: str, uuid: str) -> str:
    """The device with the pool, also where the kernel gives it another name by now. Raises `HostLacks`."""
    with suppress(OSError):
        if _is_block(device) and uuid_of(device) == uuid:
            return device
    other = _asked(["blkid", "--cache-file", "/dev/null", "--uuid", uuid])
    if other and uuid_of(other) == uuid:
        return other
    raise _no(
        f"the pool's device {device} isn't there, or holds another file system (wanted: {uuid})",
        "Bring the disk back, or name it anew as pool_device in node.json.",
    )


def _refuse_used(device: str) -> None:
    """The kernel lets nobody have it alone while it is mounted, swapped to, or part of another."""
    try:
        os.close(os.open(device, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        raise _no(
            f"{device} can't be had alone: {error.strerror}", "Unmount what is on it, or name another."
        ) from error


def _sign(device: str) -> str:
    said = _asked(["blkid", "--probe", "--output", "export", device])
    tags = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return (
        tags.get("TYPE")
        or tags.get("PTTYPE")
        or ("something that blkid knows" if tags.keys() - {"DEVNAME"} else "")
    )


def _has_bytes(device: str, size: int) -> bool:
    with Path(device).open("rb") as file:
        for at in (0, max(0, size - _LOOKED_AT)):
            file.seek(at)
            if any(file.read(_LOOKED_AT)):
                return True
    return False


def _is_block(device: str) -> bool:
    try:
        return stat.S_ISBLK(Path(device).stat().st_mode)
    except OSError:
        return False


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _asked(words: list[str]) -> str:
    done = run(words, timeout_s=_WITHIN_S, check=False)
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""


def _no(why: str, next_step: str) -> HostLacks:
    return HostLacks(plain(why), code="pool_device_refused", next_step=plain(next_step))
