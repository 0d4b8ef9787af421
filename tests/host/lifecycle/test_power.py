"""Power buttons, crashes, and reboots from inside."""

import os
import signal
import time
from pathlib import Path

from runtime.contract import DesiredState, ObservedState, RestartPolicy
from runtime.engine import Engine
from runtime.kinds.system import EXIT_HALT, EXIT_REBOOT
from runtime.node import Node
from runtime.sandboxes.shared.container import init_pid
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until


def exit_code(node: Node, spec_id: object, seconds: float = 10) -> int:
    """What conmon wrote when init ended."""
    file = node.exits / spec_id.hex  # type: ignore[attr-defined]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if file.exists() and file.read_text().strip():
            return int(file.read_text())
        time.sleep(0.01)
    raise AssertionError("init did not end")


def test_stop_and_start_keep_the_disk(make: Make, node: Node, engine: Engine, specs: Specs) -> None:
    spec = make()
    sh(node, spec, "echo kept > /root/note")
    stopped = specs.change(spec, desired=DesiredState.STOPPED)
    report = engine.apply(stopped)
    assert report is not None
    assert report.state is ObservedState.STOPPED
    assert init_pid(node, spec.id) is None
    started = specs.change(stopped, desired=DesiredState.RUNNING)
    report = engine.apply(started)
    assert report is not None
    assert report.state is ObservedState.RUNNING
    assert sh(node, started, "cat /root/note") == "kept"


def test_restart_boots_anew(make: Make, node: Node, engine: Engine, specs: Specs) -> None:
    spec = make()
    before = init_pid(node, spec.id)
    report = engine.apply(specs.change(spec, boots=1, stop_timeout_s=0))
    assert report is not None
    assert report.state is ObservedState.RUNNING
    assert init_pid(node, spec.id) not in (None, before)


def test_pause_stops_the_clock_of_its_processes(make: Make, node: Node, engine: Engine, specs: Specs) -> None:
    spec = make()
    sh(node, spec, "(i=0; while :; do i=$((i+1)); echo $i > /tmp/tick; sleep 0.05; done) >/dev/null 2>&1 &")
    paused = specs.change(spec, desired=DesiredState.PAUSED)
    report = engine.apply(paused)
    assert report is not None
    assert report.state is ObservedState.PAUSED
    tick = node.root_volume(spec.id) / "tmp" / "tick"
    first = tick.read_text()
    time.sleep(0.4)
    assert tick.read_text() == first
    report = engine.apply(specs.change(paused, desired=DesiredState.RUNNING))
    assert report is not None
    assert report.state is ObservedState.RUNNING
    wait_until(lambda: tick.read_text() != first, "its next word")


def test_reinstall_makes_a_new_root_and_keeps_the_old_tree(
    make: Make, node: Node, engine: Engine, specs: Specs
) -> None:
    spec = make()
    sh(node, spec, "echo mine > /root/note; touch /etc/only-here")
    kept = specs.change(spec, installs=1, keep_old_root=True, stop_timeout_s=0)
    engine.apply(kept)
    assert sh(node, kept, "cat /old/root/note; ls /etc/only-here 2>/dev/null || echo fresh") == "mine\nfresh"
    wiped = specs.change(kept, installs=2, keep_old_root=False)
    engine.apply(wiped)
    assert sh(node, wiped, "ls -d /old 2>/dev/null || echo gone") == "gone"


def test_killed_init_starts_again_with_growing_delay(make: Make, node: Node, engine: Engine) -> None:
    spec = make(restart=RestartPolicy(first_delay_s=0.1, max_delay_s=0.2))
    delays = []
    for _ in range(3):
        pid = init_pid(node, spec.id)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert exit_code(node, spec.id) == 137
        delay = engine.on_exit(spec.id, 137)
        assert delay is not None
        delays.append(delay)
        report = engine.again(spec.id)
        assert report is not None
        assert report.state is ObservedState.RUNNING
    assert delays == [0.1, 0.2, 0.2]
    assert report is not None
    assert report.restarts == 3


def test_reboot_from_inside_starts_again_at_once(make: Make, node: Node, engine: Engine) -> None:
    spec = make()
    sh(node, spec, "reboot -f >/dev/null 2>&1 &")
    code = exit_code(node, spec.id)
    assert code == EXIT_REBOOT
    assert engine.on_exit(spec.id, code) == 0
    report = engine.again(spec.id)
    assert report is not None
    assert report.state is ObservedState.RUNNING


def test_power_off_from_inside_stays_off(make: Make, node: Node, engine: Engine, specs: Specs) -> None:
    spec = make()
    sh(node, spec, "poweroff -f >/dev/null 2>&1 &")
    code = exit_code(node, spec.id)
    assert code == EXIT_HALT
    assert engine.on_exit(spec.id, code) is None
    assert spec.id not in engine.reconcile()
    assert init_pid(node, spec.id) is None
    current = engine.current_report(spec.id)
    assert current is not None
    assert current.code == "halted_inside"
    report = engine.apply(specs.change(spec))
    assert report is not None
    assert report.state is ObservedState.RUNNING


def test_host_goes_on_when_everything_inside_is_killed(make: Make, node: Node) -> None:
    spec = make()
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    sh(node, spec, "kill -9 -1 >/dev/null 2>&1; true")
    assert float(Path("/proc/uptime").read_text().split()[0]) >= uptime
    assert init_pid(node, spec.id) is not None


def test_reconciling_brings_back_what_should_run(make: Make, node: Node, engine: Engine) -> None:
    """As after a reboot of the node: no process, no mount, no link is left; the files are."""
    spec = make()
    for resource in reversed(engine.tools.of(spec)):
        if resource.lifetime == "boot":
            resource.remove(spec.id)
    mended = engine.reconcile()
    assert spec.id in mended
    assert init_pid(node, spec.id) is not None
