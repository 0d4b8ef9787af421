"""What environments see of /proc and /sys: all of their own, and nothing that names the machine or others.

/sys is a small tree of our own, shown read-only, with the links of the environment's network namespace in it;
below it is nothing. /proc is the kernel's, and what names something beyond the environment lies under covers.
Root inside may unmount what the OCI runtime mounted for him, and finds below it what was covered. So these are
mounted by the host and reach his mount namespace by propagation: the kernel then lets him take the whole of
/proc away, no cover of it alone, and mount no new one, which would reveal what is covered
(mount_namespaces(7)). Nothing is loaded or looked up by name while a thread is in there: the files are his.
"""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from runtime.contract.words import advice, refusals
from runtime.errors import RuntimeFault
from runtime.host import libc, mounts
from runtime.host.cgroup import version
from runtime.host.safetree import open_directory
from runtime.node import Node

#: Files of /proc that show nothing: what they hold is the machine's.
EMPTY = (
    "cmdline config.gz consoles diskstats dma interrupts iomem ioports kallsyms key-users keys kpagecgroup "
    "kpagecount kpageflags latency_stats mdstat modules mtrr partitions sched_debug timer_stats sysrq-trigger "
    "sys/kernel/core_pattern sys/kernel/modprobe sys/kernel/hotplug sys/kernel/poweroff_cmd"
).split()
#: Directories of /proc that show nothing.
EMPTY_DIRECTORIES = "acpi asound bus driver dynamic_debug fs irq scsi sys/dev sys/sunrpc tty".split()
#: Shown by lxcfs: the limits of the reader's own group in place of the host's. Not uptime, which has to agree
#: with the start of every process: the kernel tells both by the environment's time namespace.
LXCFS = ("cpuinfo", "loadavg", "meminfo", "stat")
#: What reads the kernel's log (rsyslog, klogd) waits for a line as long as there is none; there is never one.
#: Over it lies the environment's own ptmx (pts(4)), where a reader waits for the other end, which nobody opens.
#: An empty file would be read again and again, and one that can't be opened is an error at each start.
KERNEL_LOG, _WAITS = "kmsg", "dev/pts"
BOOT_ID = "sys/kernel/random/boot_id"
#: Of /sys, as it is in the environment's network namespace.
OF_THE_NETWORK = ("class/net", "devices/virtual/net")
#: Where `nesting` shows both bare: without a bare one in sight the kernel lets nobody inside mount another.
BARE = {"proc": "wadah/proc", "sysfs": "wadah/sys"}

_DIRECTORIES = """
    block bus class/net dev/block dev/char devices/system/cpu devices/virtual/net firmware fs/cgroup fs/fuse
    kernel/mm/transparent_hugepage kernel/security module power wadah/proc wadah/sys
""".split()
#: Of the host's, copied: what programs of all kinds look for, and names nothing.
_COPIED = """
    devices/system/cpu/possible devices/system/cpu/present devices/system/cpu/online
    kernel/mm/transparent_hugepage/enabled kernel/mm/transparent_hugepage/defrag
    kernel/mm/transparent_hugepage/shmem_enabled kernel/mm/transparent_hugepage/hpage_pmd_size
    kernel/cgroup/delegate kernel/cgroup/features
""".split()
#: For all services of systemd. One that asks for a user namespace of its own wouldn't start, since that takes
#: the option `nesting`; it is confined by all else that it asks for. Read inside by whoever asks
#: `systemctl cat` why his own line doesn't count.
_SERVICES = """\
# A service that asks for a user namespace of its own (PrivateUsers=yes) would not start here: such namespaces
# are for environments that have the option nesting. All else that it asks for holds. With the option, this
# file isn't here, and PrivateUsers= is as the service says.
[Service]
PrivateUsers=no
"""
#: For Docker's daemon where `nesting` lets it run. On btrfs it takes a driver that needs a call which nobody
#: inside may make (`runtime/oci/seccomp.py`); on any other file system it takes this one by itself.
_DOCKER = "[Service]\nEnvironment=DOCKER_DRIVER=overlay2\n"
#: Where the kernel holds no limit of a service's own: `systemctl status` names this file with every service
#: that has one, and says nothing else of it.
_UNHELD = "60-memory-and-tasks-of-a-service-are-not-held-on-cgroup-v1.conf"
_WHY_UNHELD = """\
# This node's kernel has cgroup v1, which nobody but the host's root may divide: MemoryMax=, TasksMax=,
# CPUQuota= and IO limits of single services are taken and not held. Those of the whole environment are.
"""
#: Directories that the OCI runtime makes for what it mounts below them, closed to users as our umask wants it.
_MADE_ON_THE_WAY = ("dev/net", "run/systemd", "run/systemd/system")
#: Of drop-ins, as systemd.unit(5) wants it.
_DROP_IN = "50-wadah.conf"
#: What earlier versions haven't got.
_NEWEST = "nested"
_HIDDEN = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC


