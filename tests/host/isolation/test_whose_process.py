"""Nobody inside becomes a process of the node's by a number or a name: what a neighbour's files say of one that
ended is given out again, and the attacker's process has it by then."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from runtime.console.terminals import close_terminal, find, open_terminal
from runtime.contract import EnvironmentSpec, ObservedState
from runtime.engine import Engine
from runtime.network.addressing import guest_mac
from runtime.node import Node
from runtime.sandboxes.shared.container import init_pid, init_pid_file, monitor_pid, monitor_pid_file, monitors
from tests.host.conftest import Make
from tests.host.isolation.conftest import Try
from tests.host.support.entries import pids_of
from tests.host.support.inside import attempt
from tests.host.support.laboratory import inside
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until


def _disguised(name: str) -> None:
    """Leaves a process behind in groups of that name, where root inside may make any."""
    import os

    if os.fork():
        return
    os.setsid()
    for fd in range(3):
        os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    for top in ("/sys/fs/cgroup", *(entry.path for entry in os.scandir("/sys/fs/cgroup") if entry.is_dir())):
        try:
            os.makedirs(f"{top}/{name}", exist_ok=True)
            with open(f"{top}/{name}/cgroup.procs", "w") as procs:
                procs.write(str(os.getpid()))
        except OSError:
            continue
    os.execv("/bin/sleep", ["sleep", "600"])


def _named(words: list[str]) -> None:
    """Leaves a process behind whose command line is this."""
    import os
    import shutil

    shutil.copy("/usr/bin/python3", "/tmp/conmon")
    if os.fork():
        return
    os.setsid()
    for fd in range(3):
        os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    os.execv("/tmp/conmon", [words[0], "-ISc", "import time; time.sleep(600)", *words[1:]])


def _pid_of(node: Node, spec: EnvironmentSpec, word: str) -> int:
    found: list[int] = []

    def is_there() -> bool:
        for pid in pids_of(node, spec):
            if word in Path(f"/proc/{pid}/cmdline").read_text():
                found.append(pid)
        return bool(found)

    wait_until(is_there, word)
    return found[0]


def _hand_out_again(node: Node, environment_id: object, pid: int) -> None:
    """What the stopped environment's files say was its init is the number of this process now."""
    for file in (init_pid_file(node, environment_id), node.environment(environment_id) / "init"):  # type: ignore[arg-type]
        if file.exists():
            file.write_text(file.read_text().replace(file.read_text().split()[0], str(pid), 1))


@pytest.fixture
def stopped(node: Node, make: Make, image: str) -> EnvironmentSpec:
    """A neighbour whose init ended by itself, so that its files are left as they were."""
    spec = make(image=image)
    attempt(node, spec, "poweroff -f")
    wait_until(lambda: init_pid(node, spec.id) is None and monitor_pid(node, spec.id) is None, "its end")
    return spec


def test_a19_a_group_named_after_a_neighbour_makes_nobody_its_init(
    node: Node, make: Make, image: str, stopped: EnvironmentSpec, engine: Engine, specs: Specs
) -> None:
    """Not even where its own link has gone, so that there is room for the neighbour's."""
    attacker = make(image=image)
    inside(node, attacker, _disguised, str(stopped.id))
    theirs = _pid_of(node, attacker, "sleep")
    assert str(stopped.id) in Path(f"/proc/{theirs}/cgroup").read_text(), "no attack"
    _hand_out_again(node, stopped.id, theirs)
    subprocess.run(["nsenter", f"--net=/proc/{theirs}/ns/net", "ip", "link", "del", "eth0"], check=True)
    report = engine.apply(specs.change(stopped))
    assert report is not None
    assert guest_mac(stopped.id) not in _links_of(theirs)
    assert (report.code, report.state) == ("", ObservedState.RUNNING), report.message
    assert report.init_pid not in (None, theirs)
    assert guest_mac(stopped.id) in _links_of(report.init_pid or 0)


def _links_of(pid: int) -> str:
    return subprocess.run(
        ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "link"], check=True, capture_output=True, text=True
    ).stdout


def test_a19_who_calls_himself_conmon_is_nobodys_monitor(
    node: Node, ve: EnvironmentSpec, tries: Try, stopped: EnvironmentSpec
) -> None:
    tries(_named, ["/usr/bin/conmon", "--bundle", str(node.bundle(stopped.id)), "disguise"])
    theirs = _pid_of(node, ve, "disguise")
    try:
        monitor_pid_file(node, stopped.id).write_text(str(theirs))
        assert monitor_pid(node, stopped.id) is None
        assert monitors(node, stopped.id) == []
    finally:
        os.kill(theirs, 9)
        wait_until(lambda: not Path(f"/proc/{theirs}").exists(), "its end")


def test_closing_an_ended_terminal_ends_nobodys_monitor(
    node: Node, ve: EnvironmentSpec, neighbour: EnvironmentSpec
) -> None:
    """By then a neighbour's console is kept by a process of the number that the terminal's had."""
    terminal = open_terminal(node, ve.id, "ended")
    os.kill(int((terminal.directory / "shell.pid").read_text()), 9)
    wait_until(lambda: (found := find(node, ve.id, "ended")) is not None and not found.running, "its end")
    kept_by, init = monitor_pid(node, neighbour.id), init_pid(node, neighbour.id)
    assert kept_by is not None
    (terminal.directory / "monitor.pid").write_text(str(kept_by))
    (terminal.directory / "shell.pid").write_text(str(init))
    known = find(node, ve.id, "ended")
    assert known is not None
    assert not known.running
    assert close_terminal(node, ve.id, "ended")
    time.sleep(0.2)
    assert (monitor_pid(node, neighbour.id), init_pid(node, neighbour.id)) == (kept_by, init)


def test_taking_a_node_away_ends_no_process_that_has_the_number_of_its_lxcfs(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime import prepare

    other = subprocess.Popen(["lxcfs", "600"], executable="/usr/bin/sleep")
    try:
        monkeypatch.setattr(prepare.mounts, "unmount", lambda _: False)
        (tmp_path / "run").mkdir()
        (tmp_path / "run/lxcfs.pid").write_text(str(other.pid))
        prepare._stop_lxcfs(Node(tmp_path, node.settings))
        time.sleep(0.2)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
