"""The leak audit: what of a node, and of the host around it, must be the same before and after an attack.

Only what belongs to the node under test is looked at, so that others at work on the machine don't show.
"""

import hashlib
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runtime.host import btrfs, mounts
from runtime.host.cgroup import ROOT
from runtime.host.processes import roots
from runtime.known import known_environments
from runtime.node import Node
from runtime.resources.firewall import Firewall
from runtime.resources.volume import RootVolume
from runtime.state import Records

#: Host-wide values that a tenant would like to set.
SYSCTLS = (
    "kernel/core_pattern kernel/modprobe kernel/sysrq kernel/panic kernel/panic_on_oops kernel/printk "
    "kernel/pid_max "
    "kernel/hotplug kernel/pty/max kernel/dmesg_restrict kernel/kptr_restrict kernel/unprivileged_bpf_disabled "
    "kernel/randomize_va_space kernel/hostname kernel/domainname kernel/threads-max kernel/keys/maxkeys "
    "vm/panic_on_oom vm/overcommit_memory vm/swappiness vm/dirty_ratio vm/mmap_min_addr vm/max_map_count "
    "fs/file-max fs/suid_dumpable fs/protected_symlinks fs/inotify/max_user_instances fs/mqueue/queues_max "
    "net/core/bpf_jit_enable net/core/somaxconn net/ipv4/ip_forward net/netfilter/nf_conntrack_max"
).split()
CANARIES = (
    "/etc/passwd /etc/shadow /etc/group /etc/hosts /etc/hostname /etc/resolv.conf /etc/ld.so.preload "
    "/root/.profile "
    "/root/.ssh/authorized_keys /usr/bin/crun /usr/bin/runc /usr/bin/conmon /usr/bin/lxcfs "
    "/usr/bin/python3 /bin/busybox"
).split()

Picture = dict[str, frozenset[str]]


def picture(node: Node) -> Picture:
    return {
        "processes": frozenset(_processes(node)),
        "mounts": frozenset(_mounts(node)),
        "links": frozenset(_links()),
        "firewall": frozenset([_rules(), *(one.what for one in Firewall(node).inventory())]),
        "control groups": frozenset(_groups(node)),
        "loop devices": frozenset(_loops(node)),
        "subvolumes": frozenset(_subvolumes(node)),
        "quota groups": frozenset(_quota_groups(node)),
        "host values": frozenset(_values()),
        "canaries": frozenset(_canaries(node)),
        "files of the node": frozenset(_files(node)),
    }


@contextmanager
def nothing_left(node: Node, *, within_s: float = 30.0) -> Iterator[None]:
    """What happens inside leaves everything as it was; the kernel has some seconds to clean up, also what was
    deleted before."""
    until = time.monotonic() + within_s
    while _lingering(node) and time.monotonic() < until:
        time.sleep(0.1)
    before = picture(node)
    yield
    until = time.monotonic() + within_s
    while differences := compare(before, picture(node)):
        if time.monotonic() > until:
            raise AssertionError("left behind:\n" + "\n".join(differences))
        time.sleep(0.1)


def compare(before: Picture, after: Picture) -> list[str]:
    found = []
    for kind, seen in before.items():
        if kind != "quota groups":  # those of the deleted go when the kernel's cleaner has been there
            found += [f"{kind}: gone: {one[:300]}" for one in sorted(seen - after[kind])]
        found += [f"{kind}: new: {one[:300]}" for one in sorted(after[kind] - seen)]
    return found


#: Programs that the node runs; `exe`: one that is a file without a name.
_OURS = ("conmon", "crun", "lxcfs", "runc", "exe")


def _processes(node: Node) -> Iterator[str]:
    """Those in the node's control groups, and those of ours that name its HOME; how many of each. The command
    line of anybody's but root's isn't read: it may never come."""
    seen: Counter[str] = Counter()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            is_theirs = f"/{node.cgroup_name}/" in (entry / "cgroup").read_text()
            is_ours, words = False, (entry / "comm").read_text().strip()
            if words in _OURS and not is_theirs and roots(int(entry.name), None):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                is_ours = str(node.home) in words
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            if (is_theirs or is_ours) and state not in "ZX":
                seen[words[:160].strip()] += 1
    yield from (f"{words} ({count})" for words, count in seen.items())


