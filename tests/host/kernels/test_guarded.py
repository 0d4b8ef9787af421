"""A guarded kernel: the same environment, and gVisor between it and the host."""

import hashlib
import os
from contextlib import suppress

import pytest

from runtime.console.attach import Attachment
from runtime.console.exec import run_command
from runtime.console.terminals import open_terminal
from runtime.contract import (
    Allow,
    DesiredState,
    Device,
    EnvironmentSpec,
    JailOptions,
    Kernel,
    Kind,
    Limits,
    Network,
    ObservedState,
)
from runtime.engine import Engine
from runtime.node import IDS_PER_SLOT, Node
from runtime.sandboxes.guarded import GuardedSandbox
from runtime.sandboxes.guarded.config import LEAST_MB, LEAST_PROCESSES
from tests.host.conftest import Make
from tests.host.kernels.conftest import GUARDED
from tests.host.support.inside import attempt, sh
from tests.host.support.kernels import MAKE, ended, members, nobody_left, on_disk, ping, status
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("guarded_kernel")


def up(node: Node, spec: EnvironmentSpec) -> None:
    """Its init is where it listens."""
    log = node.console(spec.id) / "log"
    wait_until(lambda: b"BusyBox on" in log.read_bytes(), "the first line of its init")


def turned(engine: Engine, specs: Specs, spec: EnvironmentSpec, kernel: Kernel) -> EnvironmentSpec:
    for desired in (DesiredState.STOPPED, DesiredState.RUNNING):
        spec = specs.change(spec, desired=desired, kernel=kernel)
        report = engine.apply(spec)
        assert report is not None
        assert not report.code, f"{report.code}: {report.message}"
    return spec


def test_the_dial_turns_there_and_back(node: Node, engine: Engine, specs: Specs, make: Make) -> None:
    first = make(limits=Limits(cpu=1, memory_mb=256, disk_mb=256), stop_timeout_s=30)
    sh(node, first, MAKE)
    before = on_disk(node, first)
    guarded = turned(engine, specs, first, Kernel.GUARDED)
    assert "Starting gVisor" in sh(node, guarded, "dmesg")
    assert on_disk(node, guarded) == before
    assert sh(node, guarded, "cd /made; stat -c '%u:%g %a %h' a d/s; cat b; readlink c; hostname").split(
        "\n"
    ) == [*("1000:1001 600 2", "5:6 2755 1", "hi", "a", guarded.name)]
    assert all(ping(one) for one in (*guarded.network.ipv4, *guarded.network.ipv6))
    sh(node, guarded, MAKE.replace("/made", "/made/again"))
    again = on_disk(node, guarded)
    del before["p"]  # one that is made there lives in its kernel's memory alone
    assert {name: again[f"again/{name}"] for name in before} == before
    assert not [one for one in engine.leaks() if one.environment_id == guarded.id]
    shared = turned(engine, specs, guarded, Kernel.SHARED)
    assert sh(node, shared, "uname -r") == os.uname().release
    assert on_disk(node, shared) == again
    assert all(ping(one) for one in shared.network.ipv4)
    assert engine.sandbox.of(shared.id).kernel is Kernel.SHARED


def test_commands_bring_all_of_their_output_and_their_code(node: Node, guarded: EnvironmentSpec) -> None:
    assert attempt(node, guarded, "echo out; echo err >&2; exit 7", timeout_s=60) == (7, "out\nerr")
    data = os.urandom(300_000)
    done = run_command(node, guarded.id, ["cat"], stdin=data, timeout_s=60)
    assert (done.exit_code, done.stdout == data, done.stderr) == (0, True, b"")
    script = "head -c 600000 /dev/urandom | tee /tmp/x; sha1sum /tmp/x >&2"
    done = run_command(node, guarded.id, ["sh", "-c", script], timeout_s=60)
    assert hashlib.sha1(done.stdout, usedforsecurity=False).hexdigest() == done.stderr.decode().split()[0]
    assert run_command(node, guarded.id, ["no-such-program"], timeout_s=60).exit_code == 127
    assert run_command(node, guarded.id, ["sh", "-c", "kill -9 $$"], timeout_s=60).exit_code == 137


def test_a_command_past_its_deadline_is_ended_inside(node: Node, guarded: EnvironmentSpec) -> None:
    done = run_command(node, guarded.id, ["sh", "-c", "sleep 4321 & sleep 4321"], timeout_s=2)
    assert (done.exit_code, done.timed_out) == (124, True)
    wait_until(lambda: sh(node, guarded, "pgrep -x -f 'sleep 4321' | wc -l") == "0", "their end")


