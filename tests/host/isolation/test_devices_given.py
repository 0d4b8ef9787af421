"""Devices that an environment is given: they work inside, for it alone, and nobody gets one unasked."""

import os

import pytest

from runtime import devices
from runtime.contract import DesiredState, Device, EnvironmentSpec, ObservedState
from runtime.engine import Engine
from runtime.host import cgroup
from runtime.node import Node
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.container import init_pid
from tests.host.conftest import Make
from tests.host.isolation.conftest import Try
from tests.host.support.laboratory import inside
from tests.host.support.node import Specs

_BOTH = (Device.TUN, Device.FUSE)


@pytest.fixture
def given(make: Make, image: str) -> EnvironmentSpec:
    return make(image=image, devices=_BOTH)


def _through_a_tunnel() -> str:
    """What a program reads from a tunnel of its own when another sends into it."""
    import fcntl
    import os
    import socket
    import struct
    import subprocess

    tunnel = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tunnel, 0x400454CA, struct.pack("16sH22x", b"tun0", 0x0001 | 0x1000))  # TUNSETIFF
    for words in ("addr add 198.18.7.1/24 dev tun0", "link set tun0 up"):
        subprocess.run(["ip", *words.split()], check=True, timeout=10)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"through the tunnel", ("198.18.7.2", 9))
    while True:
        packet = os.read(tunnel, 2000)
        if packet[0] >> 4 == 4 and packet[9] == 17:
            return packet[28:].decode()


def _serve(is_silent: bool) -> int:
    """A file system of one's own that knows its size and nothing else, or says nothing; the server's pid."""
    import ctypes
    import os
    import struct

    libc = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    os.makedirs("/mnt/own", exist_ok=True)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"own", b"/mnt/own", b"fuse", 0x6, options):
        raise OSError(ctypes.get_errno(), "mount")
    server = os.fork()
    if server:
        return server
    os.setsid()
    for fd in range(3):
        os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    while True:
        asked = os.read(device, 1 << 17)
        _, opcode, unique = struct.unpack_from("=IIQ", asked)
        if opcode == 26:  # FUSE_INIT: fuse_init_out of linux/fuse.h
            body = struct.pack("=IIIIHHII36x", 7, 31, 65536, 0, 16, 12, 65536, 1)
        elif opcode == 17 and not is_silent:  # FUSE_STATFS: fuse_kstatfs
            body = struct.pack("=QQQQQIII28x", 4711, 0, 0, 0, 0, 4096, 255, 4096)
        else:
            continue
        os.write(device, struct.pack("=IiQ", 16 + len(body), 0, unique) + body)


def _blocks() -> int:
    import os

    return os.statvfs("/mnt/own").f_blocks


def _is_asked() -> bool:
    """Leaves somebody behind who waits for the file system's answer."""
    import os

    if os.fork() == 0:
        os.setsid()
        for fd in range(3):
            os.dup2(os.open("/dev/null", os.O_RDWR), fd)
        os.statvfs("/mnt/own")
    return True


def test_a07_a_tunnel_carries_packets(node: Node, given: EnvironmentSpec) -> None:
    assert inside(node, given, _through_a_tunnel) == "through the tunnel"
    assert not os.path.exists("/sys/class/net/tun0"), "it is a link of the environment's alone"


def test_a07_a_file_system_of_its_own_answers_it_and_not_the_host(node: Node, given: EnvironmentSpec) -> None:
    inside(node, given, _serve, False)
    assert inside(node, given, _blocks) == 4711
    seen = f"/proc/{init_pid(node, given.id)}/root/mnt/own"
    assert os.statvfs(seen).f_blocks == 0, "the kernel doesn't ask it for somebody outside"
    with pytest.raises(PermissionError):
        os.listdir(seen)


def test_a07_a_file_system_that_says_nothing_holds_up_no_end(
    node: Node, given: EnvironmentSpec, engine: Engine, specs: Specs
) -> None:
    inside(node, given, _serve, True)
    inside(node, given, _is_asked)
    report = engine.apply(specs.change(given, desired=DesiredState.STOPPED, stop_timeout_s=1))
    assert report is not None
    assert (report.code, report.state) == ("", ObservedState.STOPPED)


def test_a07_given_devices_stay_the_hosts(node: Node, given: EnvironmentSpec) -> None:
    def change(paths: list[str]) -> list[str]:
        import os

        worked = []
        for path in paths:
            for what, act in {
                "chmod": lambda path=path: os.chmod(path, 0o600),
                "chown": lambda path=path: os.chown(path, 0, 0),
                "utime": lambda path=path: os.utime(path),
            }.items():
                try:
                    act()
                    worked.append(f"{what} {path}")
                except OSError:
                    pass
        return worked

    assert inside(node, given, change, [str(one) for one in _BOTH]) == []


@pytest.mark.skipif(cgroup.version() != 1, reason="on cgroup v2 the list is a program that can't be read")
def test_a07_the_control_group_names_what_was_given_and_no_more(node: Node, make: Make) -> None:
    spec = make(devices=(Device.TUN,))
    lines = (cgroup.ROOT / "devices" / Cgroup(node).path(spec) / "devices.list").read_text().splitlines()
    assert "c 10:200 rw" in [line.rstrip("m") for line in lines]
    assert not any(line.startswith("c 10:229") for line in lines)


def test_a07_what_was_not_asked_for_is_not_there(node: Node, ve: EnvironmentSpec, tries: Try) -> None:
    def seen(paths: list[str]) -> list[str]:
        import os

        return [path for path in paths if os.path.exists(path)]

    assert tries(seen, [str(one) for one in _BOTH]) == []


def test_a07_a_device_comes_and_goes_with_a_restart(
    node: Node, make: Make, image: str, engine: Engine, specs: Specs
) -> None:
    def opened(path: str) -> bool:
        import os

        try:
            os.close(os.open(path, os.O_RDWR))
        except OSError:
            return False
        return True

    spec = make(image=image)
    assert not inside(node, spec, opened, Device.FUSE)
    spec = specs.change(spec, devices=(Device.FUSE,), boots=1, stop_timeout_s=0)
    engine.apply(spec)
    assert inside(node, spec, opened, Device.FUSE)
    assert not inside(node, spec, opened, Device.TUN)
    spec = specs.change(spec, devices=(), boots=2, stop_timeout_s=0)
    engine.apply(spec)
    assert not inside(node, spec, opened, Device.FUSE)


def test_a_node_without_it_says_so(
    engine: Engine, specs: Specs, busybox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "available", lambda: [Device.TUN])
    spec = specs.new(devices=_BOTH)
    report = engine.apply(spec)
    assert report is not None
    engine.apply(specs.change(spec, desired=DesiredState.DELETED))
    assert report.code == "device_unavailable"
    assert report.message.startswith("devices: /dev/fuse is not offered by this node")


def test_a_pause_that_its_file_system_holds_up_says_so(
    node: Node, given: EnvironmentSpec, engine: Engine, specs: Specs
) -> None:
    inside(node, given, _serve, True)
    inside(node, given, _is_asked)
    report = engine.apply(specs.change(given, desired=DesiredState.PAUSED))
    assert report is not None
    assert (report.code, report.state) == ("busy", ObservedState.RUNNING)
    assert "/dev/fuse" in report.message
    assert inside(node, given, _is_asked), "it runs on"
