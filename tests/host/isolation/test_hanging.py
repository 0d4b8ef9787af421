"""Nothing that an environment serves itself, and stops answering for, makes the node wait: no look at it, no
command in it, no end of it."""

import inspect
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.console.exec import run_command
from runtime.console.terminals import list_terminals, open_terminal
from runtime.contract import DesiredState, Device, EnvironmentSpec, ObservedState
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.host import processes
from runtime.host.oci import init_pid, monitors
from runtime.node import Node
from runtime.state import Records
from tests.host.conftest import Make
from tests.host.support import own_file_system
from tests.host.support.entries import pids_of
from tests.host.support.inside import attempt, sh
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until

#: Whoever looks is through long before, or never.
LOOK_S = 15.0


def _looks(act: Callable[[], object]) -> bool:
    """Whether it comes back, in a process of its own: one that waits can't be stopped otherwise."""
    child = os.fork()
    if child == 0:
        os.setsid()
        try:
            act()
        finally:
            os._exit(0)
    until = time.monotonic() + LOOK_S
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)  # and it ends when the environment does
    return False


@pytest.fixture
def given(node: Node, make: Make, image: str) -> EnvironmentSpec:
    spec = make(image=image, devices=(Device.FUSE,))
    text = "#!/usr/bin/python3 -IS\n" + inspect.getsource(own_file_system)
    program = node.root_volume(spec.id) / "own.py"
    program.write_text(text)
    program.chmod(0o755)
    return spec


def _run(node: Node, spec: EnvironmentSpec, *words: str) -> None:
    done = run_command(node, spec.id, ["/usr/bin/python3", "-IS", "/own.py", *words], timeout_s=20)
    assert done.exit_code == 0, done.stderr.decode()


def _waits(node: Node, spec: EnvironmentSpec) -> bool:
    """Whether one of its processes is held by its own file system."""
    tasks = [task for pid in pids_of(node, spec) for task in Path(f"/proc/{pid}/task").iterdir()]
    return any((one / "wchan").read_text() == "request_wait_answer" for one in tasks)


@pytest.mark.parametrize("how", ["deleted", "stopped", "restarted"])
def test_what_waits_for_itself_is_ended(
    node: Node, given: EnvironmentSpec, engine: Engine, specs: Specs, how: str
) -> None:
    _run(node, given, "wait_for_itself")
    wait_until(lambda: _waits(node, given), "its waiting")
    changes = {
        "deleted": {"desired": DesiredState.DELETED},
        "stopped": {"desired": DesiredState.STOPPED, "stop_timeout_s": 0},
        "restarted": {"boots": 1, "stop_timeout_s": 0},
    }
    before = init_pid(node, given.id)
    report = engine.apply(specs.change(given, **changes[how]))
    assert report is not None
    assert (report.code, report.init_pid == before) == ("", False), report.message
    assert not _waits(node, given)


def test_its_root_is_not_looked_at(node: Node, given: EnvironmentSpec, engine: Engine, specs: Specs) -> None:
    """Init's root is a tree that it serves itself, asked for in its own name (overlayfs) whoever looks."""
    sh(node, given, "{ cat /own.py; echo; } >/sbin/new; chmod 755 /sbin/new; mv /sbin/new /sbin/init")
    program = node.root_volume(given.id) / "sbin/init"
    program.write_text(program.read_text().replace("sys.argv[1:]", "['become_init_of_it']"))
    spec = specs.change(given, boots=1, stop_timeout_s=0)
    assert _looks(lambda: engine.apply(spec)), "its start"
    pid = init_pid(node, spec.id)
    wait_until(lambda: os.readlink(f"/proc/{pid}/root") == "/mnt/view", "its new root")
    records = Records(node, spec.id)
    assert _looks(lambda: engine.reconciler.drift(records)), "the reconciler's look"
    assert _looks(lambda: engine.inspect(spec.id)), "an operator's look"
    assert _looks(engine.missing), "the survey's look"
    assert engine.reconcile() == {}
    report = engine.apply(specs.change(spec, desired=DesiredState.DELETED))
    assert report is not None
    assert report.state is ObservedState.DELETED, report.message


def test_the_memory_of_what_runs_inside_is_not_read(node: Node, given: EnvironmentSpec) -> None:
    _run(node, given, "hide_words")
    wait_until(lambda: "hidden" in attempt(node, given, "ls /")[1], "its page")
    time.sleep(0.5)
    theirs = [pid for pid in pids_of(node, given) if "python3" in os.readlink(f"/proc/{pid}/exe")]
    assert len(theirs) == 2
    assert not _looks(lambda: [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in theirs]), "no attack"
    assert _looks(lambda: monitors(node, given.id))
    assert _looks(lambda: [processes.roots(pid, None, "supervise") for pid in theirs])


@pytest.fixture(params=["/bin", "/proc", "/dev", "/root", "/etc"])
def covered(node: Node, given: EnvironmentSpec, request: pytest.FixtureRequest) -> EnvironmentSpec:
    place: str = request.param
    _run(node, given, "cover", place)

    def is_covered() -> bool:
        mounts = (Path(f"/proc/{pid}/mounts").read_text() for pid in pids_of(node, given))
        return any(f" {place} fuse" in text for text in mounts)

    wait_until(is_covered, "its mount")
    return given


def test_a_command_ends_at_its_deadline(
    node: Node, covered: EnvironmentSpec, neighbour: EnvironmentSpec, engine: Engine, specs: Specs
) -> None:
    assert _looks(lambda: run_command(node, covered.id, ["/bin/ls", "/root"], timeout_s=1))
    assert sh(node, neighbour, "echo here") == "here"


def test_a_terminal_that_cannot_begin_leaves_nothing_behind(
    node: Node, covered: EnvironmentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.console.monitor.START_DEADLINE_S", 1.0)
    directory = node.terminals(covered.id) / "held"
    try:
        open_terminal(node, covered.id, "held")
    except RuntimeFault:
        assert list_terminals(node, covered.id) == []
        assert processes.every_root("conmon", str(directory)) == []


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/group", "/etc/hosts", "/etc/shadow", "/etc/machine-id"])
def test_a_fifo_in_its_place_holds_no_start_up(
    node: Node, make: Make, image: str, engine: Engine, specs: Specs, path: str
) -> None:
    spec = make(image=image)
    sh(node, spec, f"rm -f {path}; mkfifo {path}")
    report = engine.apply(specs.change(spec, boots=1, stop_timeout_s=0))
    assert report is not None
    assert (report.code, report.state) == ("", ObservedState.RUNNING), report.message
    assert run_command(node, spec.id, ["/bin/true"], timeout_s=10).exit_code == 0
