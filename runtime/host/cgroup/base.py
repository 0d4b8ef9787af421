"""What the runtime asks of control groups, whatever their version."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.host.cgroup.device_program import Rules

PERIOD_US = 100_000
"""Over which a cap on processor time is counted."""

#: Groups that an environment may make of its own, one in another and altogether. Each takes some 6 KB of the
#: kernel's memory, which nobody is charged for, so there are as many as it has MiB, within these. systemd makes
#: some dozens, three levels deep.
MOST_DEPTH, LEAST_GROUPS, MOST_GROUPS = 24, 256, 4096


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """Limits of one group; None: no limit. Bytes, tasks, cores; `io` in bytes/s and operations/s."""

    cpu: float | None = None
    cpu_weight: int = 100
    memory_bytes: int | None = None
    swap_bytes: int | None = None
    processes: int | None = None
    cpus: str | None = None
    """List of the processors it may run on, as cpuset(7) writes it; `nproc` inside counts these."""
    device: str | None = None
    """`major:minor` that the io limits speak of."""
    read_bytes_s: int | None = None
    write_bytes_s: int | None = None
    read_iops: int | None = None
    write_iops: int | None = None
    groups: int | None = None
    """That root inside may make below it."""


@dataclass(frozen=True, slots=True)
class GroupUsage:
    cpu_ns: int = 0
    memory_bytes: int = 0
    memory_max_bytes: int = 0
    memory_hits: int = 0
    swap_bytes: int = 0
    processes: int = 0
    process_hits: int = 0
    oom_kills: int = 0


@dataclass(frozen=True, slots=True)
class GroupRoom:
    """What a group has of the machine, and how much of it is taken, as a machine would tell it of itself."""

    memory_bytes: int
    used_bytes: int
    """With the file cache."""
    shared_bytes: int
    swap_bytes: int
    swap_used_bytes: int
    tasks: int
    cpu_ns: int


@dataclass(frozen=True, slots=True)
class Counter:
    """One thing that the kernel counts and bounds, as OpenVZ's table of user beancounters has it. None: not
    counted here, or no bound."""

    unit: str
    """`bytes`, `pages` of the machine's page size, or `tasks`."""
    held: int
    maxheld: int | None = None
    """The most since the group was made."""
    barrier: int | None = None
    """From here on the kernel takes back what it can."""
    limit: int | None = None
    failcnt: int | None = None
    """How often more was asked for than may be, since the group was made."""


class Groups(ABC):
    """What the runtime needs of cgroups, whatever their version."""

    version: int

    def __init__(self, root: Path):
        self.root = root

    @abstractmethod
    def create(self, path: str) -> bool:
        """Makes the group and those above it; False when it was there."""

    @abstractmethod
    def payload(self, path: str) -> str:
        """The group that the environment's processes live in."""

    @abstractmethod
    def mounts(self, path: str) -> list[dict[str, Any]]:
        """What processes in the group see at /sys/fs/cgroup: `mounts` of an OCI configuration."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether the whole group is there."""

    @abstractmethod
    def whole(self, top: str) -> frozenset[str]:
        """Paths of all groups two levels below `top` of which `exists` says yes; one list of each hierarchy."""

    @abstractmethod
    def has_any(self, path: str) -> bool:
        """Whether at least a part of the group is there: on v1 it may be missing in some hierarchies."""

    @abstractmethod
    def limit(self, path: str, limits: GroupLimits) -> None:
        """Sets every limit that differs; OSError when the kernel refuses one."""

    @abstractmethod
    def bound_tasks(self, top: str, most: int) -> bool:
        """Makes the top group with this limit on the tasks of all below it; False when it was so already."""

    @abstractmethod
    def usage(self, path: str) -> GroupUsage:
        """All zeros when the group is gone."""

    @abstractmethod
    def room(self, path: str) -> GroupRoom | None:
        """None when the group is gone, or has no limit of memory."""

    @abstractmethod
    def counters(self, path: str) -> dict[str, Counter]:
        """Everything that is counted of the group, by OpenVZ's name for it; empty when the group is gone."""

    @abstractmethod
    def oom_kills(self, path: str) -> int:
        """Of `usage`, the processes that were killed for lack of memory."""

    @abstractmethod
    def limits(self, path: str) -> Mapping[str, str]:
        """The limits as the kernel shows them, for people and for drift."""

    @abstractmethod
    def promised(self, path: str) -> Mapping[str, str]:
        """Of `limits`, memory, swap and tasks; and `cpuset.cpus`, empty where there is no such thing."""

    @abstractmethod
    def delegate(self, path: str, uid: int) -> None:
        """Lets root of the environment (host id `uid`) divide its own group, and nothing above it."""

    @abstractmethod
    def allow_devices(self, path: str, allowed: Rules) -> bool:
        """The group's processes open these character devices and no others; False when it is so. What is open
        stays open. Raises OSError."""

    @abstractmethod
    def allows_devices(self, path: str, allowed: Rules) -> bool:
        """Whether it is so. False when the group is gone."""

    @abstractmethod
    def freeze(self, path: str, frozen: bool, within_s: float) -> None:
        """Returns when all tasks of the group are frozen (or thawed). Raises TimeoutError when they aren't in
        time: some may be by then."""

    @abstractmethod
    def frozen(self, path: str) -> bool: ...

    @abstractmethod
    def kill(self, path: str) -> None:
        """Ends every process of the group and of those below it."""

    @abstractmethod
    def remove(self, path: str) -> bool:
        """Removes the group and those below; False when none was there. OSError (EBUSY) while tasks live."""

    @abstractmethod
    def children(self, path: str) -> list[str]:
        """Names of the groups directly below."""

    @abstractmethod
    def processes(self, path: str) -> list[int]:
        """Pids in the group and below it."""
