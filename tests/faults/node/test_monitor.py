"""What keeps a console is killed while its environment starts: it is started once more, and has one."""

import os
import signal
import time
from collections.abc import Callable
from uuid import UUID

import pytest

from runtime.contract import DesiredState, ObservedState, Report
from runtime.engine import Engine
from runtime.node import Node
from runtime.sandboxes.shared.container import init_pid, monitor_pid, monitors
from runtime.state import Records
from tests.faults.node.support import ALL, assert_whole, delete, in_process, plant
from tests.host.conftest import Make
from tests.host.support.node import Specs

FROM_ITS_START = ALL[ALL.index("monitor") :]


def _kill(find: Callable[[], int | None]) -> int:
    """Kills the process that `find` knows and waits until it knows none."""
    pid = find()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while find() is not None:
        time.sleep(0.01)
    return pid


def _end_monitors(node: Node, environment_id: UUID) -> set[int]:
    """Their pids, which they write down later than this. One may be about to go on in a child, which a look at
    all of /proc can miss, so it is looked until some were found and none is left."""
    ended: set[int] = set()
    until = time.monotonic() + 30
    while (found := monitors(node, environment_id)) or not ended:
        assert time.monotonic() < until, f"monitors {found} after {ended}"
        for one in found:
            one.send(signal.SIGKILL)
            ended.add(one.pid)
        time.sleep(0.01)
    return ended


@pytest.mark.parametrize("name", FROM_ITS_START)
def test_a_monitor_killed_while_it_starts(node: Node, specs: Specs, busybox: str, name: str) -> None:
    """After each step from the one that starts it."""
    spec = specs.new(stop_timeout_s=0)
    plant(node, "pause", ("ensure", "after", name))
    child = os.fork()
    if child == 0:
        report = Engine(node).apply(spec)
        os._exit(int(report is None or report.state is not ObservedState.RUNNING or report.code != ""))
    assert os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1])
    killed = _end_monitors(node, spec.id)
    os.kill(child, signal.SIGCONT)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert monitor_pid(node, spec.id) not in (None, *killed)
        assert_whole(node)
    finally:
        delete(node, spec)


@pytest.mark.parametrize("after_ms", [0, 2, 4, 6, 8, 10])
def test_a_monitor_killed_within_the_step_that_starts_it(
    node: Node, specs: Specs, busybox: str, after_ms: int
) -> None:
    """At moments that no boundary names, from its first instruction on."""
    spec = specs.new(stop_timeout_s=0)

    def kill_the_first() -> None:
        until = time.monotonic() + 30
        while not (found := monitors(node, spec.id)) and time.monotonic() < until:
            pass
        time.sleep(after_ms / 1000)
        for one in found:
            one.send(signal.SIGKILL)

    killer = os.fork()
    if killer == 0:
        kill_the_first()
        os._exit(0)
    try:
        report = Engine(node).apply(spec)
        assert report is not None
        assert (report.state, report.code) in (
            (ObservedState.RUNNING, ""),
            (ObservedState.RUNNING, "console_lost"),
        )
    finally:
        os.waitpid(killer, 0)
        delete(node, spec)
    assert_whole(node)


def test_what_is_told_meanwhile_is_no_answer_to_a_change_that_nobody_tried(
    make: Make, node: Node, specs: Specs
) -> None:
    """A lost console is told while a change waits its turn: that change has neither failed nor been tried."""
    spec = make()
    newer = specs.change(spec, desired=DesiredState.STOPPED, stop_timeout_s=0)
    assert Records(node, spec.id).accept(newer)
    _kill(lambda: monitor_pid(node, spec.id))
    told = Engine(node).current_report(spec.id)
    assert told is not None
    assert (told.code, told.attempted_generation) == ("console_lost", spec.generation)
    done: list[Report] = []
    assert in_process(lambda: Engine(node, done.append).again(spec.id)) == 0
    after = Engine(node).current_report(spec.id)
    assert after is not None
    assert (after.code, after.attempted_generation) == ("", newer.generation)
    assert init_pid(node, spec.id) is None


def test_a_repair_cut_off_before_its_init_leaves_nothing_to_a_later_start(
    make: Make, node: Node, specs: Specs
) -> None:
    """This process started a monitor and has not waited for it: neither its answer nor a descriptor stays."""
    spec = make()
    pid = _kill(lambda: init_pid(node, spec.id))
    engine, descriptors = Engine(node), len(os.listdir("/proc/self/fd"))
    plant(node, "fail", ("ensure", "before", "guest files"))
    failed = engine.again(spec.id)
    assert failed is not None
    assert failed.code == "injected"
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    repaired = engine.again(spec.id)
    assert repaired is not None
    assert (repaired.state, repaired.code) == (ObservedState.RUNNING, "")
    assert init_pid(node, spec.id) not in (None, pid)
    assert_whole(node)