def _mounts(node: Node) -> Iterator[str]:
    for line in mounts.mount_table():
        words = line.split()
        if (
            str(node.home) in words[4]
            or node.cgroup_name in words[4]
            or words[4].startswith(("/sys", "/proc", "/dev"))
        ):
            yield " ".join((words[4], words[3], *words[words.index("-") + 1 : words.index("-") + 3]))


def _links() -> Iterator[str]:
    yield from (path.name for path in Path("/proc/self/net/dev_snmp6").iterdir())


def _lingering(node: Node) -> set[str]:
    """Links of environments that are gone: the kernel takes them away a moment after their namespace."""
    there = {one for one in known_environments(node) if Records(node, one).standing() is not None}
    names = {node.link_name(one) for one in there}
    return {link for link in _links() if link.startswith(node.link_prefix)} - names


def _rules() -> str:
    """The ruleset without elements and counters."""
    return subprocess.run(
        ["nft", "-s", "-t", "list", "ruleset"], check=True, capture_output=True, text=True, timeout=20
    ).stdout


def _groups(node: Node) -> Iterator[str]:
    for controller in ROOT.iterdir():
        top = controller / node.cgroup_name
        if not top.is_dir():
            continue
        yield from (str(one.relative_to(ROOT)) for one in top.rglob("*") if one.is_dir())
        yield from _limits(top)


def _limits(top: Path) -> Iterator[str]:
    for name in (
        "memory.limit_in_bytes",
        "memory.max",
        "pids.max",
        "cpu.cfs_quota_us",
        "cpu.max",
        "release_agent",
    ):
        for file in top.rglob(name):
            with suppress(OSError):
                yield f"{file}={file.read_text().strip()}"


def _loops(node: Node) -> Iterator[str]:
    said = subprocess.run(
        ["losetup", "-l", "-n", "-O", "NAME,BACK-FILE"], check=True, capture_output=True, text=True, timeout=20
    )
    yield from (line for line in said.stdout.splitlines() if str(node.home) in line)


def _subvolumes(node: Node) -> Iterator[str]:
    said = subprocess.run(
        ["btrfs", "subvolume", "list", node.store],
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
        errors="replace",
    )
    yield from (re.sub(r" gen \d+ ", " ", line) for line in said.stdout.splitlines())


def _quota_groups(node: Node) -> Iterator[str]:
    btrfs.sync(node.store)
    RootVolume(node).sweep()
    table = btrfs.QuotaTable(btrfs.file_system_uuid(node.store))
    yield from (f"{level}/{number}" for level in (1, 2) for number in table.numbers(level))


def _values() -> Iterator[str]:
    yield from (f"{name}={_text(Path('/proc/sys') / name)}" for name in SYSCTLS)
    for path in ("/sys/kernel/uevent_helper", "/proc/irq/default_smp_affinity", "/sys/power/state"):
        yield f"{path}={_text(Path(path))}"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        return f"({error.strerror})"


def _canaries(node: Node) -> Iterator[str]:
    canary = node.home / "canary"
    if not canary.exists():
        canary.write_text("nobody but the test may change this\n")
    for name in (*CANARIES, str(canary)):
        path = Path(name)
        if path.is_file():
            yield f"{name} {oct(path.stat().st_mode)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        else:
            yield f"{name} is not there"


#: Of the node itself, whoever needs it first.
_MADE_WHEN_NEEDED = ("locks", "exits", "agent.sock", "flows")


def _files(node: Node) -> Iterator[str]:
    """Names that operations leave: records, bundles, scratch directories, claims, what is staged."""
    for place in (
        node.root,
        node.root / "environments",
        node.root / "images",
        node.store / "images",
        node.run,
        node.oci_root,
        node.mounts,
        node.mounts / "roots",
        node.mounts / "users",
        node.mounts / "networks",
        node.mounts / "times",
    ):
        if place.is_dir():
            yield from (str(one) for one in place.iterdir() if one.name not in _MADE_WHEN_NEEDED)
    yield f"free for others: {shutil.disk_usage(node.home).free > 2**30}"