def keep(node: Node) -> bool:
    """Makes the files and directories that are shown, in the node's mount namespace, on a file system that is
    read-only as a whole; False when they are there. Those of an earlier version go on below the new ones, for
    whoever was started with them."""
    if mounts.is_mounted(node.views) and (node.views / _NEWEST).exists():
        return False
    libc.mount("wadah", str(node.views), "tmpfs", _HIDDEN, "mode=755,size=1m,nr_inodes=1024")
    for name in ("nothing", "services", "docker", _NEWEST):
        (node.views / name).mkdir(mode=0o755)
    for name in _DIRECTORIES:
        (node.views / "sys" / name).mkdir(mode=0o755, parents=True)
    for number in range(os.cpu_count() or 1):
        (node.views / "sys/devices/system/cpu" / f"cpu{number}").mkdir(mode=0o755)
    files = {
        "empty": "",
        f"services/{_DROP_IN}": _SERVICES,
        f"docker/{_DROP_IN}": _DOCKER,
        "cgroups": _cgroups(),
        "swaps": "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
    }
    if version() == 1:
        files |= {f"{where}/{_UNHELD}": _WHY_UNHELD for where in ("services", _NEWEST)}
    for name in _COPIED:
        if (Path("/sys") / name).exists():
            files[f"sys/{name}"] = (Path("/sys") / name).read_text()
    for name, text in files.items():
        (node.views / name).parent.mkdir(mode=0o755, exist_ok=True)
        (node.views / name).write_text(text)
        (node.views / name).chmod(0o444)
    libc.mount("", str(node.views), "", _HIDDEN | libc.MS_REMOUNT | libc.MS_RDONLY)
    return True


def _cgroups() -> str:
    """/proc/cgroups (cgroups(7)) without how many groups there are: those of all tenants."""
    lines = Path("/proc/cgroups").read_text().splitlines()
    fields = (line.split("\t") for line in lines if not line.startswith("#"))
    return "\n".join([lines[0], *("\t".join([*one[:2], "1", *one[3:]]) for one in fields)]) + "\n"


def show(node: Node, pid: int, *, bare: bool, has_run: bool = True, is_layered: bool = False) -> None:
    """Shows them to a made init that was not let go yet. `bare`: the kernel's own /proc and /sys as well.
    `has_run`: its /run was mounted for it, and isn't a directory of its own. `is_layered`: on its root lie
    mounts that nobody inside may take away.

    By a thread with a mount namespace of its own, which goes with it: nothing is left, however it ends. Raises
    `RuntimeFault`.
    """
    fault: list[BaseException] = []

    def work() -> None:
        try:
            with ExitStack() as undo:
                _Showing(node, pid, undo).do(bare=bare, has_run=has_run, is_layered=is_layered)
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    for error in fault:
        if isinstance(error, OSError):
            raise RuntimeFault(
                refusals.no_views(str(error.strerror)),
                code="host_lacks",
                next_step=advice.make_plain_directories(),
            ) from error
        raise error


def _open_to_users(root: int, name: str) -> None:
    """A no-op where there is no such directory."""
    with suppress(FileNotFoundError):
        place = open_directory(root, name)
        try:
            directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place)
        finally:
            os.close(place)
        try:
            os.fchmod(directory, 0o755)  # nosec B103 - as every system has them
        finally:
            os.close(directory)


