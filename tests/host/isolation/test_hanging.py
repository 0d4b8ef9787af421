"""Nothing that an environment serves itself, and stops answering for, makes the node wait: no look at it, no
command in it, no end of it."""

import inspect
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from runtime.console.exec import run_command
from runtime.console.terminals import list_terminals, open_terminal
from runtime.contract import (
    AttachedVolume,
    Credentials,
    DesiredState,
    Device,
    EnvironmentSpec,
    EventCode,
    ObservedState,
    Report,
)
from runtime.contract.said import Said
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.glance import Glance
from runtime.host import fuse, processes
from runtime.node import Node
from runtime.reconciler import Reconciler
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.container import init_pid, monitors
from runtime.state import Records
from runtime.storage.volumes import Volumes
from tests.host.conftest import Make
from tests.host.support import own_file_system
from tests.host.support.entries import pids_of
from tests.host.support.inside import attempt, sh
from tests.host.support.laboratory import inside
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until
from tests.host.support.watching import watching

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
    changes: dict[str, dict[str, object]] = {
        "deleted": {"desired": DesiredState.DELETED},
        "stopped": {"desired": DesiredState.STOPPED, "stop_timeout_s": 0},
        "restarted": {"boots": 1, "stop_timeout_s": 0},
    }
    before = init_pid(node, given.id)
    report = engine.apply(specs.change(given, **changes[how]))
    assert report is not None
    assert (report.code, report.init_pid == before) == ("", False), report.message
    assert not _waits(node, given)


@pytest.mark.parametrize("wanted", [DesiredState.PAUSED, DesiredState.STOPPED, DesiredState.DELETED])
def test_who_works_for_everybody_waits_for_nobody(
    node: Node, given: EnvironmentSpec, specs: Specs, monkeypatch: pytest.MonkeyPatch, wanted: DesiredState
) -> None:
    """What can't be frozen, or killed (were there no way to end what it serves), is left to the patient."""
    _run(node, given, "wait_for_itself")
    wait_until(lambda: _waits(node, given), "its waiting")
    handed_over: list[EnvironmentSpec] = []

    def take(spec: EnvironmentSpec) -> bool:
        handed_over.append(spec)
        return True

    spec = specs.change(given, desired=wanted, stop_timeout_s=0)
    with monkeypatch.context() as patched:
        patched.setattr(fuse, "abort", lambda *_: 0)
        assert Engine(node, hand_over=take).apply(spec) is None
    assert handed_over == [spec]
    assert not Cgroup(node).frozen(given.id)
    report = Engine(node).apply(spec)
    assert report is not None
    assert report.code == ("busy" if wanted is DesiredState.PAUSED else ""), report.message


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


def test_a_look_that_waits_all_the_same_holds_up_no_other(
    node: Node, given: EnvironmentSpec, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if somebody's look went through init's root after all: it is told, ended, and others are mended."""
    _run(node, given, "show_others", "/srv")
    wait_until(lambda: attempt(node, given, "test -e /silent")[0] == 0, "its silence")
    others = [make(), make()]
    look, asked = Reconciler.drift, list[UUID]()

    def through_init(reconciler: Reconciler, records: Records, glance: Glance | None = None) -> Said | None:
        asked.append(records.id)
        if records.id == given.id and asked.count(given.id) == 1:
            with suppress(OSError):
                os.stat(f"/proc/{init_pid(node, given.id)}/root/srv/nothing")
        return look(reconciler, records, glance)

    monkeypatch.setattr(Reconciler, "drift", through_init)
    monkeypatch.setattr("runtime.agent.rounds.PATIENCE_S", 1.0)
    for one in others:
        subprocess.run(["ip", "link", "delete", node.link_name(one.id)], check=True, timeout=10)
    with watching(node) as told:
        for one in others:
            told.wait(_told_of(one, EventCode.REPAIRED))
        told.wait(_told_of(given, EventCode.STUCK))


def _told_of(spec: EnvironmentSpec, code: EventCode) -> Callable[[Report], bool]:
    return lambda report: report.environment_id == spec.id and any(one.code is code for one in report.events)


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
    monkeypatch.setattr("runtime.sandboxes.shared.conmon.START_DEADLINE_S", 1.0)
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


def _hold(path: str) -> None:
    """Leaves a process behind that has a lease of the file: who opens it waits until it is given back."""
    import fcntl
    import os
    import signal
    import time

    file = os.open(path, os.O_RDWR | os.O_CREAT)
    if os.fork():
        return
    os.setsid()
    for fd in range(3):
        os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    fcntl.fcntl(file, 1024, fcntl.F_WRLCK)  # F_SETLEASE of linux/fcntl.h
    os.close(os.open("/leased", os.O_CREAT))
    time.sleep(100_000)


@pytest.mark.parametrize("path", ["/etc/hosts", "/etc/shadow", "/root/.ssh/authorized_keys"])
def test_a_lease_that_is_kept_holds_up_no_change(
    node: Node, make: Make, image: str, engine: Engine, specs: Specs, path: str
) -> None:
    spec = make(image=image)
    sh(node, spec, f"mkdir -p {Path(path).parent}; touch {path}")
    inside(node, spec, _hold, path)
    wait_until(lambda: attempt(node, spec, "test -e /leased")[0] == 0, "its lease")
    credentials = Credentials(revision=1, ssh_keys=("ssh-ed25519 AAAA x",), root_password_hash="$6$a$b")
    assert _looks(lambda: engine.apply(specs.change(spec, name="renamed", credentials=credentials)))


@pytest.mark.parametrize("covered", ["/mnt", "/"], indirect=True)
def test_a_volume_is_not_looked_for_in_what_never_answers(
    node: Node, covered: EnvironmentSpec, engine: Engine, specs: Specs
) -> None:
    volume = uuid4()
    Volumes(node).keep(volume, covered.tenant_id, 32, is_new=True)
    attached = AttachedVolume(volume_id=volume, path="/mnt/data")
    try:
        assert _looks(lambda: engine.apply(specs.change(covered, volumes=(attached,))))
        report = engine.current_report(covered.id)
        assert report is not None
        assert report.code in ("no_place", "root_is_private"), report.message
        assert report.state is ObservedState.RUNNING
    finally:
        Volumes(node).drop(volume)
