"""What an environment is answered: its own figures in the structures of the kernel."""

import math
import struct
import time
from dataclasses import dataclass, field
from uuid import UUID

from runtime.host.btrfs import QuotaTable
from runtime.host.cgroup.base import GroupRoom, Groups

#: struct sysinfo of linux/sysinfo.h, and what of struct statfs of asm-generic/statfs.h is the environment's:
#: f_blocks, f_bfree, f_bavail behind f_type and f_bsize.
_SYSINFO = struct.Struct("<q3Q6QHxxxxxxQQIxxxx")
_BLOCKS = struct.Struct("<3Q")
_BLOCK_SIZE_AT, _BLOCKS_AT = 8, 16
#: Loads are numbers times so much: linux/sysinfo.h, SI_LOAD_SHIFT.
_LOAD = 1 << 16
_LOAD_OVER_S = (60.0, 300.0, 900.0)
_DISK_FOR_S = 0.2


@dataclass
class Load:
    """Processor time used, averaged as the load is. Nothing is sampled: between two questions it was even."""

    at_s: float = 0.0
    used_ns: int = 0
    values: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def seen(self, uptime_s: float, used_ns: int) -> list[float]:
        passed, used = uptime_s - self.at_s, used_ns - self.used_ns
        if passed < 0 or used < 0:  # it began anew
            self.at_s, passed, used, self.values = 0.0, uptime_s, used_ns, [0.0, 0.0, 0.0]
        if passed > 1:
            rate = used / 1e9 / passed
            kept = [math.exp(-passed / over) for over in _LOAD_OVER_S]
            self.values = [old * k + rate * (1 - k) for old, k in zip(self.values, kept, strict=True)]
            self.at_s, self.used_ns = uptime_s, used_ns
        return self.values


def sysinfo(room: GroupRoom, loads: list[float], uptime_s: float, host_swap_bytes: int) -> bytes:
    """`host_swap_bytes`: what the machine has, which is the most that a limit allows."""
    swap = min(room.swap_bytes, host_swap_bytes)
    return _SYSINFO.pack(
        math.ceil(uptime_s),
        *(round(one * _LOAD) for one in loads),
        *(room.memory_bytes, max(0, room.memory_bytes - room.used_bytes), room.shared_bytes, 0),
        *(swap, max(0, swap - room.swap_used_bytes)),
        min(room.tasks, 0xFFFF),
        *(0, 0, 1),
    )


@dataclass(frozen=True, slots=True)
class Disk:
    size_bytes: int
    free_bytes: int


def statfs(kernels: bytes, disk: Disk) -> bytes:
    """The kernel's answer of the pool, with the environment's size. Free is never more than the pool has."""
    block = max(1, int.from_bytes(kernels[_BLOCK_SIZE_AT : _BLOCK_SIZE_AT + 8], "little"))
    _, free, available = _BLOCKS.unpack_from(kernels, _BLOCKS_AT)
    left = disk.free_bytes // block
    blocks = _BLOCKS.pack(disk.size_bytes // block, min(left, free), min(left, available))
    return kernels[:_BLOCKS_AT] + blocks + kernels[_BLOCKS_AT + _BLOCKS.size :]


class Environment:
    """Of one: read when it is asked for. `path` is `<tenant>/<environment>`, as numbers in hexadecimal."""

    def __init__(self, path: str, top: str, groups: Groups, quotas: QuotaTable):
        self._group = f"{top}/{path}"
        tenant, environment = path.split("/")
        self._numbers = [(1, _quota_group(environment)), (2, _quota_group(tenant))]
        self._groups, self._quotas = groups, quotas
        self._load = Load()
        self._disks: dict[UUID | None, tuple[float, Disk | None]] = {}

    def sysinfo(self, uptime_s: float, host_swap_bytes: int) -> bytes | None:
        """None where it has no limit, or doesn't run."""
        room = self._groups.room(self._group)
        if room is None:
            return None
        return sysinfo(room, self._load.seen(uptime_s, room.cpu_ns), uptime_s, host_swap_bytes)

    def statfs(self, kernels: bytes, volume: UUID | None = None) -> bytes | None:
        """Of its root, or of a volume that is attached to it."""
        now = time.monotonic()
        at, disk = self._disks.get(volume, (-math.inf, None))
        if now - at > _DISK_FOR_S:
            self._disks = {one: kept for one, kept in self._disks.items() if now - kept[0] <= _DISK_FOR_S}
            disk = self._read_disk(volume)
            self._disks[volume] = (now, disk)
        return None if disk is None else statfs(kernels, disk)

    def _read_disk(self, volume: UUID | None) -> Disk | None:
        """Its size is its own limit; free is no more than its tenant has left, whose volumes those are too."""
        own, tenant = self._numbers
        numbers = [own if volume is None else (1, _quota_group(volume.hex)), tenant]
        limits = [self._quotas.limit_bytes(*one) for one in numbers]
        used = [self._quotas.used_bytes(*one) or 0 for one in numbers]
        if limits[0] is None:
            return None
        left = [most - has for most, has in zip(limits, used, strict=True) if most is not None]
        return Disk(limits[0], max(0, min(left)))


def _quota_group(owner: str) -> int:
    """As `RootVolume.number`: the first 48 bits."""
    return int(owner.replace("-", "")[:12], 16) or 1
