"""The disk pool of a node: made, mounted, hidden from others, with quotas."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from runtime import devices, pool_device
from runtime.contract.said import plain
from runtime.errors import HostLacks
from runtime.host import btrfs, libc, loop, mounts
from runtime.host.command import run
from runtime.node import Node, NodeSettings

#: Left free on the disk of HOME by a pool that is written whole.
_LEFT_BYTES = 2**30
_PIECE = 2**22


@dataclass(frozen=True)
class OfPool:
    """What is said of a new node's pool."""

    device: str = ""
    """A whole block device in place of a file."""
    is_written: bool = False
    """The file is written whole at once, and never gives anything back: syncs find their place made."""


def on_device(device: str, chosen: NodeSettings) -> dict[str, object]:
    """The device made a pool; what settings say of it. Raises `HostLacks` for one that holds anything."""
    pool_device.refuse(device)
    made = pool_device.make(device, _label(chosen.mark))
    return {"pool_device": device, "pool_uuid": made, "pool_bytes": pool_device.size_of(device)}


def mount(node: Node) -> bool:
    if mounts.is_mounted(node.store):
        return False
    if node.settings.pool_device:
        device = node.settings.pool_device
        if node.settings.pool_uuid:
            device = pool_device.found(device, node.settings.pool_uuid)
    else:
        if not node.pool_file.exists():
            _make_file(node)
        device = _loop_device(node.pool_file)
    flags = libc.MS_NOATIME | libc.MS_NOSUID | libc.MS_NODEV
    try:
        libc.mount(str(devices.renamed(node, device)), str(node.store), "btrfs", flags, _options(node))
    except OSError as error:
        raise HostLacks(
            plain(f"the disk pool {device} can't be mounted: {error.strerror}"), code="pool_unavailable"
        ) from error
    if not node.settings.pool_device:
        loop.release_when_unused(device)
    for name in ("images", "environments", "volumes"):
        (node.store / name).mkdir(mode=0o711, exist_ok=True)
    node.store.chmod(0o711)
    return True


def hide(node: Node) -> None:
    """What the kernel tells of the pool in /sys is root's: whose quota groups there are, with use and limits,
    and the path of the pool's file. The modes are those of the entries themselves, wherever /sys is mounted."""
    entries = [Path("/sys/fs/btrfs") / btrfs.file_system_uuid(node.store)]
    for line in mounts.mount_table():
        fields = line.split()
        if fields[4] == str(node.store):
            with suppress(OSError):
                number = Path(fields[fields.index("-") + 2]).stat().st_rdev
                entries.append(Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/loop"))
    for entry in entries:
        with suppress(FileNotFoundError):
            entry.chmod(0o700)


def _make_file(node: Node) -> None:
    """A sparse file with btrfs on it; moved to its name only when it is whole.

    Metadata is kept once, not twice as mkfs.btrfs does: both copies would lie in one file on one disk, each
    write would go there twice, and small files would take twice of the pool what their owner is charged for.
    """
    temporary = node.pool_file.with_suffix(".new")
    with temporary.open("wb") as file:
        if node.settings.pool_is_written:
            _write_whole(file, node.settings.pool_bytes)
        else:
            os.truncate(file.fileno(), node.settings.pool_bytes)
    temporary.chmod(0o600)
    label, kept = _label(node.settings.mark), ["--nodiscard"] if node.settings.pool_is_written else []
    words: list[str | Path] = [
        "mkfs.btrfs",
        "--quiet",
        *kept,
        "--metadata",
        "single",
        "--label",
        label,
        temporary,
    ]
    run(words, timeout_s=120)
    temporary.rename(node.pool_file)


def _write_whole(file: BinaryIO, size: int) -> None:
    """Zeros, to the end: blocks that were merely set aside would be written to as new ones. Raises `HostLacks`
    before there would be no room for all else."""
    free = os.fstatvfs(file.fileno())
    if free.f_bavail * free.f_frsize < size + _LEFT_BYTES:
        raise HostLacks(
            plain(f"there is no room for a pool of {size // 2**20} MiB that is written at once"),
            code="no_room",
            next_step=plain("Leave --pool-preallocate out, or take a larger disk by --home."),
        )
    piece, left = bytes(_PIECE), size
    while left:
        left -= file.write(piece[: min(_PIECE, left)])
    file.flush()
    os.fsync(file.fileno())


def _options(node: Node) -> str:
    """What was written whole stays so: a discard would make holes of it again."""
    return "nodiscard" if node.settings.pool_is_written and not node.settings.pool_device else ""


def _label(mark: str) -> str:
    return f"wadah-{mark or 'pool'}"


def let_go(node: Node) -> None:
    """After it was unmounted for good: the loop device goes, and a device that was made a pool here is one no
    more, so that it can be given again. What somebody else made stays."""
    device, uuid = node.settings.pool_device, node.settings.pool_uuid
    if device and uuid:
        with suppress(HostLacks):
            pool_device.clear(pool_device.found(device, uuid))
    if device or not node.pool_file.exists():
        return
    words: list[str | Path] = ["losetup", "--noheadings", "--output", "NAME", "--associated", node.pool_file]
    for one in run(words, timeout_s=20).stdout.decode().split():
        run(["losetup", "--detach", one], timeout_s=20, check=False)


def _loop_device(file: Path) -> str:
    there = run(["losetup", "--noheadings", "--output", "NAME", "--associated", file], timeout_s=20)
    for line in there.stdout.decode().split():
        return line
    made = run(["losetup", "--find", "--show", "--direct-io=on", file], timeout_s=20, check=False)
    if made.returncode != 0:
        made = run(["losetup", "--find", "--show", file], timeout_s=20)
    return made.stdout.decode().strip()


def enable_quota(node: Node) -> None:
    try:
        btrfs.enable_simple_quota(node.store)
    except OSError as error:
        raise HostLacks(
            plain(
                "btrfs simple quotas can't be turned on: disk limits would not hold inside nested subvolumes"
            ),
            code="no_simple_quota",
            next_step=plain("Run a kernel 6.7 or newer (on Debian 12: linux-image-amd64 from backports)."),
        ) from error
