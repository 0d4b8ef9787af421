"""The pool, or the disk of the node's own records, gets full: new work is refused in a sentence, what runs goes
on, nothing is damaged, and when there is room again all heals without hands."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.contract import (
    DesiredState,
    EnvironmentSpec,
    ImageSource,
    ImageSpec,
    Limits,
    ObservedState,
    Report,
)
from runtime.engine import Engine
from runtime.host import libc
from runtime.jobs.images import ensure_image
from runtime.node import Node
from runtime.sandboxes.shared.container import init_pid
from tests.faults.node.conftest import HOST
from tests.faults.node.support import assert_whole, delete, in_process
from tests.host.conftest import Make
from tests.host.support.inside import attempt, sh
from tests.host.support.node import Specs, entered_test_node

MIB = 2**20


def on_a_node_of_its_own(act: Callable[[], None]) -> None:
    """In a process that has left the test node for a mount namespace of its own beside the host's."""

    def work() -> None:
        for fd, flag in HOST:
            libc.setns(fd, flag)
        # kernel 6.18 numbers namespaces by processor, and pins only one with a higher number than its own
        os.sched_setaffinity(0, {0})
        libc.unshare(libc.CLONE_NEWNS)
        libc.mount("", "/", "", libc.MS_REC | libc.MS_PRIVATE)
        act()

    assert in_process(work) == 0


def applied(node: Node, spec: EnvironmentSpec) -> Report:
    report = Engine(node).apply(spec)
    assert report is not None
    return report


def build(node: Node) -> Specs:
    ensure_image(node, ImageSpec(node=node.name, name="busybox", source=ImageSource.BUSYBOX), lambda _: None)
    return Specs(node)


