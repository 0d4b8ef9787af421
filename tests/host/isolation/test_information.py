"""A20: what the host is and does is not to be read inside."""

from pathlib import Path

from runtime.contract import EnvironmentSpec
from runtime.node import Node
from tests.host.isolation.conftest import Try
from tests.host.support.inside import attempt, sh


def test_a20_the_kernels_log_can_not_be_read(node: Node, ve: EnvironmentSpec) -> None:
    code, said = attempt(node, ve, "timeout 2 cat /proc/kmsg; dmesg; dmesg -c; cat /dev/kmsg")
    assert code != 0
    assert "not permitted" in said
    assert "Linux version" not in said


def test_a20_addresses_of_the_kernel_are_hidden(tries: Try) -> None:
    def addresses() -> list[str]:
        import os

        os.makedirs("/mnt/p", exist_ok=True)
        found = []
        for path in (
            "/proc/kallsyms",
            "/proc/iomem",
            "/proc/ioports",
            "/proc/vmallocinfo",
            "/proc/timer_list",
            "/proc/slabinfo",
            "/proc/pagetypeinfo",
            "/proc/keys",
            "/proc/interrupts",
        ):
            try:
                with open(path, "rb") as file:
                    data = file.read(4096)
            except OSError:
                continue
            if data:
                found.append(path)
        return found

    assert tries(addresses) == []


def test_a20_uncovered_they_say_nothing_either(tries: Try) -> None:
    """A fresh proc of its own, without our masks: the kernel's own answer counts."""

    def uncovered() -> list[str]:
        import ctypes
        import os

        libc = ctypes.CDLL(None, use_errno=True)
        libc.unshare(0x20000)
        libc.mount(b"", b"/", None, 0x44000, None)
        os.makedirs("/mnt/p", exist_ok=True)
        if libc.mount(b"proc", b"/mnt/p", b"proc", 0, None):
            return []
        told = []
        for name in (
            "kcore",
            "kmsg",
            "slabinfo",
            "vmallocinfo",
            "pagetypeinfo",
            "timer_list",
            "kpageflags",
            "kpagecount",
        ):
            try:
                with open(f"/mnt/p/{name}", "rb") as file:
                    if file.read(64):
                        told.append(name)
            except OSError:
                pass
        for name in ("kallsyms", "iomem", "ioports"):
            try:
                with open(f"/mnt/p/{name}", "rb") as file:
                    lines = file.read(65536).decode().splitlines()
            except OSError:
                continue
            if any(line.strip().split()[0].strip("0-") for line in lines[1:50] if line.strip()):
                told.append(name)
        return told

    assert tries(uncovered) == []


def test_a20_no_serial_number_or_power_meter(tries: Try) -> None:
    def told() -> list[str]:
        import glob

        found = []
        patterns = (
            "/sys/class/dmi/id/*serial*",
            "/sys/class/dmi/id/product_uuid",
            "/sys/firmware/dmi/tables/*",
            "/sys/devices/virtual/powercap/*/*/energy_uj",
            "/sys/class/powercap/*/energy_uj",
        )
        for path in (one for pattern in patterns for one in glob.glob(pattern)):
            try:
                with open(path, "rb") as file:
                    if file.read(16):
                        found.append(path)
            except OSError:
                pass
        return found

    assert tries(told) == []


def test_a20_no_path_of_the_host_but_its_own_names(node: Node, ve: EnvironmentSpec) -> None:
    """mountinfo shows where bind mounts come from; HOME and other environments must not be there."""
    seen = sh(node, ve, "cat /proc/self/mountinfo /proc/self/cgroup /proc/1/environ")
    assert str(node.home) not in seen
    assert str(ve.tenant_id) not in seen.replace(str(ve.id), "")


def test_a20_others_do_not_show(node: Node, ve: EnvironmentSpec, neighbour: EnvironmentSpec) -> None:
    seen = sh(
        node, ve, "ls /sys/class/net /proc/sys/net/ipv4/conf; cat /proc/net/* 2>/dev/null | strings || true"
    )
    assert str(neighbour.network.ipv4[0]) not in seen
    assert node.link_prefix not in seen
    assert Path("/sys/class/net").exists()
