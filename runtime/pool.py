"""The disk pool of a node: made, mounted, hidden from others, with quotas."""

import os
from contextlib import suppress
from pathlib import Path

from runtime import devices
from runtime.contract.said import plain
from runtime.errors import HostLacks
from runtime.host import btrfs, libc, loop, mounts
from runtime.host.command import run
from runtime.node import Node


def mount(node: Node) -> bool:
    if mounts.is_mounted(node.store):
        return False
    if node.settings.pool_device:
        device = node.settings.pool_device
    else:
        if not node.pool_file.exists():
            _make_file(node)
        device = _loop_device(node.pool_file)
    flags = libc.MS_NOATIME | libc.MS_NOSUID | libc.MS_NODEV
    try:
        libc.mount(str(devices.renamed(node, device)), str(node.store), "btrfs", flags, "")
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
        os.truncate(file.fileno(), node.settings.pool_bytes)
    temporary.chmod(0o600)
    label = f"wadah-{node.settings.mark or 'pool'}"
    run(["mkfs.btrfs", "--quiet", "--metadata", "single", "--label", label, temporary], timeout_s=120)
    temporary.rename(node.pool_file)


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