def test_what_a_command_leaves_behind_goes_on(node: Node, guarded: EnvironmentSpec) -> None:
    sh(node, guarded, "sleep 4322 >/dev/null 2>&1 & sleep 0.2")
    assert "sleep 4322" in sh(node, guarded, "ps")


def test_a_terminal_is_one(node: Node, guarded: EnvironmentSpec) -> None:
    open_terminal(node, guarded.id, "t")
    log = node.terminals(guarded.id) / "t" / "log"
    keeper = Attachment(node.terminals(guarded.id) / "t")
    try:
        keeper.send(b"test -t 0 && stty size; echo done$((1+1))\n")
        wait_until(lambda: b"done2" in log.read_bytes(), "its answer")
    finally:
        keeper.close()
    assert b"24 80" in log.read_bytes()


def test_its_console_is_its_inits(node: Node, guarded: EnvironmentSpec) -> None:
    log = node.console(guarded.id) / "log"
    up(node, guarded)
    keeper = Attachment(node.bundle(guarded.id))
    try:
        keeper.send(b"\r")
        wait_until(lambda: b"root@" in log.read_bytes(), "a shell there")
        keeper.send(b"echo done$((1+2))\r")
        wait_until(lambda: b"done3" in log.read_bytes(), "its answer")
    finally:
        keeper.close()


def test_what_runs_has_no_rights_on_the_host(node: Node, engine: Engine, guarded: EnvironmentSpec) -> None:
    """Every process in its container: ids of its own range, nothing gained, the filter; the kernel itself, and
    all that it runs, holds no right at all."""
    sh(node, guarded, "true")
    first = node.first_uid(guarded.slot)
    found = {}
    for pid in members(node, guarded):
        with suppress(FileNotFoundError, ProcessLookupError):  # what asked for `true` may just be going
            found[pid] = status(pid)
    assert len(found) > 4
    for seen in found.values():
        assert all(first <= int(one) < first + IDS_PER_SLOT for one in seen["Uid"].split())
        assert (seen["Seccomp"], seen["NoNewPrivs"]) == ("2", "1")
    kernels = [one for one in found.values() if one["Uid"].split()[0] == str(first + 65_534)]
    assert len(kernels) > 1
    assert {int(one["CapEff"], 16) for one in kernels} == {0}
    walls = engine.sandbox.walls(guarded.id)
    assert walls is not None
    assert "gVisor" in walls.kernel
    assert walls.no_new_privileges
    assert walls.filters >= 2
    assert {"user", "pid", "network", "mount"} <= set(walls.namespaces)


def test_nothing_of_the_host_shows(node: Node, guarded: EnvironmentSpec) -> None:
    said = sh(
        node,
        guarded,
        "cat /proc/mounts /proc/cpuinfo /proc/cmdline /proc/version /proc/self/mountinfo; ls -l /proc/1/root",
    )
    assert str(node.home) not in said
    assert os.uname().release not in said
    assert int(sh(node, guarded, "df -kP / | tail -n 1").split()[1]) <= guarded.limits.disk_mb * 1024
    assert int(sh(node, guarded, "free -m | grep Mem:").split()[1]) <= guarded.limits.memory_mb


def test_its_disk_takes_no_more_than_it_has(node: Node, guarded: EnvironmentSpec) -> None:
    code, said = attempt(node, guarded, "dd if=/dev/zero of=/big bs=1M count=400 && sync", timeout_s=60)
    assert code != 0, said
    assert int(sh(node, guarded, "stat -c %s /big")) < guarded.limits.disk_mb * 2**20
    sh(node, guarded, "rm /big && sync", timeout_s=60)
    wait_until(lambda: attempt(node, guarded, "echo more >/small && sync")[0] == 0, "room for more")


def test_name_and_addresses_change_while_it_runs(
    node: Node, engine: Engine, specs: Specs, guarded: EnvironmentSpec
) -> None:
    assert node.settings.ipv4_network is not None
    other = node.settings.ipv4_network[4001]
    network = Network(ipv4=(other,), ipv6=guarded.network.ipv6)
    report = engine.apply(specs.change(guarded, name="other-name", network=network, generation=50))
    assert report is not None
    assert not report.code, f"{report.code}: {report.message}"
    assert sh(node, guarded, "hostname") == "other-name"
    assert ping(other)
    assert not ping(guarded.network.ipv4[0])


