"""What fails is undone, and told so: a create leaves nothing, a change leaves the environment as it was."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime import work
from runtime.contract import (
    Credentials,
    DesiredState,
    EnvironmentSpec,
    Interface,
    Limits,
    Network,
    ObservedState,
    Report,
    StepState,
)
from runtime.engine import MAX_ATTEMPTS, Engine
from runtime.node import Node
from runtime.resources.volume import RootVolume
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.container import init_pid
from runtime.state import Records
from tests.faults.node.support import (
    ALL,
    BOOT,
    EVERY,
    HALT,
    Point,
    around,
    assert_whole,
    delete,
    in_process,
    is_running,
    killed_at,
    named,
    next_process,
    plant,
    planted,
    tree,
)
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until


def failed_at(node: Node, point: Point, spec: EnvironmentSpec, action: str = "fail") -> Report:
    plant(node, action, point)
    report = Engine(node).apply(spec)
    assert planted(node) == "", f"never came to {point}"
    assert report is not None
    assert report.final
    return report


@dataclass(frozen=True)
class Seen:
    """What a person or the kernel would notice of an environment."""

    pid: int | None
    limits: object
    disk: int | None
    root: int
    files: str
    routes: str

    @classmethod
    def of(cls, node: Node, spec: EnvironmentSpec) -> "Seen":
        limits = dict(Cgroup(node).inspect(spec.id) or {})
        inside = ""
        if init_pid(node, spec.id) is not None:
            files = "/etc/shadow /etc/hostname /etc/hosts /root/.ssh/authorized_keys"
            addresses = "ip addr show eth0 | awk '/inet/ {print $2}' | sort"
            inside = sh(node, spec, f"cat {files}; {addresses}; ip route | sort")
        command = ["ip", "route", "show", "dev", node.link_name(spec.id)]
        routes = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20).stdout
        return cls(
            pid=init_pid(node, spec.id),
            limits=limits,
            disk=RootVolume(node).quotas.limit_bytes(1, RootVolume.number(spec.id)),
            root=tree(node, spec),
            files="\n".join(line.rstrip() for line in inside.splitlines()),
            routes=routes,
        )


def changed_all(specs: Specs, spec: EnvironmentSpec) -> EnvironmentSpec:
    """Everything that can change while it runs."""
    return specs.change(
        spec,
        name="renamed",
        limits=Limits(cpu=0.5, memory_mb=96, disk_mb=300, network_in_bit_s=10_000_000),
        network=Network(interfaces=(Interface(ipv4=(spec.network.ipv4[0] + 1000,)),)),
        credentials=Credentials(revision=2, ssh_keys=("ssh-ed25519 BBBB new",), root_password_hash="$6$new$b"),
    )


OLD_ACCESS = Credentials(revision=1, ssh_keys=("ssh-ed25519 AAAA old",), root_password_hash="$6$old$a")


@pytest.mark.parametrize("point", around("ensure", ALL), ids=named)
def test_a_failed_create_leaves_nothing(node: Node, specs: Specs, busybox: str, point: Point) -> None:
    spec = specs.new()
    report = failed_at(node, point, spec)
    assert report.state is ObservedState.FAILED
    assert report.code == "injected"
    assert report.message.endswith("Nothing is left of it.")
    done = [step.name for step in report.steps if step.state is StepState.DONE]
    undone = {step.name for step in report.steps if step.state is StepState.UNDONE and step.verb == "remove"}
    assert undone >= set(done)
    assert_whole(node)
    # asked again, by a new generation, it works
    again = Engine(node).apply(specs.change(spec))
    assert again is not None
    assert again.state is ObservedState.RUNNING, again.message
    assert not again.code
    delete(node, spec)


@pytest.mark.parametrize("point", around("undo", EVERY), ids=named)
def test_killed_while_a_create_is_undone(node: Node, specs: Specs, busybox: str, point: Point) -> None:
    spec = specs.new()
    plant(node, "fail", ("ensure", "after", "start"))
    killed_at(node, point, lambda: Engine(node).apply(spec))
    next_process(node)
    report = Engine(node).current_report(spec.id)
    assert report is not None
    assert (report.state, report.code) == (ObservedState.FAILED, "injected")
    assert report.message.endswith("Nothing is left of it.")
    assert_whole(node)
    delete(node, spec)


@pytest.mark.parametrize("point", around("ensure", ALL), ids=named)
def test_a_failed_live_change_leaves_it_as_it_was(make: Make, node: Node, specs: Specs, point: Point) -> None:
    spec = make(credentials=OLD_ACCESS)
    before = Seen.of(node, spec)
    report = failed_at(node, point, changed_all(specs, spec))
    assert (report.code, report.generation) == ("injected", spec.generation)
    assert report.message.endswith("It is as it was before.")
    after = Seen.of(node, spec)
    assert after == before
    assert_whole(node)


@pytest.mark.parametrize("point", around("undo", ALL), ids=named)
def test_killed_while_a_live_change_is_undone(make: Make, node: Node, specs: Specs, point: Point) -> None:
    spec = make(credentials=OLD_ACCESS)
    before = Seen.of(node, spec)
    plant(node, "fail", ("ensure", "after", "start"))
    killed_at(node, point, lambda: Engine(node).apply(changed_all(specs, spec)))
    next_process(node)
    after = Seen.of(node, spec)
    assert after == before
    assert_whole(node)


@pytest.mark.parametrize("point", [*HALT, *around("remove", BOOT), *around("ensure", ALL)], ids=named)
def test_a_failed_reinstall_keeps_the_old_root(make: Make, node: Node, specs: Specs, point: Point) -> None:
    spec = make()
    sh(node, spec, "echo mine > /root/note")
    root = tree(node, spec)
    report = failed_at(node, point, specs.change(spec, installs=1, stop_timeout_s=0))
    assert (report.code, report.state) == ("injected", ObservedState.RUNNING)
    assert tree(node, spec) == root
    assert sh(node, spec, "cat /root/note; hostname") == f"mine\n{spec.name}"
    assert_whole(node)


@pytest.mark.parametrize(
    "point", [*around("undo", ["shutdown"]), *around("undo", BOOT), *around("undo", ["root volume"])], ids=named
)
def test_killed_while_a_reinstall_is_undone(make: Make, node: Node, specs: Specs, point: Point) -> None:
    spec = make()
    sh(node, spec, "echo mine > /root/note")
    root = tree(node, spec)
    plant(node, "fail", ("ensure", "after", "start"))
    fresh = specs.change(spec, installs=1, stop_timeout_s=0)
    killed_at(node, point, lambda: Engine(node).apply(fresh))
    next_process(node)
    assert tree(node, spec) == root
    assert sh(node, spec, "cat /root/note") == "mine"
    assert_whole(node)


@pytest.mark.parametrize("point", around("ensure", ALL), ids=named)
def test_a_failed_start_leaves_it_stopped(make: Make, node: Node, specs: Specs, point: Point) -> None:
    spec = make(desired=DesiredState.STOPPED)
    report = failed_at(node, point, specs.change(spec, desired=DesiredState.RUNNING))
    assert (report.code, report.state) == ("injected", ObservedState.STOPPED)
    assert_whole(node)


@pytest.mark.parametrize("point", [*HALT, *around("remove", BOOT)], ids=named)
def test_a_failed_stop_leaves_it_running(make: Make, node: Node, specs: Specs, point: Point) -> None:
    spec = make()
    report = failed_at(node, point, specs.change(spec, desired=DesiredState.STOPPED, stop_timeout_s=0))
    assert (report.code, report.state) == ("injected", ObservedState.RUNNING)
    assert_whole(node)


@pytest.mark.parametrize("point", around("remove", EVERY), ids=named)
def test_a_failed_delete_is_tried_until_nothing_is_left(
    make: Make, node: Node, specs: Specs, point: Point
) -> None:
    spec = make()
    report = failed_at(node, point, specs.change(spec, desired=DesiredState.DELETED))
    assert report.code == "injected"
    assert Engine(node).reconcile() == {spec.id: "a deletion was not finished"}
    assert not node.environment(spec.id).exists()
    assert_whole(node)


def test_after_a_failed_change_a_crash_brings_back_what_was(make: Make, node: Node, specs: Specs) -> None:
    """And not what was refused."""
    spec = make()
    failed_at(node, ("ensure", "after", "root volume"), changed_all(specs, spec))
    pid = init_pid(node, spec.id)
    assert pid is not None
    subprocess.run(["kill", "-9", str(pid)], check=True, timeout=20)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "its end")
    report = Engine(node).again(spec.id)
    assert report is not None
    assert (report.state, report.code) == (ObservedState.RUNNING, "injected")
    assert sh(node, spec, "hostname") == spec.name


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        ("ENOSPC", "node_full", "MiB free in the pool"),
        ("EDQUOT", "disk_limit", "its disk is full"),
        ("ENOMEM", "node_memory", "no memory left"),
        ("EIO", "os_error", "root volume: the node's kernel refused: Input/output error"),
    ],
)
def test_an_error_of_the_kernel_is_told_in_a_sentence(
    node: Node, specs: Specs, busybox: str, number: str, code: str, words: str
) -> None:
    spec = specs.new()
    report = failed_at(node, ("ensure", "before", "root volume"), spec, number)
    assert report.code == code
    assert words in report.message
    assert_whole(node)
    delete(node, spec)


def hangs(node: Node, monkeypatch: pytest.MonkeyPatch, spec: EnvironmentSpec, point: Point) -> None:
    monkeypatch.setattr(work, "HANG_GRACE_S", 0.0)
    plant(node, "hang", point)
    assert in_process(lambda: Engine(node).apply(spec)) == -signal.SIGKILL


def test_a_step_that_hangs_is_ended_at_the_deadline(
    node: Node, specs: Specs, busybox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = specs.new(deadline_s=1)
    hangs(node, monkeypatch, spec, ("ensure", "before", "network link"))
    next_process(node)
    report = Engine(node).current_report(spec.id)
    assert report is not None
    assert (report.state, report.code) == (ObservedState.FAILED, "deadline_passed")
    assert report.message.startswith("network link: hung past the deadline of 1 s")
    assert_whole(node)
    delete(node, spec)


def test_a_change_that_hangs_is_undone(
    make: Make, node: Node, specs: Specs, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make(credentials=OLD_ACCESS)
    before = Seen.of(node, spec)
    changed = changed_all(specs, spec).model_copy(update={"deadline_s": 1.0})
    hangs(node, monkeypatch, changed, ("ensure", "after", "addresses and routes"))
    next_process(node)
    after = Seen.of(node, spec)
    assert after == before


@pytest.mark.parametrize("operation", ["create", "change"])
def test_a_step_that_hangs_is_ended_for_whoever_cancels(
    make: Make, node: Node, specs: Specs, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """Long before its deadline: a newer spec, such as the deletion that a cancelled create becomes, waits."""
    monkeypatch.setattr(work, "IN_THE_WAY_S", 0.2)
    spec = make() if operation == "change" else specs.new()
    asked = changed_all(specs, spec) if operation == "change" else spec
    plant(node, "hang", ("ensure", "before", "network link"))
    child = os.fork()
    if child == 0:
        Engine(node).apply(asked)
        os._exit(0)
    until = time.monotonic() + 30
    while planted(node):
        assert time.monotonic() < until, "never came to the step"
        time.sleep(0.01)
    gone = specs.change(asked, desired=DesiredState.DELETED)
    assert Engine(node).apply(gone) is None, "it was taken though somebody is at work"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    next_process(node)
    assert not node.environment(spec.id).exists()
    assert_whole(node)


def test_work_that_always_kills_its_process_is_given_up(node: Node, specs: Specs, busybox: str) -> None:
    spec = specs.new()
    work_on: Callable[[], object] = lambda: Engine(node).apply(spec)  # noqa: E731
    for _ in range(MAX_ATTEMPTS):
        killed_at(node, ("ensure", "after", "init process"), work_on)
        work_on = lambda: Engine(node).again(spec.id)  # noqa: E731
    next_process(node)
    report = Engine(node).current_report(spec.id)
    assert report is not None
    assert (report.state, report.code) == (ObservedState.FAILED, "interrupted")
    assert "init process" in report.message
    assert_whole(node)
    delete(node, spec)


def test_a_message_that_comes_again_changes_nothing(make: Make, node: Node, specs: Specs) -> None:
    """Of a change that was given up: it stays given up, and is told again."""
    spec = make()
    changed = changed_all(specs, spec)
    failed_at(node, ("ensure", "after", "firewall"), changed)
    report = Engine(node).apply(changed)
    assert report is not None
    assert (report.code, report.attempted_generation) == ("injected", changed.generation)
    assert Records(node, spec.id).state().failed == changed.generation
    assert is_running(node, spec)
