"""cgroups: v2 where the host has it, v1 where it doesn't, behind one set of verbs.

Paths are relative to the top of every hierarchy, such as `wadah/<tenant>/<environment>`.
Kernel documentation: admin-guide/cgroup-v2 and admin-guide/cgroup-v1.
"""

import errno
import os
import shutil
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 100_000
#: Groups that an environment may make of its own, on v2; systemd makes some dozens, three levels deep.
MAX_DEPTH, MAX_DESCENDANTS = 24, 4096


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


def version() -> int:
    """2 on a pure cgroup2 host, 1 when the v1 controllers are mounted (hybrid too)."""
    return 2 if (ROOT / "cgroup.controllers").exists() else 1


def groups() -> "Groups":
    """The driver for this host."""
    return UnifiedGroups(ROOT) if version() == 2 else LegacyGroups(ROOT)


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _read(path).strip()
    return int(text) if text.isdigit() else 0


def _fields(path: Path) -> dict[str, int]:
    """A file of `name value` lines."""
    found = {}
    for line in _read(path).splitlines():
        words = line.split()
        if len(words) == 2 and words[1].isdigit():
            found[words[0]] = int(words[1])
    return found


def _set(path: Path, text: str) -> bool:
    """Write when it says something else. False when it said so already."""
    if _read(path).strip() == text:
        return False
    _write(path, text)
    return True


@contextmanager
def quick_attach() -> Iterator[None]:
    """While it lasts, putting a process into cgroups is quick.

    On cgroup v1 the first attach after a pause waits 5-15 ms for a grace period, one within the next
    10 ms takes 0.1 ms (measured, kernel 6.18). So a thread attaches this process to the very group it
    is in, every 5 ms, which changes nothing else. A no-op on v2, where the runtime's clone joins its group.
    """
    own = _own_freezer_group() if version() == 1 else None
    if own is None:
        yield
        return
    done = threading.Event()

    def keep_warm() -> None:
        while not done.is_set():
            with suppress(OSError):
                _write(own, str(os.getpid()))
            done.wait(0.005)

    thread = threading.Thread(target=keep_warm, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()


def _own_freezer_group() -> Path | None:
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "freezer":
            return ROOT / "freezer" / path.lstrip("/") / "cgroup.procs"
    return None


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
    def exists(self, path: str) -> bool: ...

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
    def limits(self, path: str) -> Mapping[str, str]:
        """The limits as the kernel shows them, for people and for drift."""

    @abstractmethod
    def delegate(self, path: str, uid: int) -> None:
        """Lets root of the environment (host id `uid`) divide its own group, and nothing above it."""

    @abstractmethod
    def freeze(self, path: str, frozen: bool) -> None:
        """Returns when all tasks of the group are frozen (or thawed)."""

    @abstractmethod
    def frozen(self, path: str) -> bool: ...

    @abstractmethod
    def kill(self, path: str) -> None:
        """Ends every process of the group and of those below it."""

    @abstractmethod
    def remove(self, path: str) -> bool:
        """Removes the group and those below; False when none was there. OSError (EBUSY) while tasks live."""

    @abstractmethod
    def clear(self, path: str) -> None:
        """Removes what the environment made of the group that it may divide. OSError while tasks live there."""

    def sweep(self, top: str, name: str) -> None:  # noqa: B027 (only v1 has any)
        """Takes away what the OCI runtime left, beside the groups, of `top/*/name`."""

    @abstractmethod
    def children(self, path: str) -> list[str]:
        """Names of the groups directly below."""

    @abstractmethod
    def processes(self, path: str) -> list[int]:
        """Pids in the group and below it."""


def _tree(directory: Path) -> list[Path]:
    """The directory and all below it, deepest last."""
    found = [directory] if directory.is_dir() else []
    for one in found:
        with suppress(OSError):
            found.extend(Path(entry.path) for entry in os.scandir(one) if entry.is_dir(follow_symlinks=False))
    return found


def _remove_tree(directory: Path) -> bool:
    """The group and those below it. False when it isn't there; OSError (EBUSY) while tasks are in it."""
    if not directory.is_dir():
        return False
    _clear_tree(directory)
    for attempt in range(20):
        try:
            directory.rmdir()
            break
        except FileNotFoundError:
            break
        except OSError as error:
            if error.errno != errno.EBUSY or attempt == 19:
                raise
            time.sleep(0.005)
    return True


def _clear_tree(directory: Path) -> None:
    """Removes the groups below this one. What root of an environment may divide can be deeper than any
    path may be long, so it goes down and up again by descriptors, one at a time, and without recursion."""
    try:
        here = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    way: list[str] = []
    tries = 0
    try:
        while True:
            below = _remove_leaves(here)
            if below is not None and below != "":
                way.append(below)
                here = _step(here, below)
            elif way and below is None:
                here = _step(here, "..")
                way.pop()
            elif below is None:
                return
            else:
                tries += 1
                if tries > 100:
                    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(directory))
                time.sleep(0.005)
    finally:
        os.close(here)


