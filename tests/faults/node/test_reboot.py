"""A node starts anew: no process, mount, link, table or control group is left; only its disk is. Without the
panel all that should run does so again, behind the guard, with its own addresses."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from runtime.contract import DesiredState, ObservedState
from runtime.engine import Engine
from runtime.host import cgroup, mounts, nft
from runtime.known import known_environments
from runtime.node import Node
from runtime.prepare import prepare, start_lxcfs
from runtime.resources import firewall
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.container import init_pid
from tests.faults.node.support import assert_whole, in_process, links_of, monitors_of
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs

HOW_MANY = 20
PROMISED_S = 60.0


def switch_off(node: Node) -> None:
    """What a power cut takes: everything but the disk (which stays mounted, as the test's own way to it)."""
    pids = {init_pid(node, one) for one in known_environments(node)} | monitors_of(node)
    for one in known_environments(node):
        Cgroup(node).freeze(one, False)  # what is frozen can't be killed
    for pid in pids - {None}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid or 0, signal.SIGKILL)
    until = time.monotonic() + 30
    while monitors_of(node) or any(init_pid(node, one) for one in known_environments(node)):
        assert time.monotonic() < until
        time.sleep(0.02)
    with contextlib.suppress(OSError, ValueError):
        os.kill(int((node.run / "lxcfs.pid").read_text()), signal.SIGKILL)
    for place in (node.lxcfs, node.devices, node.fuse, node.views, node.oci_runtime):
        mounts.unmount(place)
    for kind in ("roots", "users", "networks", "times", ""):  # the last one: trees of other kernels
        for point in mounts.mounted_below(node.mounts / kind):
            mounts.unmount(point)
    shutil.rmtree(node.mounts)
    for link in links_of(node):
        subprocess.run(["ip", "link", "del", link], check=False, capture_output=True, timeout=20)
    firewall.teardown(node)
    cgroup.groups().remove(node.cgroup_name)
    for name in ("oci", "exits", "locks", "pending"):
        shutil.rmtree(node.run / name, ignore_errors=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")


def test_all_that_should_run_does_so_again(make: Make, node: Node, specs: Specs) -> None:
    running = [make(stop_timeout_s=0) for _ in range(HOW_MANY)]
    sh(node, running[0], "echo kept > /root/note")
    stopped = make(desired=DesiredState.STOPPED)
    paused = make()
    Engine(node).apply(specs.change(paused, desired=DesiredState.PAUSED))
    switch_off(node)
    assert nft_is_empty(node)
    begin = time.monotonic()

    def start_anew() -> None:
        """What `node prepare` and the agent's first look do."""
        prepare(node.home)
        assert not nft_is_empty(node), "the guard stands before the first link does"
        assert links_of(node) == set()
        assert len(Engine(node).reconcile()) == HOW_MANY + 1

    assert in_process(start_anew) == 0
    took = time.monotonic() - begin
    print(f"{HOW_MANY + 1} environments back in {took:.2f} s")
    assert took < PROMISED_S
    engine = Engine(node)
    for spec in running:
        assert engine.observe(spec.id)[0] is ObservedState.RUNNING
    for spec in running[:3]:
        inside = sh(node, spec, "ip addr show eth0")
        assert str(spec.network.ipv4[0]) in inside
        assert str(spec.network.ipv6[0]) in inside
    assert sh(node, running[0], "cat /root/note") == "kept"
    assert engine.observe(stopped.id)[0] is ObservedState.STOPPED
    assert engine.observe(paused.id)[0] is ObservedState.PAUSED
    assert_whole(node)
    start_lxcfs(node)


def nft_is_empty(node: Node) -> bool:
    try:
        return not nft.query({"list": {"table": {"family": "inet", "name": node.table_name}}})
    except nft.NftError:
        return True