def patiently(succeeds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not succeeds():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_full_pool() -> None:
    def act() -> None:
        with entered_test_node(pool_bytes=480 * MIB) as node:
            specs = build(node)
            greedy = specs.new(limits=Limits(cpu=1, memory_mb=128, disk_mb=4096), stop_timeout_s=0)
            assert not applied(node, greedy).code
            code, said = attempt(node, greedy, "dd if=/dev/zero of=/root/fill bs=1M", timeout_s=60)
            assert code != 0
            assert "No space left" in said
            refused = applied(node, specs.new())
            assert (refused.code, refused.state) == ("pool_full", ObservedState.FAILED)
            assert "the pool is full: " in refused.message
            assert refused.message.endswith("Nothing is left of it.")
            assert refused.next_step
            # what is there goes on: live changes, and a new start
            assert sh(node, greedy, "echo here") == "here"
            smaller = specs.change(greedy, limits=Limits(cpu=1, memory_mb=96, disk_mb=4096))
            assert not applied(node, smaller).code
            again = specs.change(smaller, boots=1)
            report = applied(node, again)
            assert (report.code, report.state) == ("", ObservedState.RUNNING), report.message
            assert Engine(node).reconcile() == {}
            # room again, by what a tenant or an administrator would do
            delete(node, again)
            last: list[EnvironmentSpec] = []

            def works() -> bool:
                last.append(specs.new())
                return not applied(node, last[-1]).code

            patiently(works)
            delete(node, last[-1])
            assert_whole(node)

    on_a_node_of_its_own(act)


@contextmanager
def pool_device() -> Iterator[str]:
    """A pool that isn't on the disk that gets full."""
    with tempfile.NamedTemporaryFile(prefix="wadah-pool-") as file:
        os.truncate(file.name, 1024 * MIB)
        subprocess.run(["mkfs.btrfs", "--quiet", file.name], check=True, timeout=60)
        command = ["losetup", "--find", "--show", file.name]
        device = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()
        try:
            yield device
        finally:
            subprocess.run(["losetup", "--detach", device], check=True, timeout=20)


def fill_bytes(home: Path) -> Callable[[], None]:
    ballast = home / f"ballast-{time.monotonic_ns()}"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    return ballast.unlink


def fill_inodes(home: Path) -> Callable[[], None]:
    directory = home / f"ballast-{time.monotonic_ns()}"
    made: list[Path] = []
    try:
        directory.mkdir()
        while True:
            one = directory / str(len(made))
            one.touch()
            made.append(one)
    except OSError:
        pass

    def free() -> None:
        for one in made:
            one.unlink()
        if made:
            directory.rmdir()

    return free


@pytest.mark.parametrize("fill", [fill_bytes, fill_inodes], ids=lambda one: one.__name__)
def test_a_full_disk_of_the_node(fill: Callable[[Path], Callable[[], None]]) -> None:
    def act() -> None:
        with pool_device() as device, entered_test_node(small_home=True, pool_device=device) as node:
            specs = build(node)
            spec = specs.new(stop_timeout_s=0)
            assert not applied(node, spec).code
            doomed = specs.new()
            assert not applied(node, doomed).code
            pid = init_pid(node, spec.id)
            free = fill(node.home)
            refused = applied(node, specs.new())
            assert refused.code == "node_full", refused.message
            assert "MiB free in the node's own disk" in refused.message
            changed = specs.change(spec, limits=Limits(cpu=1, memory_mb=96, disk_mb=256))
            refused = applied(node, changed)
            assert refused.code == "node_full", refused.message
            assert init_pid(node, spec.id) == pid
            assert sh_alive(node, spec)
            # deleting works: it is what makes room
            report = applied(node, specs.change(doomed, desired=DesiredState.DELETED))
            assert report.state is ObservedState.DELETED, report.message
            assert not node.environment(doomed.id).exists()
            assert Engine(node).leaks() == []
            # its init ends while all is full again
            free_the_rest = fill(node.home)
            os.kill(pid or 0, signal.SIGKILL)
            patiently(lambda: init_pid(node, spec.id) is None)
            Engine(node).on_exit(spec.id, 137)
            Engine(node).reconcile()
            free()
            free_the_rest()
            engine = Engine(node)
            for environment_id in engine.reconciler.interrupted():
                engine.again(environment_id)
            engine.reconcile()
            assert engine.observe(spec.id)[0] is ObservedState.RUNNING
            report = applied(node, specs.change(changed, limits=Limits(cpu=1, memory_mb=64, disk_mb=256)))
            assert (report.code, report.state) == ("", ObservedState.RUNNING), report.message
            fresh = specs.new()
            assert not applied(node, fresh).code
            delete(node, fresh)
            gone = specs.change(spec, generation=99, desired=DesiredState.DELETED)
            assert applied(node, gone).state is ObservedState.DELETED
            engine.reconcile()
            assert_whole(node)

    on_a_node_of_its_own(act)


def sh_alive(node: Node, spec: EnvironmentSpec) -> bool:
    pid = init_pid(node, spec.id)
    return pid is not None and Path(f"/proc/{pid}/root/etc/hostname").exists()


def memory_group(node: Node) -> tuple[Path, str]:
    """The node's own group and the file of its limit."""
    first = Path("/sys/fs/cgroup/memory", node.cgroup_name)
    return (first, "memory.limit_in_bytes") if first.exists() else (
        Path("/sys/fs/cgroup", node.cgroup_name), "memory.max")  # fmt: skip


@contextmanager
def no_memory_left(node: Node) -> Iterator[None]:
    """The limit of the node's whole group is what is used in it, and a megabyte more."""
    group, name = memory_group(node)
    usage = group / ("memory.current" if name == "memory.max" else "memory.usage_in_bytes")
    before = (group / name).read_text()
    (group / name).write_text(str(int(usage.read_text()) + MIB))
    try:
        yield
    finally:
        (group / name).write_text(before if before.strip().isdigit() else "max")


def test_a_node_without_memory(make: Make, node: Node, specs: Specs) -> None:
    runs, stops = make(), make(stop_timeout_s=0)
    pid = init_pid(node, runs.id)
    with no_memory_left(node):
        refused = applied(node, specs.new())
        assert (refused.code, refused.state) == ("node_memory", ObservedState.FAILED)
        assert "the node's memory is full: " in refused.message
        assert refused.message.endswith("Nothing is left of it.")
        assert refused.next_step
        # what runs goes on, and what makes room works
        smaller = specs.change(runs, limits=Limits(cpu=1, memory_mb=96, disk_mb=256))
        assert not applied(node, smaller).code
        assert init_pid(node, runs.id) == pid
        stopped = specs.change(stops, desired=DesiredState.STOPPED)
        assert applied(node, stopped).state is ObservedState.STOPPED
        again = specs.change(stopped, desired=DesiredState.RUNNING)
        report = applied(node, again)
        assert (report.code, report.state) == ("node_memory", ObservedState.STOPPED)
    report = applied(node, specs.change(again, desired=DesiredState.RUNNING))
    assert (report.code, report.state) == ("", ObservedState.RUNNING), report.message
    assert_whole(node)
