"""Lifecycles in parallel, again and again: nothing grows, nothing is given out twice."""

import os
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from runtime.contract import DesiredState, EnvironmentSpec, Limits, ObservedState
from runtime.engine import Engine
from runtime.host import btrfs, mounts
from runtime.kinds import Toolbox
from runtime.node import Node
from runtime.resources.ids import IdRange
from runtime.resources.volume import RootVolume
from tests.faults.node.support import assert_whole, delete, links_of, monitors_of
from tests.host.conftest import Make
from tests.host.support.node import Specs

#: Processes at once, and lifecycles of each. WADAH_ROUNDS makes the long run.
AT_ONCE, ROUNDS = 6, int(os.environ.get("WADAH_ROUNDS", "3"))


def census(node: Node) -> dict[str, int]:
    """What the kernel has, counted."""
    command = ["losetup", "--noheadings"]
    loops = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout
    places = str(node.mounts), str(node.home)
    networks = {one.stat().st_ino for one in Path("/proc").glob("[0-9]*/ns/net") if is_ours(node, one)}
    found = [one for resource in Toolbox(node).all() for one in resource.inventory()]
    return {
        **Counter(one.resource for one in found),
        "network namespaces": len(networks),
        "links": len(links_of(node)),
        "mounts": sum(any(place in line for place in places) for line in mounts.mount_table()),
        "loops": loops.count(str(node.home)),
        "monitors": len(monitors_of(node)),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }


def is_ours(node: Node, entry: Path) -> bool:
    try:
        return node.cgroup_name + "/" in (entry.parent.parent / "cgroup").read_text()
    except OSError:
        return False


def lifecycle(node: Node, specs: Specs, spec: EnvironmentSpec) -> None:
    engine = Engine(node)
    steps: list[dict[str, Any]] = [
        {},
        {"limits": Limits(cpu=1, memory_mb=96, disk_mb=300)},
        {"boots": 1},
        {"desired": DesiredState.STOPPED},
        {"desired": DesiredState.RUNNING, "installs": 1},
    ]
    for change in steps:
        spec = specs.change(spec, **change)
        report = engine.apply(spec)
        assert report is not None
        assert not report.code, report.message
    report = engine.apply(specs.change(spec, desired=DesiredState.DELETED))
    assert report is not None
    assert report.state is ObservedState.DELETED, report.message


def test_lifecycles_in_parallel_leave_nothing(make: Make, node: Node, specs: Specs) -> None:
    make()
    lifecycle(node, specs, specs.new(stop_timeout_s=0))
    Engine(node).reconcile()
    assert_whole(node)  # also waits for the link of the deleted one, which goes a moment after it
    before = census(node)
    children = []
    mine = [[specs.new(stop_timeout_s=0) for _ in range(ROUNDS)] for _ in range(AT_ONCE)]
    for specs_of_one in mine:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for spec in specs_of_one:
                    lifecycle(node, specs, spec)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert ended == [0] * AT_ONCE
    assert_whole(node)
    assert census(node) == before
    # the kernel gives space back a little later, and only then the groups go
    volume, until = RootVolume(node), time.monotonic() + 60
    while len(volume.quotas.numbers(1)) > 1 and time.monotonic() < until:
        btrfs.sync(node.store)
        volume.sweep()
        time.sleep(0.1)
    assert len(volume.quotas.numbers(1)) == 1


def test_one_slot_is_given_to_one(node: Node, specs: Specs, busybox: str) -> None:
    """R02: many at once want the same range of ids; one gets it, the others say so and leave nothing."""
    first = specs.new()
    rivals = [specs.new(slot=first.slot) for _ in range(6)]
    children = []
    for spec in rivals:
        child = os.fork()
        if child == 0:
            status = 9
            try:
                report = Engine(node).apply(spec)
                status = 0 if report and report.state is ObservedState.RUNNING else 1
                if status and report and report.code != "slot_taken":
                    status = 2
            finally:
                os._exit(status)
        children.append(child)
    ended = sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
    assert ended == [0, 1, 1, 1, 1, 1]
    owners = [
        one.environment_id for one in Toolbox(node).one(IdRange).inventory() if one.what == f"slot {first.slot}"
    ]
    assert len(owners) == 1
    assert_whole(node)
    for spec in rivals:
        delete(node, spec)
    assert_whole(node)