class _Showing:
    """One thread's work: between its own mount namespace and that of the environment."""

    def __init__(self, node: Node, pid: int, undo: ExitStack):
        self.node, self._undo = node, undo
        libc.unshare(libc.CLONE_NEWNS)  # and the view of the file system that goes with it
        self._own = self._open("/proc/thread-self/ns/mnt")
        self._theirs = self._open(f"/proc/{pid}/ns/mnt")
        self._network = self._open(f"/proc/{pid}/ns/net")
        self._hosts_network = self._open("/proc/thread-self/ns/net")

    def _open(self, path: str, flags: int = os.O_RDONLY) -> int:
        return self._keep(os.open(path, flags | os.O_CLOEXEC))

    def _keep(self, descriptor: int) -> int:
        self._undo.callback(os.close, descriptor)
        return descriptor

    @contextmanager
    def _inside(self) -> Iterator[int]:
        """A descriptor of the environment's root, while this thread is in its mount namespace."""
        libc.setns(self._theirs, libc.CLONE_NEWNS)
        try:
            yield self._open("/", os.O_PATH)
        finally:
            libc.setns(self._own, libc.CLONE_NEWNS)

    def _clone(self, path: str | int, *, with_mounts: bool = False) -> int:
        flags = libc.OPEN_TREE_CLONE | libc.OPEN_TREE_CLOEXEC | (libc.AT_RECURSIVE if with_mounts else 0)
        return self._keep(libc.open_tree(path, flags))

    def do(self, *, bare: bool, has_run: bool, is_layered: bool) -> None:
        # three directories that are ours, as places in a namespace that nobody else sees
        root, proc, other = (str(self.node.mounts / name) for name in ("roots", "users", "networks"))
        with self._inside() as top:
            there = self._keep(open_directory(top, "proc"))
            libc.mount("", "/", "", libc.MS_SHARED)
            kernels, bare_proc = self._clone(there), self._clone(there)
            # of a root alone the kernel clones nothing that would be seen below what it holds in place
            peer = self._clone(top, with_mounts=is_layered)
            waits = self._ptmx(top)
        libc.move_mount(peer, root)
        if is_layered:  # and by propagation the one that the OCI runtime mounted
            libc.umount(f"{root}/proc", libc.MNT_DETACH | libc.UMOUNT_NOFOLLOW)
        libc.move_mount(kernels, proc)
        self._cover(Path(proc), Path(other))
        if waits is not None:
            libc.move_mount(waits, f"{proc}/{KERNEL_LOG}")
        sysfs = self._sysfs(other)
        network = [self._clone(f"{other}/{name}") for name in OF_THE_NETWORK]
        whole = self._keep(libc.open_tree(proc, libc.OPEN_TREE_CLOEXEC))
        place = self._keep(open_directory(self._open(root, os.O_PATH), "proc", beneath_mounts=True))
        libc.move_mount(whole, place)  # and by propagation below the one that the OCI runtime mounted
        with self._inside() as top:
            if not is_layered:
                libc.umount("/proc", libc.MNT_DETACH | libc.UMOUNT_NOFOLLOW)
            shown = list(zip(network, OF_THE_NETWORK, strict=True))
            if bare:
                shown += [(bare_proc, BARE["proc"]), (sysfs, BARE["sysfs"])]
            for tree, name in shown:
                libc.move_mount(tree, self._keep(open_directory(top, f"sys/{name}")))
            for name in _MADE_ON_THE_WAY:
                if has_run or not name.startswith("run/"):
                    _open_to_users(top, name)
            # as the kernel's own init has it and systemd wants it: what is mounted later reaches those who took
            # a namespace of their own before
            libc.mount("", "/", "", libc.MS_REC | libc.MS_SHARED)

    def _ptmx(self, top: int) -> int | None:
        """That of its own terminals; None where it has none."""
        with suppress(FileNotFoundError):
            terminals = self._keep(open_directory(top, _WAITS))
            ptmx = os.open("ptmx", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=terminals)
            return self._clone(self._keep(ptmx))
        return None

    def _cover(self, proc: Path, place: Path) -> None:
        node = self.node
        pairs = [(node.views / "empty", name) for name in EMPTY]
        pairs += [(node.views / "nothing", name) for name in EMPTY_DIRECTORIES]
        pairs += [(node.views / "cgroups", "cgroups"), (node.views / "swaps", "swaps")]
        pairs += [(node.lxcfs / "proc" / name, name) for name in LXCFS]
        libc.mount("wadah", str(place), "tmpfs", _HIDDEN, "mode=755,size=4k,nr_inodes=2")
        (place / "boot_id").write_text(f"{uuid4()}\n")
        (place / "boot_id").chmod(0o444)
        libc.mount("", str(place), "", _HIDDEN | libc.MS_REMOUNT | libc.MS_RDONLY)
        for source, name in [*pairs, (place / "boot_id", BOOT_ID)]:
            try:
                libc.mount(str(source), str(proc / name), "", libc.MS_BIND)
            except OSError as odd:
                # this kernel hasn't got it, or lxcfs isn't there, or was killed
                if odd.errno not in (errno.ENOENT, errno.ENOTCONN):
                    raise

    def _sysfs(self, place: str) -> int:
        """The kernel's /sys of the environment's network namespace, mounted in `place` as well."""
        libc.setns(self._network, libc.CLONE_NEWNET)
        try:
            libc.mount("sysfs", place, "sysfs", _HIDDEN)
        finally:
            libc.setns(self._hosts_network, libc.CLONE_NEWNET)
        bare = self._clone(place)
        libc.mount("", place, "", libc.MS_REMOUNT | libc.MS_BIND | libc.MS_RDONLY | _HIDDEN)
        return bare