def _step(here: int, name: str) -> int:
    there = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=here)
    os.close(here)
    return there


def _remove_leaves(here: int) -> str | None:
    """Removes the groups directly below that have none below themselves. The name of one that has; an empty
    name when only busy ones are left; None when nothing is."""
    left: str | None = None
    with os.scandir(here) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for name in names:
        try:
            os.rmdir(name, dir_fd=here)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            with suppress(OSError):
                if _has_groups(here, name):
                    return name
            left = ""
    return left


def _has_groups(here: int, name: str) -> bool:
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=here)
    try:
        with os.scandir(fd) as entries:
            return any(entry.is_dir(follow_symlinks=False) for entry in entries)
    finally:
        os.close(fd)


def _open_to_users(group: Path) -> None:
    """Whatever our umask was: managers of users inside make their groups below this one (user@.service(5))."""
    with suppress(FileNotFoundError):
        group.chmod(0o755)


def _pids(directory: Path) -> list[int]:
    return [int(line) for one in _tree(directory) for line in _read(one / "cgroup.procs").split()]


class LegacyGroups(Groups):
    """cgroup v1: one hierarchy per controller, the same path in each.

    Only `name=systemd` is ever handed to the environment. A child group in blkio would escape the
    limit of its parent, so that one least of all.
    """

    version = 1
    CONTROLLERS = ("cpu", "cpuacct", "memory", "pids", "blkio", "devices", "freezer", "systemd", "cpuset")

    def __init__(self, root: Path):
        super().__init__(root)
        self.controllers = [name for name in self.CONTROLLERS if (root / name / "cgroup.procs").exists()]

    def _at(self, controller: str, path: str) -> Path:
        return self.root / controller / path

    def payload(self, path: str) -> str:
        return path

    def exists(self, path: str) -> bool:
        return all(self._at(controller, path).is_dir() for controller in self.controllers)

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
        return made

    def _create_cpuset(self, path: str) -> None:
        """A new cpuset group has no processors and takes no task until it is given some."""
        parent = self.root / "cpuset"
        for part in path.split("/"):
            directory = parent / part
            directory.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                if not _read(directory / name).strip():
                    _write(directory / name, _read(parent / name).strip())
            parent = directory

    def limit(self, path: str, limits: GroupLimits) -> None:
        cpu, memory = self._at("cpu", path), self._at("memory", path)
        quota = -1 if limits.cpu is None else max(1000, round(limits.cpu * PERIOD_US))
        _set(cpu / "cpu.cfs_quota_us", str(quota))
        _set(cpu / "cpu.shares", str(max(2, limits.cpu_weight * 1024 // 100)))
        self._limit_memory(memory, limits)
        _set(self._at("pids", path) / "pids.max", _or_max(limits.processes))
        if limits.cpus is not None and "cpuset" in self.controllers:
            _set(self._at("cpuset", path) / "cpuset.cpus", limits.cpus)
        if limits.device is not None:
            self._limit_io(self._at("blkio", path), limits)

    def bound_tasks(self, top: str, most: int) -> bool:
        group = self._at("pids", top)
        group.mkdir(exist_ok=True)
        return _set(group / "pids.max", str(most))

    @staticmethod
    def _limit_memory(group: Path, limits: GroupLimits) -> None:
        """The swap-inclusive limit may never be below the plain one, so the order depends on the direction."""
        plain = -1 if limits.memory_bytes is None else limits.memory_bytes
        both = -1 if plain == -1 or limits.swap_bytes is None else plain + limits.swap_bytes
        files = [(group / "memory.limit_in_bytes", plain)]
        if (group / "memory.memsw.limit_in_bytes").exists():
            now = _number(group / "memory.limit_in_bytes")
            at = 1 if plain != -1 and plain <= now else 0
            files.insert(at, (group / "memory.memsw.limit_in_bytes", both))
        for file, value in files:
            if value == -1 and _number(file) >= 2**62:
                continue
            _set(file, str(value))

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
            if wanted not in _read(file).splitlines() and (wanted or _read(file).strip()):
                _write(file, wanted or f"{limits.device} 0")

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
        return {name: _read(self._at(controller, path) / name).strip() for controller, name in names}

    def usage(self, path: str) -> GroupUsage:
        memory, pids = self._at("memory", path), self._at("pids", path)
        used = _number(memory / "memory.usage_in_bytes")
        return GroupUsage(
            cpu_ns=_number(self._at("cpuacct", path) / "cpuacct.usage"),
            memory_bytes=used,
            memory_max_bytes=_number(memory / "memory.max_usage_in_bytes"),
            memory_hits=_number(memory / "memory.failcnt"),
            swap_bytes=max(0, _number(memory / "memory.memsw.usage_in_bytes") - used),
            processes=_number(pids / "pids.current"),
            process_hits=_fields(pids / "pids.events").get("max", 0),
            oom_kills=_fields(memory / "memory.oom_control").get("oom_kill", 0),
        )

    def delegate(self, path: str, uid: int) -> None:
        group = self._at("systemd", path)
        for target in (group, group / "cgroup.procs", group / "tasks"):
            with suppress(FileNotFoundError):
                os.chown(target, uid, uid)
        _open_to_users(group)

    def freeze(self, path: str, frozen: bool) -> None:
        wanted = "FROZEN" if frozen else "THAWED"
        file = self._at("freezer", path) / "freezer.state"
        until = time.monotonic() + 10
        while _read(file).strip() != wanted:
            _write(file, wanted)
            if time.monotonic() > until:
                raise TimeoutError(f"{path} did not become {wanted.lower()} within 10 s")
            if _read(file).strip() != wanted:
                time.sleep(0.005)

    def frozen(self, path: str) -> bool:
        return _read(self._at("freezer", path) / "freezer.state").strip() in ("FROZEN", "FREEZING")

    def kill(self, path: str) -> None:
        for pid in self.processes(path):
            with suppress(ProcessLookupError):
                os.kill(pid, 9)

    def remove(self, path: str) -> bool:
        removed = [_remove_tree(self._at(controller, path)) for controller in self.controllers]
        return any(removed)

    def clear(self, path: str) -> None:
        _clear_tree(self._at("systemd", path))

    def sweep(self, top: str, name: str) -> None:
        """crun makes plain directories where a cgroup2 mount might be, and leaves them there."""
        unified = self.root / "unified"
        if (unified / "cgroup.controllers").exists():
            return
        for stray in (unified / top).glob(f"*/{name}"):
            shutil.rmtree(stray, ignore_errors=True)
            with suppress(OSError):  # a sibling's stays
                stray.parent.rmdir()

    def children(self, path: str) -> list[str]:
        names: set[str] = set()
        for controller in self.controllers:
            with suppress(OSError):
                names |= {e.name for e in os.scandir(self._at(controller, path)) if e.is_dir()}
        return sorted(names)

    def processes(self, path: str) -> list[int]:
        return _pids(self._at("pids", path))


class UnifiedGroups(Groups):
    """cgroup v2: limits on the environment's group, its processes in `payload` below it."""

    version = 2
    CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "io")

    def _at(self, path: str) -> Path:
        return self.root / path

    def payload(self, path: str) -> str:
        return f"{path}/payload"

    def exists(self, path: str) -> bool:
        return self._at(path).is_dir()

    def create(self, path: str) -> bool:
        made = not self.exists(path)
        parent = self.root
        for part in (*path.split("/"), "payload"):
            self._enable(parent)
            parent = parent / part
            parent.mkdir(exist_ok=True)
        return made

    def _enable(self, group: Path) -> None:
        there = _read(group / "cgroup.controllers").split()
        on = _read(group / "cgroup.subtree_control").split()
        missing = [name for name in self.CONTROLLERS if name in there and name not in on]
        if missing:
            _write(group / "cgroup.subtree_control", " ".join(f"+{name}" for name in missing))

    def limit(self, path: str, limits: GroupLimits) -> None:
        group = self._at(path)
        quota = "max" if limits.cpu is None else str(max(1000, round(limits.cpu * PERIOD_US)))
        for one in (group, group / "payload"):
            # lxcfs shows the processors of the reader's own group, so the cap stands on both
            if one.is_dir():
                _set(one / "cpu.max", f"{quota} {PERIOD_US}")
        _set(group / "cpu.weight", str(limits.cpu_weight))
        _set(group / "memory.max", _or_max(limits.memory_bytes))
        if (group / "memory.swap.max").exists():
            _set(group / "memory.swap.max", _or_max(limits.swap_bytes))
        _set(group / "pids.max", _or_max(limits.processes))
        for name, most in (("cgroup.max.depth", MAX_DEPTH), ("cgroup.max.descendants", MAX_DESCENDANTS)):
            if (group / name).exists() and path.count("/") > 1:
                _set(group / name, str(most))
        if limits.cpus is not None and (group / "cpuset.cpus").exists():
            _set(group / "cpuset.cpus", limits.cpus)
        if limits.device is not None and (group / "io.max").exists():
            values = {
                "rbps": limits.read_bytes_s,
                "wbps": limits.write_bytes_s,
                "riops": limits.read_iops,
                "wiops": limits.write_iops,
            }
            text = " ".join(f"{name}={_or_max(value)}" for name, value in values.items())
            if f"{limits.device} {text}" not in _read(group / "io.max") and (
                any(values.values()) or _read(group / "io.max").strip()
            ):
                _write(group / "io.max", f"{limits.device} {text}")

    def bound_tasks(self, top: str, most: int) -> bool:
        self._enable(self.root)
        group = self._at(top)
        group.mkdir(exist_ok=True)
        return _set(group / "pids.max", str(most))

    def limits(self, path: str) -> Mapping[str, str]:
        names = ("cpu.max", "cpu.weight", "memory.max", "memory.swap.max", "pids.max", "io.max")
        return {name: _read(self._at(path) / name).strip() for name in names}

    def usage(self, path: str) -> GroupUsage:
        group = self._at(path)
        memory_events = _fields(group / "memory.events")
        used = _number(group / "memory.current")
        return GroupUsage(
            cpu_ns=_fields(group / "cpu.stat").get("usage_usec", 0) * 1000,
            memory_bytes=used,
            memory_max_bytes=_number(group / "memory.peak") or used,
            memory_hits=memory_events.get("max", 0),
            swap_bytes=_number(group / "memory.swap.current"),
            processes=_number(group / "pids.current"),
            process_hits=_fields(group / "pids.events").get("max", 0),
            oom_kills=memory_events.get("oom_kill", 0),
        )

    def delegate(self, path: str, uid: int) -> None:
        group = self._at(path) / "payload"
        names = ("", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control")
        for target in (group / name if name else group for name in names):
            with suppress(FileNotFoundError):
                os.chown(target, uid, uid)
        _open_to_users(group)

    def freeze(self, path: str, frozen: bool) -> None:
        group = self._at(path)
        _write(group / "cgroup.freeze", "1" if frozen else "0")
        until = time.monotonic() + 10
        while _fields(group / "cgroup.events").get("frozen", 0) != int(frozen):
            if time.monotonic() > until:
                raise TimeoutError(f"{path} did not {'freeze' if frozen else 'thaw'} within 10 s")
            time.sleep(0.002)

    def frozen(self, path: str) -> bool:
        return _number(self._at(path) / "cgroup.freeze") == 1

    def kill(self, path: str) -> None:
        file = self._at(path) / "cgroup.kill"
        if file.exists():
            _write(file, "1")
            return
        for pid in self.processes(path):
            with suppress(ProcessLookupError):
                os.kill(pid, 9)

    def remove(self, path: str) -> bool:
        return _remove_tree(self._at(path))

    def clear(self, path: str) -> None:
        _clear_tree(self._at(path) / "payload")

    def children(self, path: str) -> list[str]:
        with suppress(OSError):
            return sorted(entry.name for entry in os.scandir(self._at(path)) if entry.is_dir())
        return []

    def processes(self, path: str) -> list[int]:
        return _pids(self._at(path))


def _or_max(value: int | None) -> str:
    return "max" if value is None else str(value)
