"""A03, A05: nothing that belongs to the whole host can be written; no control group can be loosened."""

import os
import posixpath
from pathlib import Path

from runtime.contract import EnvironmentSpec
from runtime.node import Node
from runtime.prepare import LXCFS_BYTES
from runtime.sandboxes.shared.cgroup import Cgroup
from tests.host.isolation.conftest import Try
from tests.host.support.waiting import wait_until

#: Files of the whole host; nothing of these has a namespace.
HOST_FILES = """
/proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/kernel/hotplug /proc/sys/kernel/printk
/proc/sys/kernel/panic /proc/sys/kernel/threads-max /proc/sys/kernel/pty/max
/proc/sys/kernel/dmesg_restrict /proc/sys/kernel/kptr_restrict /proc/sys/kernel/sysrq
/proc/sys/kernel/keys/maxkeys
/proc/sys/kernel/randomize_va_space /proc/sys/kernel/unprivileged_bpf_disabled
/proc/sys/vm/panic_on_oom /proc/sys/vm/drop_caches /proc/sys/vm/overcommit_memory /proc/sys/vm/swappiness
/proc/sys/vm/compact_memory /proc/sys/vm/dirty_ratio
/proc/sys/fs/binfmt_misc/register /proc/sys/fs/file-max /proc/sys/fs/suid_dumpable
/proc/sys/fs/protected_symlinks /proc/sys/fs/inotify/max_user_instances
/proc/sys/net/netfilter/nf_conntrack_max /proc/sys/net/core/bpf_jit_enable /proc/sys/net/core/rmem_max
/proc/sysrq-trigger /proc/irq/default_smp_affinity /proc/1/oom_score_adj_host
/sys/kernel/uevent_helper /sys/power/state /sys/kernel/mm/transparent_hugepage/enabled
/sys/kernel/mm/ksm/run /sys/module/kernel/parameters/panic
""".split()


def test_a03_host_wide_values_can_not_be_written(tries: Try) -> None:
    def write(paths: list[str]) -> dict[str, str]:
        import glob
        import os

        wrote = {}
        block = glob.glob("/sys/block/*/queue/*") + glob.glob("/sys/class/block/*/queue/*")
        for path in [*paths, *block]:
            try:
                fd = os.open(path, os.O_WRONLY)
            except OSError:
                continue
            try:
                # what it says already, or what would do no harm: the answer is what counts
                try:
                    with open(path, "rb") as file:
                        data = file.read() or b"0"
                except OSError:
                    data = b"0"
                os.write(fd, data)
                wrote[path] = data.decode(errors="replace")
            except OSError:
                pass
            finally:
                os.close(fd)
        return wrote

    assert tries(write, HOST_FILES) == {}


def test_a03_not_even_after_the_covers_are_taken_off(tries: Try) -> None:
    """The masks are cosmetics: root inside unmounts them, remounts /sys, mounts proc and sys anew."""

    def uncover(paths: list[str]) -> list[str]:
        import ctypes
        import os

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(0x20000):
            return ["unshare"]
        libc.mount(b"", b"/", None, 0x44000, None)  # private, recursively
        with open("/proc/self/mounts") as file:
            lines = file.read().splitlines()
        for line in reversed(lines):
            target = line.split()[1]
            if target.startswith(("/proc/", "/sys/")):
                libc.umount2(target.encode(), 2)
        libc.mount(b"", b"/sys", None, 0x20, None)  # remount without ro
        os.makedirs("/mnt/p", exist_ok=True)
        os.makedirs("/mnt/s", exist_ok=True)
        libc.mount(b"proc", b"/mnt/p", b"proc", 0, None)
        libc.mount(b"sysfs", b"/mnt/s", b"sysfs", 0, None)
        wrote = []
        more = [one.replace("/proc/", "/mnt/p/", 1).replace("/sys/", "/mnt/s/", 1) for one in paths]
        for path in [*paths, *more]:
            with_value = b"1" if "/proc/sys/" in path else b"0"
            try:
                fd = os.open(path, os.O_WRONLY)
            except OSError:
                continue
            try:
                os.write(fd, with_value)
                wrote.append(path)
            except OSError:
                pass
            os.close(fd)
        return wrote

    assert tries(uncover, HOST_FILES) == []


def _attack_groups() -> list[str]:
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    kinds = [
        ("cgroup", one)
        for one in "cpu cpuacct cpuset memory pids blkio devices freezer net_cls perf_event hugetlb".split()
    ]
    kinds += [("cgroup2", "")]
    wrote = []
    tops = ["/sys/fs/cgroup", *(f"/sys/fs/cgroup/{one}" for _, one in kinds if one)]
    for kind, options in kinds:
        place = f"/mnt/cg-{options or kind}"
        os.makedirs(place, exist_ok=True)
        if libc.mount(kind.encode(), place.encode(), kind.encode(), 0, options.encode() or None) == 0:
            tops.append(place)
    values = {
        "release_agent": "/x",
        "notify_on_release": "1",
        "memory.limit_in_bytes": "-1",
        "memory.memsw.limit_in_bytes": "-1",
        "memory.max": "max",
        "memory.high": "max",
        "memory.swap.max": "max",
        "pids.max": "max",
        "cpu.cfs_quota_us": "-1",
        "cpu.max": "max",
        "cpu.weight": "10000",
        "cpu.shares": "9999",
        "cpuset.cpus": "0-1",
        "devices.allow": "a",
        "blkio.throttle.write_bps_device": "7:0 0",
        "io.max": "7:0 wbps=max",
        "freezer.state": "FROZEN",
        "cgroup.procs": "1",
        "tasks": "1",
        "cgroup.kill": "1",
        "cgroup.freeze": "1",
        "cgroup.subtree_control": "+pids",
        "memory.oom_control": "1",
        "memory.force_empty": "0",
        "cgroup.max.descendants": "max",
        "cgroup.type": "threaded",
    }
    for top in tops:
        above = [top, *(os.path.join(top, *[".."] * depth) for depth in (1, 2, 3))]
        for group in above:
            for name, value in values.items():
                try:
                    fd = os.open(f"{group}/{name}", os.O_WRONLY)
                except OSError:
                    continue
                try:
                    os.write(fd, value.encode())
                    wrote.append(f"{group}/{name}")
                except OSError:
                    pass
                os.close(fd)
            try:
                os.stat(f"{group}/cgroup.procs")
                os.mkdir(f"{group}/escape")
                wrote.append(f"{group}/escape/")
                os.rmdir(f"{group}/escape")
            except OSError:
                pass
    for _, options in kinds:
        libc.umount2(f"/mnt/cg-{options or 'cgroup2'}".encode(), 2)
    return wrote