def test_it_is_paused_and_goes_on(node: Node, engine: Engine, specs: Specs, make: Make) -> None:
    spec = make(**GUARDED)
    address = spec.network.ipv4[0]
    up(node, spec)
    assert ping(address)
    paused = specs.change(spec, desired=DesiredState.PAUSED)
    report = engine.apply(paused)
    assert report is not None
    assert report.state is ObservedState.PAUSED
    assert not ping(address)
    engine.apply(specs.change(paused, desired=DesiredState.RUNNING, generation=3))
    assert sh(node, spec, "echo lives") == "lives"


def test_a_stop_is_polite(node: Node, engine: Engine, specs: Specs, make: Make) -> None:
    spec = make(**GUARDED)
    up(node, spec)
    sh(node, spec, "printf '::shutdown:/bin/touch /politely\\n' >>/etc/inittab && kill -HUP 1 && sleep 1")
    report = engine.apply(specs.change(spec, desired=DesiredState.STOPPED))
    assert report is not None
    assert report.state is ObservedState.STOPPED
    assert (node.root_volume(spec.id) / "politely").exists()
    nobody_left(node, spec)


def test_a_power_off_inside_ends_it(node: Node, make: Make) -> None:
    spec = make(**GUARDED)
    up(node, spec)
    run_command(node, spec.id, ["poweroff"], timeout_s=60)
    assert ended(node, spec) == 0
    nobody_left(node, spec)


def test_without_its_kernel_it_ends_and_leaves_nothing(node: Node, engine: Engine, make: Make) -> None:
    neighbour, spec = make(), make(**GUARDED)
    sh(node, spec, "true")
    of_kernel = str(node.first_uid(spec.slot) + 65_534)
    killed = next(pid for pid in members(node, spec) if status(pid)["Uid"].split()[0] == of_kernel)
    os.kill(killed, 9)
    assert ended(node, spec) != 0
    nobody_left(node, spec)
    assert sh(node, neighbour, "echo lives") == "lives"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"limits": Limits(cpu=1, memory_mb=LEAST_MB - 1, disk_mb=256)}, str(LEAST_MB)),
        (
            {"limits": Limits(cpu=1, memory_mb=256, disk_mb=256, processes=LEAST_PROCESSES - 1)},
            str(LEAST_PROCESSES),
        ),
        ({"devices": (Device.FUSE,)}, "devices"),
    ],
    ids=["memory", "processes", "devices"],
)
def test_what_it_can_not_have_is_refused_before_anything_is_made(
    node: Node, engine: Engine, specs: Specs, fields: dict[str, object], why: str
) -> None:
    spec = specs.new(**{**GUARDED, **fields})
    report = engine.apply(spec)
    assert report is not None
    assert report.code == "kernel_unavailable"
    assert why in str(report.message)
    assert not node.root_volume(spec.id).exists()


def test_a_system_with_systemd_is_refused_with_the_reason(
    node: Node, engine: Engine, specs: Specs, make: Make
) -> None:
    spec = make(desired=DesiredState.STOPPED, limits=GUARDED["limits"])
    init = node.root_volume(spec.id) / "sbin" / "init"
    init.unlink()
    init.symlink_to("/lib/systemd/systemd")
    (node.root_volume(spec.id) / "lib/systemd").mkdir(parents=True)
    (node.root_volume(spec.id) / "lib/systemd/systemd").touch(mode=0o755)
    report = engine.apply(specs.change(spec, desired=DesiredState.RUNNING, kernel=Kernel.GUARDED))
    assert report is not None
    assert report.code == "kernel_unavailable"
    assert "systemd" in str(report.message)


def test_its_price_is_what_the_trial_took(node: Node) -> None:
    assert GuardedSandbox(node).start_ms()


# jails -----------------------------------------------------------------------------------------------


def test_a_jails_switches_hold_there_too(node: Node, make: Make) -> None:
    closed = make(kind=Kind.JAIL, jail=JailOptions(), **GUARDED)
    code, said = attempt(node, closed, "ping -c 1 -W 2 127.0.0.1", timeout_s=60)
    assert code != 0, said
    assert attempt(node, closed, "mount -t tmpfs none /mnt", timeout_s=60)[0] != 0
    assert attempt(node, closed, "hostname other", timeout_s=60)[0] != 0
    open_ = make(kind=Kind.JAIL, jail=JailOptions(allow=(Allow.RAW_SOCKETS,)), **GUARDED)
    assert attempt(node, open_, "ping -c 1 -W 2 127.0.0.1", timeout_s=60)[0] == 0
