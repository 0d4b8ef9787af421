"""What happens to an environment by itself is seen, told with its cause, and mended within two seconds."""

import os
import signal
import subprocess
import time

import pytest

from runtime.contract import DesiredState, EventCode, Limits, ObservedState, Report, RestartMode, RestartPolicy
from runtime.engine import Engine
from runtime.host.kmsg import victim_in
from runtime.node import Node
from runtime.sandboxes.shared.container import init_pid, monitor_pid
from tests.faults.node.support import assert_whole, delete, is_running, killed_at
from tests.host.conftest import Make
from tests.host.support.inside import attempt, sh
from tests.host.support.node import Specs
from tests.host.support.watching import PATIENCE_S, watching


def has_event(report: Report, code: EventCode) -> bool:
    return any(event.code is code for event in report.events)


def test_a_killed_init_is_told_with_its_cause_and_started_again(make: Make, node: Node) -> None:
    spec = make(restart=RestartPolicy(first_delay_s=0.1))
    with watching(node) as told:
        pid = init_pid(node, spec.id)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        report = told.wait(lambda one: one.code == "init_crashed")
        assert report.state is ObservedState.STOPPED
        assert report.message == "Init was killed by signal 9; starts again in 0.1 s."
        told.wait(lambda one: one.state is ObservedState.RUNNING and one.init_pid not in (None, pid))


def test_a_killed_monitor_is_told_and_the_environment_goes_on(make: Make, node: Node, specs: Specs) -> None:
    spec = make()
    pid, monitor = init_pid(node, spec.id), monitor_pid(node, spec.id)
    assert monitor is not None
    with watching(node) as told:
        os.kill(monitor, signal.SIGKILL)
        report = told.wait(lambda one: has_event(one, EventCode.CONSOLE_LOST))
        assert (report.state, report.code, report.init_pid) == (ObservedState.RUNNING, "console_lost", pid)
        assert sh(node, spec, "echo here") == "here"
        time.sleep(1)
        assert len([one for one in told.reports if has_event(one, EventCode.CONSOLE_LOST)]) == 1
        # nobody is left to keep its exit code: its end is seen all the same
        os.kill(pid or 0, signal.SIGKILL)
        ended = told.wait(lambda one: one.code == "init_crashed")
        assert "its monitor was gone" in ended.message
        told.wait(lambda one: one.state is ObservedState.RUNNING and one.init_pid not in (None, pid))
    assert monitor_pid(node, spec.id) is not None


def test_a_deleted_link_is_told_and_back(make: Make, node: Node) -> None:
    spec = make()
    pid = init_pid(node, spec.id)
    with watching(node) as told:
        subprocess.run(["ip", "link", "del", node.link_name(spec.id)], check=True, timeout=20)
        report = told.wait(lambda one: has_event(one, EventCode.REPAIRED))
        assert report.events[0].message == "its network link is gone"
        assert (report.state, report.init_pid, report.code) == (ObservedState.RUNNING, pid, "")
    assert str(spec.network.ipv4[0]) in sh(node, spec, "ip addr show eth0")
    assert_whole(node)


EATER = "dd if=/dev/zero of=/dev/null bs=200M count=1"


def test_a_process_killed_for_lack_of_memory_is_named(make: Make, node: Node) -> None:
    spec = make(limits=Limits(cpu=1, memory_mb=48, disk_mb=256))
    pid = init_pid(node, spec.id)
    with watching(node) as told:
        code, _ = attempt(node, spec, EATER)
        assert code == 137
        report = told.wait(lambda one: has_event(one, EventCode.OUT_OF_MEMORY))
        said = report.events[0].message
        assert said.startswith("Out of memory: the limit of 48 MiB was reached and the kernel killed dd.")
        assert (report.state, report.init_pid) == (ObservedState.RUNNING, pid)
        assert report.oom_kills >= 1
        # a kill -9 of init later on isn't taken for lack of memory
        os.kill(pid or 0, signal.SIGKILL)
        told.wait(lambda one: one.code == "init_crashed" and "signal 9" in one.message)


