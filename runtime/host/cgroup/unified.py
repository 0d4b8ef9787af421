"""cgroup v2. Kernel documentation: admin-guide/cgroup-v2."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtime.host.cgroup import device_program
from runtime.host.cgroup.base import MOST_DEPTH, PERIOD_US, Counter, GroupLimits, GroupRoom, Groups, GroupUsage
from runtime.host.cgroup.device_program import Rules
from runtime.host.cgroup.files import (
    bound,
    fields,
    known,
    number,
    open_to_users,
    or_max,
    read,
    set_to,
    without_cache,
    write,
)
from runtime.host.cgroup.trees import pids_below, remove_tree, two_below
from runtime.host.processes import kill_members

_PAGE = os.sysconf("SC_PAGE_SIZE")


def mount(kind: str, options: tuple[str, ...] = ()) -> dict[str, Any]:
    """Of /sys/fs/cgroup, in an OCI configuration."""
    options = ("nosuid", "nodev", "noexec", "relatime", "rw", *options)
    return {"destination": "/sys/fs/cgroup", "type": kind, "source": kind, "options": list(options)}


def bound_groups(group: Path, most: int | None) -> None:
    """How many groups there may be below this one, and how deep."""
    if most is not None and (group / "cgroup.max.descendants").exists():
        set_to(group / "cgroup.max.depth", str(MOST_DEPTH))
        set_to(group / "cgroup.max.descendants", str(most))


def hand_over(group: Path, uid: int) -> None:
    """Root of an environment may divide the group; its limits stay the host's (cgroup-v2.rst, Delegation)."""
    for name in ("", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
        with suppress(FileNotFoundError):
            os.chown(group / name if name else group, uid, uid)
    open_to_users(group)


def of_tasks(group: Path) -> Counter:
    """The controller has the same files in both versions; `pids.peak` since Linux 6.1."""
    return Counter(
        "tasks",
        held=number(group / "pids.current"),
        maxheld=known(group / "pids.peak"),
        limit=bound(group / "pids.max"),
        failcnt=fields(group / "pids.events").get("max"),
    )


class UnifiedGroups(Groups):
    """cgroup v2: limits on the environment's group, its processes in `payload` below it."""

    version = 2
    CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "io")

    def _at(self, path: str) -> Path:
        return self.root / path

    def payload(self, path: str) -> str:
        return f"{path}/payload"

    def mounts(self, path: str) -> list[dict[str, Any]]:
        return [mount("cgroup")]

    def exists(self, path: str) -> bool:
        return self._at(path).is_dir()

    def whole(self, top: str) -> frozenset[str]:
        return frozenset(two_below(self.root, top))

    def has_any(self, path: str) -> bool:
        return self.exists(path)

    def create(self, path: str) -> bool:
        made = not self.exists(path)
        parent = self.root
        for part in (*path.split("/"), "payload"):
            self._enable(parent)
            parent = parent / part
            parent.mkdir(exist_ok=True)
        return made

    def _enable(self, group: Path) -> None:
        there = read(group / "cgroup.controllers").split()
        on = read(group / "cgroup.subtree_control").split()
        missing = [name for name in self.CONTROLLERS if name in there and name not in on]
        if missing:
            write(group / "cgroup.subtree_control", " ".join(f"+{name}" for name in missing))

    def limit(self, path: str, limits: GroupLimits) -> None:
        group = self._at(path)
        quota = "max" if limits.cpu is None else str(max(1000, round(limits.cpu * PERIOD_US)))
        for one in (group, group / "payload"):
            # what looks for limits inside sees the lower one only, so they stand on both
            if one.is_dir():
                set_to(one / "cpu.max", f"{quota} {PERIOD_US}")
                set_to(one / "memory.max", or_max(limits.memory_bytes))
        set_to(group / "cpu.weight", str(limits.cpu_weight))
        if (group / "memory.swap.max").exists():
            set_to(group / "memory.swap.max", or_max(limits.swap_bytes))
        set_to(group / "pids.max", or_max(limits.processes))
        bound_groups(group, limits.groups)
        if limits.cpus is not None and (group / "cpuset.cpus").exists():
            set_to(group / "cpuset.cpus", limits.cpus)
        if limits.device is not None and (group / "io.max").exists():
            values = {
                "rbps": limits.read_bytes_s,
                "wbps": limits.write_bytes_s,
                "riops": limits.read_iops,
                "wiops": limits.write_iops,
            }
            text = " ".join(f"{name}={or_max(value)}" for name, value in values.items())
            if f"{limits.device} {text}" not in read(group / "io.max") and (
                any(values.values()) or read(group / "io.max").strip()
            ):
                write(group / "io.max", f"{limits.device} {text}")

    def bound_tasks(self, top: str, most: int) -> bool:
        self._enable(self.root)
        group = self._at(top)
        group.mkdir(exist_ok=True)
        return set_to(group / "pids.max", str(most))

    def limits(self, path: str) -> Mapping[str, str]:
        names = ("cpu.max", "cpu.weight", "memory.max", "memory.swap.max", "pids.max", "io.max")
        return {name: read(self._at(path) / name).strip() for name in names}

    def promised(self, path: str) -> Mapping[str, str]:
        names = ("memory.max", "memory.swap.max", "pids.max", "cpuset.cpus")
        return {name: read(self._at(path) / name).strip() for name in names}

    def oom_kills(self, path: str) -> int:
        return fields(self._at(path) / "memory.events").get("oom_kill", 0)

    def usage(self, path: str) -> GroupUsage:
        group = self._at(path)
        memory_events = fields(group / "memory.events")
        used = number(group / "memory.current")
        return GroupUsage(
            cpu_ns=fields(group / "cpu.stat").get("usage_usec", 0) * 1000,
            memory_bytes=without_cache(used, group / "memory.stat"),
            memory_max_bytes=number(group / "memory.peak") or used,
            memory_hits=memory_events.get("max", 0),
            swap_bytes=number(group / "memory.swap.current"),
            processes=number(group / "pids.current"),
            process_hits=fields(group / "pids.events").get("max", 0),
            oom_kills=memory_events.get("oom_kill", 0),
        )

    def room(self, path: str) -> GroupRoom | None:
        group = self._at(path)
        most = bound(group / "memory.max")
        if most is None:
            return None
        return GroupRoom(
            memory_bytes=most,
            used_bytes=number(group / "memory.current"),
            shared_bytes=fields(group / "memory.stat").get("shmem", 0),
            swap_bytes=bound(group / "memory.swap.max") or 0,
            swap_used_bytes=number(group / "memory.swap.current"),
            tasks=number(group / "pids.current"),
            cpu_ns=fields(group / "cpu.stat").get("usage_usec", 0) * 1000,
        )

    def counters(self, path: str) -> dict[str, Counter]:
        group = self._at(path)
        if not group.is_dir():
            return {}
        events, kept = fields(group / "memory.events"), fields(group / "memory.stat")
        swap_events = fields(group / "memory.swap.events")
        return {
            "numproc": of_tasks(group),
            "physpages": _pages(group, "memory", events.get("max")),
            "swappages": _pages(group, "memory.swap", swap_events.get("max", swap_events.get("fail"))),
            "kmemsize": Counter("bytes", held=kept.get("kernel", kept.get("slab", 0))),
            "tcpbuf": Counter("bytes", held=kept.get("sock", 0)),
        }

    def delegate(self, path: str, uid: int) -> None:
        hand_over(self._at(path) / "payload", uid)

    def allow_devices(self, path: str, allowed: Rules) -> bool:
        return device_program.hold(self._at(self.payload(path)), allowed)

    def allows_devices(self, path: str, allowed: Rules) -> bool:
        return device_program.holds(self._at(self.payload(path)), allowed)

    def freeze(self, path: str, frozen: bool, within_s: float) -> None:
        group = self._at(path)
        write(group / "cgroup.freeze", "1" if frozen else "0")
        until = time.monotonic() + within_s
        while fields(group / "cgroup.events").get("frozen", 0) != int(frozen):
            if time.monotonic() > until:
                raise TimeoutError(f"{path} did not {'freeze' if frozen else 'thaw'} within {within_s:g} s")
            time.sleep(0.002)

    def frozen(self, path: str) -> bool:
        return number(self._at(path) / "cgroup.freeze") == 1

    def kill(self, path: str) -> None:
        file = self._at(path) / "cgroup.kill"
        if file.exists():
            write(file, "1")
            return
        kill_members(lambda: self.processes(path))

    def remove(self, path: str) -> bool:
        return remove_tree(self._at(path))

    def children(self, path: str) -> list[str]:
        with suppress(OSError):
            return sorted(entry.name for entry in os.scandir(self._at(path)) if entry.is_dir())
        return []

    def processes(self, path: str) -> list[int]:
        return pids_below(self._at(path))


def _pages(group: Path, name: str, failed: int | None) -> Counter:
    """Of the files that begin so, in pages of this machine."""

    def pages(value: int | None) -> int | None:
        return None if value is None else value // _PAGE

    return Counter(
        "pages",
        held=number(group / f"{name}.current") // _PAGE,
        maxheld=pages(known(group / f"{name}.peak")),
        barrier=pages(bound(group / f"{name}.high")),
        limit=pages(bound(group / f"{name}.max")),
        failcnt=failed,
    )
