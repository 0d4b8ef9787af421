"""Simple quotas: groups of subvolumes, what they may hold and what they hold."""

import errno
import struct
from contextlib import suppress
from pathlib import Path

from runtime.host.btrfs.calls import (
    ENABLE_SIMPLE_QUOTA,
    LIMIT_MAX_RFER,
    NO_LIMIT,
    QGROUP_ASSIGN,
    QGROUP_CREATE,
    QGROUP_LIMIT,
    QGROUP_RELATION_KEY,
    QUOTA_CTL,
    QUOTA_TREE,
    ioctl,
    items,
    opened,
)


def qgroup_id(level: int, number: int) -> int:
    """`level/number` as the kernel packs it: 16 bits and 48 bits."""
    return level << 48 | number & (2**48 - 1)


def enable_simple_quota(mount_point: Path) -> None:
    """Turns simple quotas on (kernel 6.7 or newer); a no-op when they are on. OSError when there are none."""
    with opened(mount_point) as fd:
        try:
            ioctl(fd, QUOTA_CTL, struct.pack("=QQ", ENABLE_SIMPLE_QUOTA, 0))
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise


def create_qgroup(mount_point: Path, qgroup: int) -> None:
    """A no-op when it is there."""
    with opened(mount_point) as fd, suppress(FileExistsError):
        ioctl(fd, QGROUP_CREATE, struct.pack("=QQ", 1, qgroup))


def delete_qgroup(mount_point: Path, qgroup: int) -> bool:
    """False while the group still holds something (subvolumes not yet cleaned) and stays."""
    with opened(mount_point) as fd:
        try:
            ioctl(fd, QGROUP_CREATE, struct.pack("=QQ", 0, qgroup))
        except OSError as error:
            if error.errno == errno.EBUSY:
                return False
            if error.errno != errno.ENOENT:
                raise
    return True


def assign_qgroup(mount_point: Path, child: int, parent: int) -> None:
    """Puts a group into another; a no-op when it is there."""
    with opened(mount_point) as fd, suppress(FileExistsError):
        ioctl(fd, QGROUP_ASSIGN, struct.pack("=QQQ", 1, child, parent))


def unassign_qgroup(mount_point: Path, child: int, parent: int) -> None:
    with opened(mount_point) as fd, suppress(FileNotFoundError):
        ioctl(fd, QGROUP_ASSIGN, struct.pack("=QQQ", 0, child, parent))


def limit_qgroup(mount_point: Path, qgroup: int, maximum_bytes: int | None) -> None:
    """Bytes that the group may hold; None: no limit."""
    value = NO_LIMIT if maximum_bytes is None else maximum_bytes
    with opened(mount_point) as fd:
        ioctl(fd, QGROUP_LIMIT, struct.pack("=6Q", qgroup, LIMIT_MAX_RFER, value, 0, 0, 0))


def members(mount_point: Path, qgroup: int) -> int:
    """How many subvolumes a group of level 1 has in it, as of the last commit; those that were deleted and
    aren't cleaned yet count, since their groups stay."""
    with opened(mount_point) as fd:
        last = qgroup_id(1, 0) - 1
        return sum(1 for _ in items(fd, QUOTA_TREE, qgroup, QGROUP_RELATION_KEY, last=last))


class QuotaTable:
    """The quota groups of a mounted pool as the kernel holds them now (sysfs: uncommitted use included)."""

    def __init__(self, file_system_uuid: str):
        self.root = Path("/sys/fs/btrfs") / file_system_uuid / "qgroups"

    def mode(self) -> str:
        """`squota`, `qgroup`, or `none` when quotas are off."""
        try:
            return (self.root / "mode").read_text().strip()
        except OSError:
            return "none"

    def _read(self, level: int, number: int, name: str) -> int | None:
        try:
            return int((self.root / f"{level}_{number}" / name).read_text())
        except (OSError, ValueError):
            return None

    def count(self) -> int:
        """Of all levels, without listing them: a directory has a link from each below it."""
        try:
            return self.root.stat().st_nlink - 2
        except OSError:
            return 0

    def used_bytes(self, level: int, number: int) -> int | None:
        """None when there is no such group."""
        return self._read(level, number, "referenced")

    def limit_bytes(self, level: int, number: int) -> int | None:
        """None when there is no such group or no limit."""
        limit = self._read(level, number, "max_referenced")
        return None if limit in (None, NO_LIMIT, 0) else limit

    def numbers(self, level: int) -> list[int]:
        prefix = f"{level}_"
        try:
            names = [entry.name for entry in self.root.iterdir()]
        except OSError:
            return []
        return [int(name[len(prefix) :]) for name in names if name.startswith(prefix)]
