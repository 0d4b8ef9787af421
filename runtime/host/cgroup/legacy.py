"""cgroup v1. Kernel documentation: admin-guide/cgroup-v1."""

import errno
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtime.host.cgroup.base import PERIOD_US, Counter, GroupLimits, GroupRoom, Groups, GroupUsage
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
from runtime.host.cgroup.unified import bound_groups, hand_over, mount, of_tasks
from runtime.host.processes import kill_members

#: Where the hierarchy of cgroup2 is mounted, in the node's own mount namespace at least.
UNIFIED = "unified"

#: What the OCI runtime allows everybody, whatever is asked of it.
OF_EVERYBODY = frozenset(
    {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, None), (10, 200)}
)

_SOCKET_SHARE = 4
_OF_MEMORY = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class LegacyGroups(Groups):
    """cgroup v1: one hierarchy per controller, the same path in each, and one of cgroup2 without controllers.

    Only that one is handed to the environment, since only there the kernel bounds how many groups are made of
    it. Inside it looks as on a host with cgroup2 alone: an init hears of groups that ran empty, and no group
    can be named after another environment's. Limits are of v1; what there is of them is shown read-only where
    programs look. A child group in blkio would escape the limit of its parent, so that one least of all is
    handed over.
    """

    version = 1
    CONTROLLERS = ("cpu", "cpuacct", "memory", "pids", "blkio", "devices", "freezer", "systemd", "cpuset")
    #: In which a program inside looks for its limits, at /sys/fs/cgroup/NAME or by the table of mounts.
    SHOWN = ("memory", "cpu", "cpuacct", "cpuset", "pids")

    def __init__(self, root: Path):
        super().__init__(root)
        #: All that are mounted: the OCI runtime makes a group in those too that hold nothing of ours.
        self.hierarchies = [one for one in root.iterdir() if (one / "cgroup.procs").exists()]
        self.controllers = [name for name in self.CONTROLLERS if (root / name / "cgroup.procs").exists()]
        self.shown = [name for name in self.SHOWN if name in self.controllers]

    def _at(self, controller: str, path: str) -> Path:
        return self.root / controller / path

    def payload(self, path: str) -> str:
        return path

    def mounts(self, path: str) -> list[dict[str, Any]]:
        return [
            mount("cgroup2"),
            *(
                {
                    "destination": f"/sys/fs/cgroup/{name}",
                    "type": "bind",
                    "source": str(self._at(name, path)),
                    "options": ["bind", "ro", "nosuid", "nodev", "noexec"],
                }
                for name in self.shown
            ),
        ]

    def exists(self, path: str) -> bool:
        places = (*self.controllers, UNIFIED)
        return all(self._at(controller, path).is_dir() for controller in places)

    def whole(self, top: str) -> frozenset[str]:
        places = (*self.controllers, UNIFIED)
        return frozenset.intersection(*(frozenset(two_below(self.root / one, top)) for one in places))

    def has_any(self, path: str) -> bool:
        return any(os.path.isdir(f"{self.root}/{one}/{path}") for one in self.controllers)  # noqa: PTH112 (often)

    def create(self, path: str) -> bool:
        made = False
        for controller in self.controllers:
            directory = self._at(controller, path)
            if directory.is_dir():
                continue
            made = True
            if controller == "cpuset":
                self._create_cpuset(path)
            else:
                directory.mkdir(parents=True, exist_ok=True)
        own = self._at(UNIFIED, path)
        made |= not own.is_dir()
        for name in ("", *self.shown):  # a place for each that is shown
            (own / name).mkdir(parents=True, exist_ok=True)
        return made

    def _create_cpuset(self, path: str) -> None:
        """A new cpuset group has no processors and takes no task until it is given some."""
        parent = self.root / "cpuset"
        for part in path.split("/"):
            directory = parent / part
            directory.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                if not read(directory / name).strip():
                    write(directory / name, read(parent / name).strip())
            parent = directory

    def limit(self, path: str, limits: GroupLimits) -> None:
        cpu, memory = self._at("cpu", path), self._at("memory", path)
        quota = -1 if limits.cpu is None else max(1000, round(limits.cpu * PERIOD_US))
        set_to(cpu / "cpu.cfs_quota_us", str(quota))
        set_to(cpu / "cpu.shares", str(max(2, limits.cpu_weight * 1024 // 100)))
        self._limit_memory(memory, limits)
        self._limit_sockets(memory, limits)
        set_to(self._at("pids", path) / "pids.max", or_max(limits.processes))
        if limits.cpus is not None and "cpuset" in self.controllers:
            set_to(self._at("cpuset", path) / "cpuset.cpus", limits.cpus)
        if limits.device is not None:
            self._limit_io(self._at("blkio", path), limits)
        if limits.groups is not None:
            bound_groups(self._at(UNIFIED, path), limits.groups + len(self.shown))

    def bound_tasks(self, top: str, most: int) -> bool:
        group = self._at("pids", top)
        group.mkdir(exist_ok=True)
        return set_to(group / "pids.max", str(most))

    @staticmethod
    def _limit_memory(group: Path, limits: GroupLimits) -> None:
        """The swap-inclusive limit may never be below the plain one, so the order depends on the direction."""
        plain = -1 if limits.memory_bytes is None else limits.memory_bytes
        both = -1 if plain == -1 or limits.swap_bytes is None else plain + limits.swap_bytes
        files = [(group / "memory.limit_in_bytes", plain)]
        if (group / "memory.memsw.limit_in_bytes").exists():
            now = number(group / "memory.limit_in_bytes")
            at = 1 if plain != -1 and plain <= now else 0
            files.insert(at, (group / "memory.memsw.limit_in_bytes", both))
        for file, value in files:
            if value == -1 and number(file) >= 2**62:
                continue
            set_to(file, str(value))

    @staticmethod
    def _limit_sockets(group: Path, limits: GroupLimits) -> None:
        """Buffers of TCP and UDP sockets: counted apart from other memory here, and not at all without a limit.
        A quarter of it; one that holds more just now keeps its old limit until it is set again."""
        file = group / "memory.kmem.tcp.limit_in_bytes"
        if limits.memory_bytes is None or not file.exists():
            return
        try:
            set_to(file, str(limits.memory_bytes // _SOCKET_SHARE // _PAGE * _PAGE))
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise

    @staticmethod
    def _limit_io(group: Path, limits: GroupLimits) -> None:
        for name, value in (
            ("read_bps", limits.read_bytes_s),
            ("write_bps", limits.write_bytes_s),
            ("read_iops", limits.read_iops),
            ("write_iops", limits.write_iops),
        ):
            file = group / f"blkio.throttle.{name}_device"
            if not file.exists():
                continue
            wanted = f"{limits.device} {value}" if value else ""
            if wanted not in read(file).splitlines() and (wanted or read(file).strip()):
                write(file, wanted or f"{limits.device} 0")

    def limits(self, path: str) -> Mapping[str, str]:
        names = (
            ("cpu", "cpu.cfs_quota_us"),
            ("cpu", "cpu.shares"),
            ("memory", "memory.limit_in_bytes"),
            ("memory", "memory.memsw.limit_in_bytes"),
            ("pids", "pids.max"),
            ("blkio", "blkio.throttle.read_bps_device"),
            ("blkio", "blkio.throttle.write_bps_device"),
        )
        return {name: read(self._at(controller, path) / name).strip() for controller, name in names}

    def promised(self, path: str) -> Mapping[str, str]:
        found = {name: read(f"{self.root}/memory/{path}/{name}").strip() for name in _OF_MEMORY}
        found["cpuset.cpus"] = read(f"{self.root}/cpuset/{path}/cpuset.cpus").strip()
        return {**found, "pids.max": read(f"{self.root}/pids/{path}/pids.max").strip()}

    def usage(self, path: str) -> GroupUsage:
        # names as text: asked of every environment every few seconds, and paths are slow to put together
        memory, pids = f"{self.root}/memory/{path}/memory", f"{self.root}/pids/{path}/pids"
        used = number(f"{memory}.usage_in_bytes")
        return GroupUsage(
            cpu_ns=number(f"{self.root}/cpuacct/{path}/cpuacct.usage"),
            memory_bytes=without_cache(used, f"{memory}.stat", "total_"),
            memory_max_bytes=number(f"{memory}.max_usage_in_bytes"),
            memory_hits=number(f"{memory}.failcnt"),
            swap_bytes=max(0, number(f"{memory}.memsw.usage_in_bytes") - used),
            processes=number(f"{pids}.current"),
            process_hits=fields(f"{pids}.events").get("max", 0),
            oom_kills=self.oom_kills(path),
        )

    def room(self, path: str) -> GroupRoom | None:
        memory = f"{self.root}/memory/{path}/memory"
        most, both = bound(f"{memory}.limit_in_bytes"), bound(f"{memory}.memsw.limit_in_bytes")
        if most is None:
            return None
        used = number(f"{memory}.usage_in_bytes")
        return GroupRoom(
            memory_bytes=most,
            used_bytes=used,
            shared_bytes=fields(f"{memory}.stat").get("total_shmem", 0),
            swap_bytes=0 if both is None else max(0, both - most),
            swap_used_bytes=max(0, number(f"{memory}.memsw.usage_in_bytes") - used),
            tasks=number(f"{self.root}/pids/{path}/pids.current"),
            cpu_ns=number(f"{self.root}/cpuacct/{path}/cpuacct.usage"),
        )

    def counters(self, path: str) -> dict[str, Counter]:
        if not self.has_any(path):
            return {}
        memory, pids = self._at("memory", path), self._at("pids", path)
        found = {"numproc": of_tasks(pids)}
        for name, files, page in (
            ("physpages", "memory", _PAGE),
            ("kmemsize", "memory.kmem", 1),
            ("tcpbuf", "memory.kmem.tcp", 1),
        ):
            if (memory / f"{files}.usage_in_bytes").exists():
                found[name] = _counter(memory, files, page)
        both = memory / "memory.memsw.usage_in_bytes"
        if both.exists():
            all_of_it, ram = (bound(memory / name) for name in _OF_MEMORY[::-1])
            found["swappages"] = Counter(
                "pages",
                held=max(0, number(both) - number(memory / "memory.usage_in_bytes")) // _PAGE,
                limit=None if all_of_it is None or ram is None else (all_of_it - ram) // _PAGE,
                failcnt=known(memory / "memory.memsw.failcnt"),
            )
        return found

    def oom_kills(self, path: str) -> int:
        return fields(f"{self.root}/memory/{path}/memory.oom_control").get("oom_kill", 0)

    def delegate(self, path: str, uid: int) -> None:
        hand_over(self._at(UNIFIED, path), uid)
        for name in self.shown:
            open_to_users(self._at(name, path))

    def allow_devices(self, path: str, allowed: Rules) -> bool:
        group, now = self._at("devices", path), self._devices(path)
        too_much = [one for one in now if one not in allowed and one not in OF_EVERYBODY]
        other = [one for one, access in allowed.items() if now.get(one) != access and one not in OF_EVERYBODY]
        for major, minor in (*too_much, *(one for one in other if one in now)):
            write(group / "devices.deny", f"c {major}:{'*' if minor is None else minor} rwm")
        for major, minor in other:
            number = f"{major}:{'*' if minor is None else minor}"
            write(group / "devices.allow", f"c {number} {allowed[major, minor]}")
        return bool(too_much or other)

    def allows_devices(self, path: str, allowed: Rules) -> bool:
        now = self._devices(path)
        of_its_own = {one: how for one, how in now.items() if one not in OF_EVERYBODY}
        return bool(now) and of_its_own == {one: how for one, how in allowed.items() if one not in OF_EVERYBODY}

    def _devices(self, path: str) -> dict[tuple[int, int | None], str]:
        """Of the group's list those of character devices by their major; what may be done, without `m`: nobody
        inside makes a node."""
        found = {}
        for line in read(self._at("devices", path) / "devices.list").splitlines():
            kind, number, access = line.split()
            major, _, minor = number.partition(":")
            if kind == "c" and major != "*":
                found[int(major), None if minor == "*" else int(minor)] = access.replace("m", "")
        return found

    def freeze(self, path: str, frozen: bool, within_s: float) -> None:
        wanted = "FROZEN" if frozen else "THAWED"
        file = self._at("freezer", path) / "freezer.state"
        until = time.monotonic() + within_s
        while read(file).strip() != wanted:
            write(file, wanted)
            if time.monotonic() > until:
                raise TimeoutError(f"{path} did not become {wanted.lower()} within {within_s:g} s")
            if read(file).strip() != wanted:
                time.sleep(0.005)

    def frozen(self, path: str) -> bool:
        return read(f"{self.root}/freezer/{path}/freezer.state").strip() in ("FROZEN", "FREEZING")

    def kill(self, path: str) -> None:
        kill_members(lambda: self.processes(path))

    def remove(self, path: str) -> bool:
        removed = [remove_tree(hierarchy / path) for hierarchy in self.hierarchies]
        return any(removed)

    def children(self, path: str) -> list[str]:
        names: set[str] = set()
        for controller in self.controllers:
            with suppress(OSError):
                names |= {e.name for e in os.scandir(self._at(controller, path)) if e.is_dir()}
        return sorted(names)

    def processes(self, path: str) -> list[int]:
        return pids_below(self._at("pids", path))


def _counter(group: Path, name: str, page: int) -> Counter:
    """Of the files that begin so: bytes, or pages of that many of them."""
    barrier = bound(group / "memory.soft_limit_in_bytes") if name == "memory" else None
    most, limit = known(group / f"{name}.max_usage_in_bytes"), bound(group / f"{name}.limit_in_bytes")
    return Counter(
        "bytes" if page == 1 else "pages",
        held=number(group / f"{name}.usage_in_bytes") // page,
        maxheld=None if most is None else most // page,
        barrier=None if barrier is None else barrier // page,
        limit=None if limit is None else limit // page,
        failcnt=known(group / f"{name}.failcnt"),
    )
