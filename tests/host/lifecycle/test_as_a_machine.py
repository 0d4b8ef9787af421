"""What programs inside take for granted on a machine: its clocks begin with it, memory as file systems, mounts
that are shared, and nothing that says there is systemd where there is none."""

import os
import socket
import time

import pytest

from runtime.contract import Device, EnvironmentSpec, Limits
from runtime.engine import Engine
from runtime.host.cgroup import version
from runtime.kinds import system
from runtime.node import Node
from runtime.oci.init import INIT, SYSTEMD_HALTS_AT
from runtime.sandboxes.shared.cgroup import Cgroup
from tests.host.conftest import Make
from tests.host.support.inside import attempt, sh
from tests.host.support.node import Specs

MIB = 2**20


@pytest.fixture
def machine(make: Make) -> EnvironmentSpec:
    return make(limits=Limits(cpu=1, memory_mb=512, disk_mb=256))


def test_clocks_begin_with_it_and_agree(node: Node, make: Make) -> None:
    before = time.monotonic()
    spec = make()
    up = float(sh(node, spec, "cut -d' ' -f1 /proc/uptime"))
    assert up <= time.monotonic() - before
    hertz = 100
    started = int(sh(node, spec, "cut -d' ' -f22 /proc/self/stat")) / hertz  # of cut itself, now
    again = float(sh(node, spec, "cut -d' ' -f1 /proc/uptime"))
    assert up - 1 / hertz <= started <= again + 1 / hertz
    assert int(sh(node, spec, "cut -d' ' -f22 /proc/1/stat")) / hertz <= up
    assert " up 0 min" in sh(node, spec, "uptime"), "sysinfo(2) says so too"


def test_every_way_in_has_the_same_clocks_and_nobody_inside_sets_them(node: Node, make: Make) -> None:
    spec = make()
    assert sh(node, spec, "readlink /proc/self/ns/time") == sh(node, spec, "readlink /proc/1/ns/time")
    code, _ = attempt(node, spec, "echo 'boottime 100 0' > /proc/1/timens_offsets")
    assert code != 0


def test_memory_as_files_is_half_of_what_it_has_and_programs_run_there(
    node: Node, machine: EnvironmentSpec
) -> None:
    shared, run = (line.split() for line in sh(node, machine, "df -kP /dev/shm /run | tail -n 2").splitlines())
    assert int(shared[1]) * 1024 == 256 * MIB
    assert int(run[1]) * 1024 >= 64 * MIB
    sh(node, machine, "cp /bin/busybox /dev/shm/true && /dev/shm/true")
    sh(node, machine, "dd if=/dev/zero of=/dev/shm/x bs=1M count=100 2>/dev/null")
    assert Cgroup(node).usage(machine.id).memory_bytes > 100 * MIB, "and it is charged for it"


def test_what_is_mounted_later_reaches_who_took_a_namespace_before(
    node: Node, machine: EnvironmentSpec
) -> None:
    seen = sh(
        node,
        machine,
        "mkdir -p /run/later; unshare -m --propagation slave sh -c 'sleep 1; ls /run/later' & sleep 0.5;"
        "mount -t tmpfs later /run/later; touch /run/later/there; wait",
    )
    assert seen == "there"
    private = sh(node, machine, "grep -v -c shared: /proc/self/mountinfo; true")
    assert private == "0"


def test_nothing_says_systemd_where_there_is_none(node: Node, machine: EnvironmentSpec) -> None:
    assert sh(node, machine, "ls -A /run") == ""


@pytest.fixture
def like_systemd(node: Node, busybox: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> EnvironmentSpec:
    """Started by a worker, whose umask is closed; its init is called systemd."""
    monkeypatch.setattr(system, "init_of", lambda root: ([INIT], SYSTEMD_HALTS_AT))
    before = os.umask(0o077)
    try:
        return make(devices=(Device.TUN,))
    finally:
        os.umask(before)


def test_what_was_made_for_a_mount_is_open_to_users(node: Node, like_systemd: EnvironmentSpec) -> None:
    code, said = attempt(
        node,
        like_systemd,
        "echo u:x:1000:1000::/:/bin/sh >> /etc/passwd;"
        "su u -c 'ls /dev/net /run/systemd/system/service.d && cat /dev/net/tun'",
    )
    assert "tun" in said
    assert "50-wadah.conf" in said
    assert "Permission denied" not in said, "a tunnel that nobody attached is opened and can't be read"
    assert code != 0


def test_services_are_told_to_do_without_user_namespaces(
    node: Node, like_systemd: EnvironmentSpec, make: Make
) -> None:
    file = "/run/systemd/system/service.d/50-wadah.conf"
    text = sh(node, like_systemd, f"cat {file}")
    assert "PrivateUsers=no" in text
    assert "the option nesting" in text, "whoever looks there reads why"
    code, _ = attempt(node, like_systemd, f"echo x > {file}; mount -o remount,rw,bind {file}; echo x > {file}")
    assert code != 0
    nesting = make(security={"nesting": True})
    assert attempt(node, nesting, f"cat {file}")[0] != 0, "it can have them"
    for one in (like_systemd, nesting):
        said = sh(node, one, "cat /run/systemd/system/service.d/60-*.conf 2>&1; true")
        assert ("MemoryMax=" in said) == (version() == 1), "a limit that isn't held is told with the service"
    docker = sh(node, nesting, "cat /run/systemd/system/docker.service.d/50-wadah.conf")
    assert docker == "[Service]\nEnvironment=DOCKER_DRIVER=overlay2", "its own choice on btrfs can't work"


def test_renamed_while_it_runs_it_has_the_name_at_once(
    node: Node, engine: Engine, specs: Specs, machine: EnvironmentSpec
) -> None:
    engine.apply(specs.change(machine, name="renamed"))
    assert sh(node, machine, "hostname; cat /etc/hostname").split() == ["renamed", "renamed"]
    assert "renamed" in sh(node, machine, "grep 127.0.1.1 /etc/hosts")
    assert socket.gethostname() != "renamed"


def test_a_command_has_a_locale(node: Node, machine: EnvironmentSpec) -> None:
    assert sh(node, machine, "echo $LANG") == "C.UTF-8"


def test_resolved_is_told_whom_to_ask(
    node: Node, engine: Engine, specs: Specs, machine: EnvironmentSpec
) -> None:
    """It takes /etc/resolv.conf over when it is installed."""
    file = "/etc/systemd/resolved.conf.d/wadah.conf"
    assert attempt(node, machine, f"cat {file}")[0] != 0, "no systemd"
    sh(node, machine, "mkdir /etc/systemd")
    network = {**machine.network.model_dump(), "nameservers": ("192.0.2.53", "2001:db8::53")}
    engine.apply(specs.change(machine, network=network))
    assert "DNS=192.0.2.53 2001:db8::53" in sh(node, machine, f"cat {file}")
