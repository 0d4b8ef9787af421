"""A20: what /proc and /sys would tell of the machine and of others stays covered, or isn't there, whatever root
inside takes away or mounts anew."""

import re
from pathlib import Path

import pytest

from runtime.contract import EnvironmentSpec
from runtime.engine import Engine
from runtime.host import btrfs
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.isolation.conftest import Try
from tests.host.support.inside import attempt, sh
from tests.host.support.laboratory import inside
from tests.host.support.node import Specs


def _uncover(pattern: str) -> list[str]:
    """Takes away what it can in a mount namespace of its own, mounts both anew, and reads all that is then
    to be read: lines of `path: text` that have what is looked for, and at the end how many were read."""
    import ctypes
    import os
    import re

    libc = ctypes.CDLL(None, use_errno=True)
    libc.unshare(0x20000)
    libc.mount(b"", b"/", None, 0x44000, None)
    with open("/proc/self/mounts") as file:
        points = [line.split()[1] for line in file]
    for point in reversed(points):
        if point.startswith(("/proc/", "/sys/")) and not point.startswith(("/sys/fs/cgroup", "/sys/wadah")):
            libc.umount2(point.encode(), 2)
    for kind in (b"proc", b"sysfs"):
        os.makedirs(b"/mnt/" + kind, exist_ok=True)
        libc.mount(kind, b"/mnt/" + kind, kind, 0, None)
    found, count, wanted = [], 0, re.compile(pattern)
    tops = ["/proc", "/proc/self/", "/proc/1/", "/sys", "/mnt/proc", "/mnt/sysfs"]
    unread = ("kcore", "pagemap", "mem", "kmsg", "clear_refs", "trace_pipe")
    for top in tops:
        for place, folders, files in os.walk(top):
            folders[:] = [
                one for one in folders if not one.isdigit() and one not in ("task", "fd", "map_files")
            ]
            for name in files:
                path = f"{place}/{name}"
                if name in unread:
                    continue
                try:
                    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                except OSError:
                    continue
                try:
                    text = os.read(fd, 65536).decode(errors="replace")
                    lines = [f"{path}: {line[:300]}" for line in text.splitlines()]
                    count += len(lines)
                    found += [one for one in lines if wanted.search(one)][:20]
                except OSError:
                    pass
                os.close(fd)
    return [*found, str(count)]


def _of_others(node: Node, neighbour: EnvironmentSpec) -> str:
    """What must not be found: our paths and links, others' ids, and the quota groups of the pool, whose names
    are made of ids."""
    number = int.from_bytes(neighbour.id.bytes[:6], "big")
    names = (str(node.home), node.link_prefix, str(neighbour.id), neighbour.id.hex, f"1_{number}")
    return "|".join(re.escape(one) for one in names)


#: Names of disks, the size of the host's /dev, which tells its memory, and how the host was booted.
_OF_THE_HOST = (
    r"\bloop\d|\b(sd|vd|xvd)[a-z]\d*\b|\bnvme\d|devtmpfs rw|BOOT_IMAGE|root=|console=ttyS0|backing_file: /|"
    r"pool\.btrfs"
)


def test_a20_covers_of_proc_come_off_together_or_not_at_all(tries: Try) -> None:
    def uncover() -> dict[str, list[str]]:
        import ctypes
        import os

        libc = ctypes.CDLL(None, use_errno=True)
        libc.unshare(0x20000)
        libc.mount(b"", b"/", None, 0x44000, None)
        with open("/proc/self/mounts") as file:
            covers = [line.split()[1] for line in file if line.split()[1].startswith("/proc/")]
        gone = [one for one in covers if libc.umount2(one.encode(), 2) == 0]
        os.makedirs("/mnt/p", exist_ok=True)
        moved = [one for one in covers if libc.mount(one.encode(), b"/mnt/p", None, 0x2000, None) == 0]
        bound = [] if libc.mount(b"/proc", b"/mnt/p", None, 0x1000, None) else ["/proc"]
        bound += [] if libc.mount(b"/proc/sys", b"/mnt/p", None, 0x1000, None) else ["/proc/sys"]
        anew = [one for one in ("proc", "sysfs") if libc.mount(b"x", b"/mnt/p", one.encode(), 0, None) == 0]
        libc.umount2(b"/proc", 2)
        anew += ["proc, after it was gone"] if libc.mount(b"x", b"/proc", b"proc", 0, None) == 0 else []
        return {"covers": covers, "gone": gone, "moved": moved, "bound": bound, "anew": anew}

    seen = tries(uncover)
    assert "/proc/partitions" in seen.pop("covers")
    assert seen == {"gone": [], "moved": [], "bound": [], "anew": []}


def test_a20_nothing_to_be_read_names_the_host_or_others(
    node: Node, neighbour: EnvironmentSpec, tries: Try
) -> None:
    *found, count = tries(_uncover, f"{_of_others(node, neighbour)}|{_OF_THE_HOST}")
    assert int(count) > 100
    assert found == []


def test_a20_nesting_shows_the_machine_and_nobody_else(
    node: Node, neighbour: EnvironmentSpec, make: Make, image: str
) -> None:
    """With the bare /proc and /sys that containers inside need: the pool says nothing of its tenants there."""
    spec = make(image=image, security={"nesting": True, "firewall": True, "compat32": True})
    uuid = btrfs.file_system_uuid(node.store)
    wanted = f"{_of_others(node, neighbour)}|/btrfs/{uuid}/|^/mnt/sysfs/kernel/mm/.*/enabled"
    *found, _ = inside(node, spec, _uncover, wanted)
    assert [one for one in found if not one.startswith("/mnt/sysfs/kernel")] == []
    assert found, "there was a bare one"
    assert attempt(node, spec, "unshare -Urpf --mount-proc true")[0] == 0


def test_a20_a_boot_has_an_id_of_its_own(node: Node, engine: Engine, specs: Specs, make: Make) -> None:
    """It would tell who shares a node, and every program that waits for a reboot would wait for the host's."""
    read = "cat /proc/sys/kernel/random/boot_id"
    spec = make()
    seen = [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), sh(node, spec, read)]
    seen.append(sh(node, make(), read))
    report = engine.apply(specs.change(spec, boots=1))
    assert report is not None
    assert not report.code, report.message
    seen.append(sh(node, spec, read))
    assert len(set(seen)) == 4
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one) for one in seen)


def test_a20_who_reads_the_kernels_log_waits_for_a_line_and_there_is_none(tries: Try) -> None:
    """As at an empty log: what finds an end there reads again and again (rsyslog's imklog), and takes a
    processor."""

    def answer() -> list[object]:
        import os
        import select

        file = os.open("/proc/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        other = os.open("/proc/kmsg", os.O_WRONLY | os.O_NONBLOCK)
        os.write(other, b"not for who reads\n")
        found: list[object] = [select.select([file], [], [], 0.2)[0]]
        try:
            found.append(os.read(file, 100).decode())
        except BlockingIOError:
            found.append("waits")
        return found

    assert tries(answer) == [[], "waits"]


@pytest.mark.parametrize("name", ["null", "zero", "full", "random", "urandom", "tty"])
def test_a07_devices_are_nodes_of_ours(node: Node, ve: EnvironmentSpec, name: str) -> None:
    take = f"mount -o remount,rw /dev/{name}; chown 1 /dev/{name}; chmod 777 /dev/{name}"
    code, said = attempt(node, ve, take)
    assert code != 0, said
    assert Path(f"/dev/{name}").stat().st_dev == node.devices.stat().st_dev
    assert sh(node, ve, f"stat -c %a /dev/{name}") == "666"
