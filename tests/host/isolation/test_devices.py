"""A07: no device but the few that every system has; no file system but those without a device."""

import os
from pathlib import Path

import pytest

from runtime.contract import EnvironmentSpec
from runtime.host import cgroup
from runtime.node import Node
from runtime.sandboxes.shared.cgroup import Cgroup
from tests.host.conftest import Make
from tests.host.isolation.conftest import Try


def test_a07_no_device_can_be_made_or_opened(tries: Try) -> None:
    def make() -> dict[str, list[int]]:
        import os
        import stat

        made, opened = [], []
        wanted = [
            (stat.S_IFBLK, 8, 0),
            (stat.S_IFBLK, 254, 0),
            (stat.S_IFBLK, 7, 0),
            (stat.S_IFCHR, 1, 1),
            (stat.S_IFCHR, 1, 2),
            (stat.S_IFCHR, 1, 4),
            (stat.S_IFCHR, 1, 11),
            (stat.S_IFCHR, 10, 200),
            (stat.S_IFCHR, 10, 229),
            (stat.S_IFCHR, 10, 232),
            (stat.S_IFCHR, 10, 237),
            (stat.S_IFCHR, 10, 234),
            (stat.S_IFCHR, 10, 121),
            (stat.S_IFCHR, 1, 3),
            (stat.S_IFCHR, 4, 1),
        ]
        for where in ("/root", "/dev", "/tmp", "/run"):
            for kind, major, minor in wanted:
                path = f"{where}/device"
                try:
                    os.mknod(path, kind | 0o666, os.makedev(major, minor))
                except OSError:
                    continue
                made.append([major, minor])
                try:
                    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
                    opened.append([major, minor])
                except OSError:
                    pass
                os.unlink(path)
        return {"made": made, "opened": opened}

    assert tries(make) == {"made": [], "opened": []}


def test_a07_dev_has_what_every_system_has_and_no_more(tries: Try) -> None:
    def listed() -> list[str]:
        import os
        import stat

        found = []
        for directory, _, files in os.walk("/dev"):
            for name in files:
                mode = os.lstat(os.path.join(directory, name)).st_mode
                if stat.S_ISBLK(mode) or (stat.S_ISCHR(mode) and directory != "/dev/pts"):
                    found.append(os.path.join(directory, name))
        return sorted(found)

    usual = {f"/dev/{name}" for name in "console full null ptmx random tty urandom zero".split()}
    assert set(tries(listed)) <= usual


@pytest.mark.skipif(cgroup.version() != 1, reason="on cgroup v2 the list is a program that can't be read")
def test_a07_its_control_group_names_every_device(node: Node, ve: EnvironmentSpec) -> None:
    """The kernel's own list, should a node for another device get in somehow (devices.rst of cgroup-v1)."""
    group = cgroup.ROOT / "devices" / Cgroup(node).path(ve)
    lines = (group / "devices.list").read_text().splitlines()
    # "m" is making a node, which crun allows to everybody and the kernel to nobody in a user namespace
    listed = {line.rsplit(" ", 1)[0] for line in lines if not line.endswith(" m")}
    usual = {"c 1:3", "c 1:5", "c 1:7", "c 1:8", "c 1:9", "c 5:0", "c 5:1", "c 5:2", "c 136:*"}
    assert listed <= usual
    assert {"c 1:3", "c 5:2"} <= listed


def test_a07_the_hosts_devices_stay_the_hosts(tries: Try) -> None:
    """They are the host's own inodes, shown inside: whoever may change their mode changes everybody's."""

    def change() -> list[str]:
        import os

        worked = []
        for name in os.listdir("/dev"):
            path = f"/dev/{name}"
            if os.path.islink(path) or os.path.isdir(path) or name == "console":
                continue
            for what, act in {
                "chmod": lambda path=path: os.chmod(path, 0o666),
                "chown": lambda path=path: os.chown(path, 0, 0),
                "utime": lambda path=path: os.utime(path, (1, 1)),
            }.items():
                try:
                    act()
                    worked.append(f"{what} {path}")
                except OSError:
                    pass
        for fd in range(3):
            try:
                seen = os.fstat(fd)
                if seen.st_rdev:
                    os.fchmod(fd, 0o666)
                    worked.append(f"descriptor {fd}")
            except OSError:
                pass
        return worked

    assert tries(change) == []


def test_a07_whatever_starts_in_it_gives_no_device_away(node: Node, make: Make) -> None:
    from tests.host.support.entries import command_line_process, command_process, terminal_process

    spec = make()
    for enter in (command_process, terminal_process, command_line_process):
        with enter(node, spec):
            assert Path(os.devnull).stat().st_uid != node.first_uid(spec.slot)
    with pytest.raises(OSError, match="Read-only"):
        os.chown(os.devnull, node.first_uid(spec.slot), -1)


def test_a07_only_file_systems_without_a_device_can_be_mounted(tries: Try) -> None:
    def mount() -> list[str]:
        import ctypes
        import os

        libc = ctypes.CDLL(None, use_errno=True)
        libc.unshare(0x20000)
        libc.mount(b"", b"/", None, 0x44000, None)
        for name in ("lower", "upper", "work", "at"):
            os.makedirs(f"/tmp/m/{name}", exist_ok=True)
        with open("/proc/filesystems") as file:
            known = [line.split()[-1] for line in file]
        with open("/tmp/m/image", "wb") as image:
            image.truncate(2**20)
        mounted = []
        for kind in [*known, "cifs", "nfs", "fuse"]:
            options = (
                "lowerdir=/tmp/m/lower,upperdir=/tmp/m/upper,workdir=/tmp/m/work" if kind == "overlay" else None
            )
            for source in ("none", "/tmp/m/image", "/dev/loop0"):
                said = libc.mount(source.encode(), b"/tmp/m/at", kind.encode(), 0, options and options.encode())
                if said == 0:
                    mounted.append(kind)
                    libc.umount2(b"/tmp/m/at", 2)
                    break
        return mounted

    # binfmt_misc belongs to the user namespace since Linux 6.7; cpuset is the old name of a cgroup mount
    allowed = {"overlay", "tmpfs", "ramfs", "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "cpuset"}
    allowed |= {"fuse", "binfmt_misc"}
    assert set(tries(mount)) <= allowed


def test_a07_the_hosts_loop_devices_are_out_of_reach(tries: Try) -> None:
    def loops() -> list[str]:
        import os

        reached = []
        for path in ["/dev/loop-control", *(f"/dev/loop{one}" for one in range(64))]:
            try:
                os.close(os.open(path, os.O_RDWR))
                reached.append(path)
            except OSError:
                pass
        return reached

    assert tries(loops) == []
