"""The first process of a bare machine: `python -m tests.fresh.first ROOT GROUP`.

Makes its namespaces, puts ROOT in place of the host's by pivot_root(2), says which process it is, and then
does what an init must: it buries orphans. All ends with it; it ends with its caller.
"""

import ctypes
import json
import os
import platform
import signal
import socket
import sys
from pathlib import Path

from pyroute2 import IPRoute

from runtime.host import cgroup, libc
from tests.fresh.machine import join

_NEWCGROUP, _NEWUTS, _NEWIPC, _NEWPID = 0x02000000, 0x04000000, 0x08000000, 0x20000000
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_PR_SET_PDEATHSIG = 1


def main(root: Path, group: str) -> None:
    join(group)
    libc.unshare(libc.CLONE_NEWNS | libc.CLONE_NEWNET | _NEWUTS | _NEWIPC | _NEWCGROUP | _NEWPID)
    join(f"{group}/machine")
    ready_read, ready_write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            with IPRoute() as links:
                links.link("set", index=links.link_lookup(ifname="lo")[0], state="up")
            socket.sethostname("fresh")
            _mount(root)
            os.write(ready_write, b"1")
            _rest()
        finally:
            os._exit(1)
    os.close(ready_write)
    if os.read(ready_read, 1) == b"1":
        print(json.dumps({"pid": child}), flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
    os.waitpid(child, 0)


def _mount(root: Path) -> None:
    """What a boot mounts, and then nothing of the host's is in sight."""
    libc.mount("", "/", "", libc.MS_REC | libc.MS_PRIVATE)
    libc.mount(str(root), str(root), "", libc.MS_BIND)
    plain = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC
    hierarchies = _hierarchies()
    for kind, name, flags, data in (
        ("proc", "proc", plain, ""),
        ("sysfs", "sys", plain, ""),
        ("devtmpfs", "dev", libc.MS_NOSUID, ""),
        ("devpts", "dev/pts", libc.MS_NOSUID | libc.MS_NOEXEC, "gid=5,mode=620,ptmxmode=666"),
        ("tmpfs", "dev/shm", libc.MS_NOSUID | libc.MS_NODEV, ""),
        ("tmpfs", "run", libc.MS_NOSUID | libc.MS_NODEV, "mode=755"),
        *hierarchies,
    ):
        (root / name).mkdir(exist_ok=True)
        libc.mount(kind, str(root / name), kind, flags, data)
    os.chdir(root)
    os.umask(0o022)
    number = _SYS_PIVOT_ROOT[platform.machine()]
    if ctypes.CDLL(None, use_errno=True).syscall(number, b".", b".") != 0:
        raise OSError(ctypes.get_errno(), "pivot_root")
    libc.umount(".", libc.MNT_DETACH)
    os.chdir("/")


def _hierarchies() -> list[tuple[str, str, int, str]]:
    """The control groups of this host, from the machine's own downwards."""
    plain, top = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC, "sys/fs/cgroup"
    if cgroup.version() == 2:
        return [("cgroup2", top, plain, "")]
    found = [("tmpfs", top, plain, "mode=755")]
    for one in sorted(cgroup.ROOT.iterdir()):
        if (one / "cgroup.controllers").exists():
            found.append(("cgroup2", f"{top}/{one.name}", plain, ""))
        elif (one / "cgroup.procs").exists():
            option = "none,name=systemd" if one.name == "systemd" else one.name
            found.append(("cgroup", f"{top}/{one.name}", plain, option))
    return found


def _rest() -> None:
    """A child whose parent is gone becomes one of this process, and is gone as soon as it has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
