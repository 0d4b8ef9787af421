"""The process at work is killed at each step boundary of each operation; the next one brings the spec about.

The boundaries follow from the kind's list of resources, so that a new resource is walked without a line here.
"""

import os

import pytest

from runtime.contract import (
    Credentials,
    DesiredState,
    EnvironmentSpec,
    Interface,
    Limits,
    Network,
    ObservedState,
)
from runtime.engine import Engine
from runtime.node import Node
from runtime.sandboxes.shared.bundle import booted
from runtime.sandboxes.shared.container import init_pid
from runtime.state import Records
from tests.faults.node.support import (
    ALL,
    BOOT,
    COMMIT,
    EVERY,
    HALT,
    KEPT,
    Point,
    around,
    assert_whole,
    delete,
    is_running,
    killed_at,
    named,
    next_process,
    tree,
)
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs

LIVE = [*around("ensure", ALL), *COMMIT]


def applied(node: Node, spec: EnvironmentSpec) -> bool:
    state = Records(node, spec.id).state()
    return (state.applied, state.failed) == (spec.generation, 0)


@pytest.mark.parametrize("point", [*around("ensure", ALL), *COMMIT], ids=named)
def test_create(node: Node, specs: Specs, busybox: str, point: Point) -> None:
    spec = specs.new()
    killed_at(node, point, lambda: Engine(node).apply(spec))
    next_process(node)
    assert is_running(node, spec)
    assert applied(node, spec)
    assert_whole(node)
    delete(node, spec)
    assert_whole(node)


@pytest.mark.parametrize("point", [*around("remove", EVERY), ("commit", "before", "records")], ids=named)
def test_delete(make: Make, node: Node, specs: Specs, point: Point) -> None:
    spec = make()
    gone = specs.change(spec, desired=DesiredState.DELETED)
    killed_at(node, point, lambda: Engine(node).apply(gone))
    next_process(node)
    assert not node.environment(spec.id).exists()
    assert_whole(node)


@pytest.mark.parametrize("point", LIVE, ids=named)
def test_live_change(make: Make, node: Node, specs: Specs, point: Point) -> None:
    """Size, addresses and credentials at once; what runs inside goes on."""
    spec = make()
    pid = init_pid(node, spec.id)
    changed = specs.change(
        spec,
        limits=Limits(cpu=0.5, memory_mb=96, disk_mb=300),
        network=Network(interfaces=(Interface(ipv4=(spec.network.ipv4[0] + 1000,)),)),
        credentials=Credentials(revision=1, ssh_keys=("ssh-ed25519 AAAA x",), root_password_hash="$6$a$b"),
    )
    killed_at(node, point, lambda: Engine(node).apply(changed))
    next_process(node)
    assert applied(node, changed)
    assert init_pid(node, spec.id) == pid
    assert "AAAA" in sh(node, spec, "cat /root/.ssh/authorized_keys")
    assert_whole(node)


@pytest.mark.parametrize("point", [*HALT, *around("remove", BOOT), *around("ensure", ALL), *COMMIT], ids=named)
def test_reinstall(make: Make, node: Node, specs: Specs, point: Point) -> None:
    spec = make()
    sh(node, spec, "echo mine > /root/note")
    before = tree(node, spec)
    fresh = specs.change(spec, installs=1, keep_old_root=True, stop_timeout_s=0)
    killed_at(node, point, lambda: Engine(node).apply(fresh))
    next_process(node)
    assert applied(node, fresh)
    assert is_running(node, fresh)
    assert tree(node, fresh) != before
    assert sh(node, fresh, "cat /old/root/note; ls /root") == "mine"
    assert_whole(node)


@pytest.mark.parametrize("point", [*HALT, *around("remove", BOOT), *around("ensure", KEPT), *COMMIT], ids=named)
def test_stop(make: Make, node: Node, specs: Specs, point: Point) -> None:
    spec = make()
    stopped = specs.change(spec, desired=DesiredState.STOPPED, stop_timeout_s=0)
    killed_at(node, point, lambda: Engine(node).apply(stopped))
    next_process(node)
    assert applied(node, stopped)
    assert Engine(node).observe(spec.id)[0] is ObservedState.STOPPED
    assert_whole(node)


@pytest.mark.parametrize("point", [*around("ensure", ALL), *COMMIT], ids=named)
def test_start(make: Make, node: Node, specs: Specs, point: Point) -> None:
    spec = make(desired=DesiredState.STOPPED)
    started = specs.change(spec, desired=DesiredState.RUNNING)
    killed_at(node, point, lambda: Engine(node).apply(started))
    next_process(node)
    assert applied(node, started)
    assert is_running(node, started)
    assert_whole(node)


@pytest.mark.parametrize("point", [*around("ensure", ["pause"]), *COMMIT], ids=named)
def test_pause(make: Make, node: Node, specs: Specs, point: Point) -> None:
    spec = make()
    paused = specs.change(spec, desired=DesiredState.PAUSED)
    killed_at(node, point, lambda: Engine(node).apply(paused))
    next_process(node)
    assert applied(node, paused)
    assert Engine(node).observe(spec.id)[0] is ObservedState.PAUSED


@pytest.mark.parametrize("point", [*around("ensure", ["start"]), *COMMIT], ids=named)
def test_a_restart_is_done_once(make: Make, node: Node, specs: Specs, point: Point) -> None:
    """Killed after the new boot: whoever comes next doesn't boot it again."""
    spec = make()
    again = specs.change(spec, boots=1, stop_timeout_s=0)
    killed_at(node, point, lambda: Engine(node).apply(again))
    pid = init_pid(node, spec.id)
    assert booted(node, spec.id) == (1, 0)
    next_process(node)
    assert init_pid(node, spec.id) == pid
    assert applied(node, again)


@pytest.mark.parametrize("name", ["namespaces", "container", "network link", "addresses and routes"])
def test_the_next_start_has_a_network_of_its_own(node: Node, specs: Specs, busybox: str, name: str) -> None:
    """Not the one of a start that was cut off, whose container may have used it already."""
    spec = specs.new()
    killed_at(node, ("ensure", "after", name), lambda: Engine(node).apply(spec))
    with node.network_namespace(spec.id).open() as kept:  # so that its number isn't given again
        next_process(node)
        assert is_running(node, spec)
        assert os.stat(f"/proc/{init_pid(node, spec.id)}/ns/net").st_ino != os.fstat(kept.fileno()).st_ino
    assert_whole(node)
    delete(node, spec)