def test_a05_no_limit_can_be_loosened(node: Node, ve: EnvironmentSpec, tries: Try) -> None:
    before = Cgroup(node).inspect(ve.id)
    wrote = tries(_attack_groups)
    assert [one for one in wrote if not _is_own(one)] == []
    assert Cgroup(node).inspect(ve.id) == before


def _is_own(path: str) -> bool:
    """The delegated files of its own group of cgroup2, to move and group its own processes."""
    group, name = posixpath.split(posixpath.normpath(path))
    delegated = ("cgroup.procs", "cgroup.subtree_control", "escape")
    return group in ("/sys/fs/cgroup", "/mnt/cg-cgroup2") and name in delegated


def test_a05_only_its_own_group_is_its_own(tries: Try) -> None:
    def own() -> list[str]:
        import os

        top = "/sys/fs/cgroup"
        found = [name for name in os.listdir(top) if os.stat(f"{top}/{name}").st_uid == 0]
        below = [f"{d}/{n}" for d, _, names in os.walk(top) if d != top for n in names]
        return sorted(found) + [one for one in below if os.stat(one).st_uid == 0]

    def made() -> bool:
        import os

        os.mkdir("/sys/fs/cgroup/mine")
        os.rmdir("/sys/fs/cgroup/mine")
        return True

    assert tries(own) == ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
    assert tries(made)


def test_a03_what_lxcfs_shows_can_not_be_written(node: Node, tries: Try) -> None:
    """It opens and writes as the host's root for whoever asks, so nothing of it may be open to writing, mounted
    anew inside or not. What is written is what the file says already."""

    def write() -> list[str]:
        import ctypes
        import os

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(0x20000):
            return ["unshare"]
        libc.mount(b"", b"/", None, 0x44000, None)
        with open("/proc/self/mounts") as file:
            shown = [line.split()[1] for line in file if "lxcfs" in line.split()[2]]
        found = [] if shown else ["no lxcfs"]
        for place in shown:
            for flags in (0x20, 0x1020):  # the file system, this mount of it
                libc.mount(b"", place.encode(), None, flags, None)
            names = [place] if os.path.isfile(place) else []
            names += [f"{top}/{one}" for top, _, files in os.walk(place) for one in files]
            for name in names:
                try:
                    fd = os.open(name, os.O_RDWR)
                except OSError:
                    continue
                try:
                    os.write(fd, os.read(fd, 4096) or b"x")
                    found.append(name)
                except OSError as odd:
                    if odd.errno == 30:
                        continue
                os.close(fd)
            try:
                os.chmod(place, 0o777)
                found.append(f"mode of {place}")
            except OSError:
                pass
        return found

    assert tries(write) == []
    assert os.statvfs(node.lxcfs).f_flag & os.ST_RDONLY


def _reads_its_memory() -> bool:
    try:
        with open("/proc/meminfo") as file:
            return "MemTotal:         131072 kB" in file.read()
    except OSError:
        return False


def test_b04_files_of_lxcfs_held_open_take_a_bounded_share_of_the_host(node: Node, tries: Try) -> None:
    """Each is a copy in the memory of a process of the host's, charged to nobody: it has a limit of its own."""

    def hold(processes: int) -> list[int]:
        """How many files each of so many processes got; all of them hold theirs until the last has his."""
        import os
        import resource

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        told, tell = os.pipe()
        wait, go = os.pipe()
        for _ in range(processes):
            if os.fork() == 0:
                os.close(go)
                count = 0
                try:
                    while True:
                        os.open("/proc/meminfo", os.O_RDONLY)
                        count += 1
                except OSError as full:
                    os.write(tell, b"%d %d\n" % (count, full.errno))
                os.read(wait, 1)
                os._exit(0)
        lines = b""
        while lines.count(b"\n") < processes:
            lines += os.read(told, 4096)
        return [int(word) for word in lines.split()]

    pid = int((node.run / "lxcfs.pid").read_text())
    limits = Path(f"/proc/{pid}/limits").read_text()
    data = next(line for line in limits.splitlines() if line.startswith("Max data size"))
    assert data.split()[3:5] == [str(LXCFS_BYTES)] * 2
    said = tries(hold, 4)
    resident = next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    assert sum(said[::2]) > 10_000
    assert int(resident.split()[1]) * 1024 < LXCFS_BYTES + 16 * 2**20
    wait_until(lambda: tries(_reads_its_memory), "what it shows once they are closed")
