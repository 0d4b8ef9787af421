"""How much memory is left: of the machine (proc_meminfo(5)) and below a limit of a control group."""

from contextlib import suppress
from pathlib import Path

#: Bytes that a group without a limit reports as its limit on cgroup v1 (PAGE_COUNTER_MAX, rounded to pages).
_NO_LIMIT = 2**62


def available_bytes(group: str) -> int:
    """What may be used before somebody must be killed: the less of what the machine has available and what the
    limit of `group` (a path below the memory controller's root) leaves. Files that the kernel keeps in memory
    and may drop count as free."""
    left = _of_machine()
    for top, limit, usage, droppable in (
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ):
        directory = Path(top, group)
        with suppress(OSError, ValueError):  # not this version's, or "max"
            most = int((directory / limit).read_text())
            if most < _NO_LIMIT:
                used = int((directory / usage).read_text())
                left = min(left, most - used + _field(directory / "memory.stat", droppable))
    return max(0, left)


def total_bytes() -> int:
    """What the machine has."""
    return _field(Path("/proc/meminfo"), "MemTotal:") * 1024


def _of_machine() -> int:
    return _field(Path("/proc/meminfo"), "MemAvailable:") * 1024


def _field(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        words = line.split()
        if words[:1] == [name]:
            return int(words[1])
    raise ValueError(f"{file} has no {name}")
