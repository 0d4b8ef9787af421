"""A19, A22, A26: what it does to processes stays its own affair, up to ending its own init."""

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runtime.contract import DesiredState, EnvironmentSpec, ObservedState
from runtime.engine import Engine
from runtime.node import Node
from runtime.sandboxes.shared.container import init_pid
from tests.host.conftest import Make
from tests.host.isolation.conftest import Try
from tests.host.support.entries import pids_of
from tests.host.support.inside import attempt, sh
from tests.host.support.laboratory import inside
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until


def _attack_pids() -> dict[str, list[int]]:
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    own = {int(one) for one in os.listdir("/proc") if one.isdigit()}
    reached: dict[str, list[int]] = {
        "signal": [],
        "ptrace": [],
        "pidfd": [],
        "read": [],
        "proc": [],
        "priority": [],
    }
    buffer = ctypes.create_string_buffer(16)

    class Part(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    mine = Part(ctypes.addressof(buffer), 16)
    theirs = Part(0x400000, 16)
    for pid in range(1, 65536):
        if pid in own:
            continue
        try:
            os.kill(pid, 0)
            reached["signal"].append(pid)
        except ProcessLookupError:
            pass
        if os.path.exists(f"/proc/{pid}"):
            reached["proc"].append(pid)
        if libc.syscall(434, pid, 0) >= 0:
            reached["pidfd"].append(pid)
        if pid % 16 == 1:
            if libc.ptrace(16, pid, 0, 0) == 0:
                reached["ptrace"].append(pid)
            if libc.syscall(310, pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0) >= 0:
                reached["read"].append(pid)
            if libc.setpriority(0, pid, 19) == 0:
                reached["priority"].append(pid)
    return {kind: pids for kind, pids in reached.items() if pids}


def test_a19_only_its_own_processes_exist(tries: Try, node: Node, neighbour: EnvironmentSpec) -> None:
    before = pids_of(node, neighbour)
    reached = tries(_attack_pids)
    # a process that was forked meanwhile (by init's respawn) may be seen, and is its own
    assert not {kind: pids for kind, pids in reached.items() if len(pids) > 3}
    assert pids_of(node, neighbour) == before


def test_a19_killing_everybody_kills_nobody_else(node: Node, make: Make, neighbour: EnvironmentSpec) -> None:
    spec = make()
    before = pids_of(node, neighbour)
    sh(node, spec, "kill -STOP -1 2>/dev/null; kill -CONT -1; true")
    attempt(node, spec, "kill -9 -1")
    assert init_pid(node, spec.id) is not None, "init survives: the signal to all leaves out pid 1"
    assert pids_of(node, neighbour) == before


def test_a22_no_abstract_socket_of_the_host_answers(node: Node, tries: Try) -> None:
    with open("/proc/1/net/unix") as file:
        names = {line.split()[-1] for line in file.readlines()[1:] if line.split()[-1].startswith("@")}
    import socket

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0wadah-test-canary")
        listening.listen()

        def connect(names: list[str]) -> list[str]:
            import socket

            reached = []
            for name in names:
                for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_UNIX, kind) as one:
                        one.settimeout(1)
                        try:
                            one.connect("\0" + name[1:])
                        except OSError:
                            continue
                        reached.append(name)
            return reached

        assert tries(connect, [*sorted(names), "@wadah-test-canary"]) == []


@pytest.mark.parametrize(
    "how",
    [
        "reboot -f",
        "poweroff -f",
        "halt -f",
        "echo b > /proc/sysrq-trigger; echo o > /proc/sysrq-trigger",
        "kill -9 1",
    ],
)
def test_a26_ending_itself_ends_nobody_else(
    node: Node, make: Make, engine: Engine, neighbour: EnvironmentSpec, how: str
) -> None:
    spec = make()
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    before = pids_of(node, neighbour)
    pid = init_pid(node, spec.id)
    assert pid is not None
    watched = os.pidfd_open(pid)
    attempt(node, spec, how)
    ends = (
        "sysrq" not in how and "kill" not in how
    )  # the first isn't there; init takes no signal that it doesn't handle
    if ends:
        wait_until(lambda: init_pid(node, spec.id) != pid, "its end")
    else:
        time.sleep(0.2)
        assert init_pid(node, spec.id) == pid
    os.close(watched)
    assert engine.observe(spec.id)[0] is (ObservedState.STOPPED if ends else ObservedState.RUNNING)
    assert pids_of(node, neighbour) == before
    assert float(Path("/proc/uptime").read_text().split()[0]) > uptime


def test_a26_an_init_that_ends_at_once_is_told(node: Node, make: Make, engine: Engine, specs: Specs) -> None:
    spec = make()
    sh(node, spec, "rm /sbin/init; printf '#!/bin/false\\n' >/sbin/init; chmod +x /sbin/init")
    report = engine.apply(specs.change(spec, boots=1))
    assert report is not None
    wait_until(lambda: engine.observe(spec.id)[0] is ObservedState.STOPPED, "its end")
    report = engine.apply(specs.change(spec, generation=spec.generation + 5, desired=DesiredState.STOPPED))
    assert report is not None
    assert report.state is ObservedState.STOPPED


def test_a26_the_host_goes_on() -> None:
    assert subprocess.run(["true"], check=False, timeout=10).returncode == 0


def test_a14_nothing_of_the_host_is_seen_of_a_command_on_its_way_in(node: Node, ve: EnvironmentSpec) -> None:
    """Root inside looks at each process that appears, as fast as it can: what is open, what it runs, its memory
    (the race of CVE-2016-9962). What it may see of the OCI runtime is its command line, as of any process."""

    def watch() -> list[str]:
        import os
        import time

        known = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        own, odd, seen = os.stat("/"), set(), 0
        until = time.monotonic() + 6
        while time.monotonic() < until:
            for name in os.listdir("/proc"):
                if not name.isdigit() or int(name) in known:
                    continue
                seen += 1
                for link in ("exe", "root", "cwd", *(f"fd/{number}" for number in range(32))):
                    try:
                        there = os.stat(f"/proc/{name}/{link}")
                        words = os.readlink(f"/proc/{name}/{link}")
                    except OSError:
                        continue
                    if link == "root" and (there.st_dev, there.st_ino) != (own.st_dev, own.st_ino):
                        odd.add(f"root {words}")
                    if words.startswith("/") and not os.path.lexists(words.removesuffix(" (deleted)")):
                        odd.add(f"{link} {words}")
                for file in ("environ", "maps", "auxv", "stack"):
                    try:
                        with open(f"/proc/{name}/{file}", "rb") as opened:
                            words = opened.read().decode(errors="replace")
                    except OSError:
                        continue
                    if "crun" in words or "wadah" in words.lower():
                        odd.add(f"{file}: {words[:200]}")
        return [str(seen), *sorted(odd)]

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(inside, node, ve, watch)
        for _ in range(60):
            assert sh(node, ve, "true") == ""
        seen, *odd = watching.result()
    assert int(seen) > 0
    assert odd == []
