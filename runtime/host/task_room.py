"""Room for tasks: how many the kernel can number at once, and what environments may take of it together.

A task is a process or a thread. Standard library only: `doctor` looks too.
"""

from dataclasses import dataclass
from pathlib import Path

from runtime.host.cgroup import ROOT, version

#: Kept for the host's own, whatever all environments together want.
RESERVED = 4096
#: Of a machine that can't number more than it keeps, environments get this much.
_LEAST = 256

_SYSCTL = Path("/proc/sys/kernel")


def host_room() -> int:
    """Tasks that the machine can have (proc(5): `pid_max`, `threads-max`)."""
    return min(int((_SYSCTL / name).read_text()) for name in ("pid_max", "threads-max"))


def for_environments() -> int:
    """Tasks that all environments of an installation may have together."""
    return max(_LEAST, host_room() - RESERVED)


@dataclass(frozen=True, slots=True)
class Room:
    promised: int
    """What the limits of all that run now add up to."""
    held: int
    """What the kernel lets them have together."""

    @property
    def is_enough(self) -> bool:
        return self.promised <= self.held

    @property
    def found(self) -> str:
        if self.is_enough:
            return f"{self.held} for environments, {self.promised} are promised"
        return f"{self.promised} are promised to environments, the machine has {self.held} for them"


#: Why it matters that there is too little, and what mends it.
WHY = "when all use what they were promised, some can start nothing more; the host keeps its own"
REMEDY = "./wadah harden (sets kernel.pid_max)"


def room(top: str, root: Path = ROOT) -> Room:
    """Of the installation whose control groups lie in `top`. A tenant's own limit bounds those in it."""
    hierarchy = root if version() == 2 else root / "pids"
    promised = 0
    for tenant in _groups_in(hierarchy / top):
        inside = sum(_most(one) or 0 for one in _groups_in(tenant))
        bound = _most(tenant)
        promised += inside if bound is None else min(inside, bound)
    return Room(promised=promised, held=for_environments())


def _groups_in(group: Path) -> list[Path]:
    try:
        return [one for one in group.iterdir() if one.is_dir()]
    except OSError:
        return []


def _most(group: Path) -> int | None:
    """None without a limit, or when the group has gone in this moment."""
    try:
        text = (group / "pids.max").read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