def test_a_name_that_looks_like_the_kernels_words_fools_nobody(make: Make, node: Node) -> None:
    spec = make(limits=Limits(cpu=1, memory_mb=48, disk_mb=256))
    name = "x,pid=1,uid=0"
    eats = "a=$(dd if=/dev/zero bs=1M count=100 2>/dev/null | tr '\\0' x)"
    with watching(node) as told:
        attempt(node, spec, f"printf %s {name} > /proc/$$/comm; {eats}")
        report = told.wait(lambda one: has_event(one, EventCode.OUT_OF_MEMORY))
        assert report.events[0].message.endswith(f"killed {name}.")


def test_work_that_was_cut_off_is_gone_on_with(node: Node, specs: Specs, busybox: str) -> None:
    with watching(node) as told:
        spec = specs.new()
        killed_at(node, ("ensure", "after", "init process"), lambda: Engine(node).apply(spec))
        begin = time.monotonic()
        told.wait(lambda one: one.environment_id == spec.id and one.state is ObservedState.RUNNING)
        assert time.monotonic() - begin < 30
    assert is_running(node, spec)
    delete(node, spec)


def test_what_happened_while_the_agent_was_away_is_told_when_it_is_back(make: Make, node: Node) -> None:
    spec = make(restart=RestartPolicy(first_delay_s=0.1))
    other = make()
    pid, monitor = init_pid(node, spec.id), monitor_pid(node, other.id)
    os.kill(pid or 0, signal.SIGKILL)
    os.kill(monitor or 0, signal.SIGKILL)
    with watching(node) as told:
        told.wait(lambda one: one.environment_id == spec.id and one.code == "init_crashed")
        told.wait(lambda one: one.environment_id == spec.id and one.state is ObservedState.RUNNING)
        told.wait(lambda one: one.environment_id == other.id and has_event(one, EventCode.CONSOLE_LOST))


@pytest.mark.parametrize("round_", range(4))
def test_an_end_that_nobody_saw_is_an_end_and_no_drift(make: Make, node: Node, round_: int) -> None:
    """Whoever looks first: its restart policy says what follows, and nobody "repairs" it."""
    spec = make(restart=RestartPolicy(mode=RestartMode.NEVER))
    pid = init_pid(node, spec.id)
    os.kill(pid or 0, signal.SIGKILL)
    exit_file = node.exits / node.container_name(spec.id)
    until = time.monotonic() + PATIENCE_S
    while not exit_file.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    if round_ % 2:
        exit_file.unlink()
    with watching(node) as told:
        report = told.wait(lambda one: one.environment_id == spec.id and one.code == "init_crashed")
        assert "restart policy" in report.message
        time.sleep(0.5)
        assert not any(one.events for one in told.reports if one.environment_id == spec.id)
    assert init_pid(node, spec.id) is None
    assert Engine(node).reconcile() == {}


def test_a_stop_is_not_taken_for_a_crash(make: Make, node: Node, specs: Specs) -> None:
    spec = make()
    with watching(node) as told:
        Engine(node).apply(specs.change(spec, desired=DesiredState.STOPPED, stop_timeout_s=0))
        time.sleep(1.5)
        assert [one for one in told.reports if one.environment_id == spec.id] == []


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            "6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c,mems_allowed=0,"
            "oom_memcg=/wadah/t,task_memcg=/wadah/t/e,task=a,pid=1,uid=0,pid=77,uid=1879048192\n SUB=x",
            ("/wadah/t/e", "a,pid=1,uid=0", 77),
        ),
        ("6,1,2,-;Memory cgroup out of memory: Killed process 1 (x)", None),
        ("", None),
    ],
)
def test_the_kernels_record_is_read(record: str, expected: tuple[str, str, int] | None) -> None:
    victim = victim_in(record)
    assert (victim and (victim.group, victim.name, victim.pid)) == expected
