"""What keeps a console is killed while its environment starts: it is started once more, and has one."""

import os
import signal
import threading
import time
from contextlib import suppress

import pytest

from runtime.contract import DesiredState, ObservedState, Report
from runtime.engine import Engine
from runtime.host.oci import init_pid, monitor_pid, monitors
from runtime.node import Node
from runtime.state import Records
from tests.faults.node.support import assert_whole, delete, in_process
from tests.host.conftest import Make
from tests.host.support.node import Specs


@pytest.mark.parametrize("after_ms", [0, 1, 2, 4, 6, 8, 10, 12, 15, 20])
def test_a_monitor_killed_while_it_starts(node: Node, specs: Specs, busybox: str, after_ms: int) -> None:
    """At any moment from its first instruction until the whole is through."""
    spec = specs.new(stop_timeout_s=0)
    through = threading.Event()
    killed = []

    def kill_the_first() -> None:
        until = time.monotonic() + 30
        while not (found := monitors(node, spec.id)) and time.monotonic() < until:
            pass
        time.sleep(after_ms / 1000)
        for pid in found:
            with suppress(ProcessLookupError):
                if not through.is_set():
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    try:
        report = Engine(node).apply(spec)
        through.set()
    finally:
        killer.join()
    if not killed:
        pytest.skip("it was through before")
    assert report is not None
    assert (report.state, report.code) == (ObservedState.RUNNING, ""), report.message
    assert monitor_pid(node, spec.id) not in (None, *killed)
    assert_whole(node)
    delete(node, spec)
    assert_whole(node)


def test_what_is_told_meanwhile_is_no_answer_to_a_change_that_nobody_tried(
    make: Make, node: Node, specs: Specs
) -> None:
    """A lost console is told while a change waits its turn: that change has neither failed nor been tried."""
    spec = make()
    pid = monitor_pid(node, spec.id)
    assert pid is not None
    newer = specs.change(spec, desired=DesiredState.STOPPED, stop_timeout_s=0)
    assert Records(node, spec.id).accept(newer)
    os.kill(pid, signal.SIGKILL)
    while monitor_pid(node, spec.id) is not None:
        time.sleep(0.01)
    told = Engine(node).current_report(spec.id)
    assert told is not None
    assert (told.code, told.attempted_generation) == ("console_lost", spec.generation)
    done: list[Report] = []
    assert in_process(lambda: Engine(node, done.append).again(spec.id)) == 0
    after = Engine(node).current_report(spec.id)
    assert after is not None
    assert (after.code, after.attempted_generation) == ("", newer.generation)
    assert init_pid(node, spec.id) is None
