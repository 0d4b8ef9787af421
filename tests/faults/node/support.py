"""Kills the working process where a test says, lets the next one go on, and looks at what the kernel has."""

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from runtime import faults
from runtime.contract import DesiredState, EnvironmentSpec, ObservedState
from runtime.contract import Kind as KindName
from runtime.engine import Engine
from runtime.host import btrfs, mounts
from runtime.host.processes import every_root
from runtime.kinds import every_resource, kind_of, resources_of
from runtime.known import known_environments, pending_environments
from runtime.node import Node
from runtime.resources.volume import MIB, RootVolume
from runtime.sandboxes.shared.container import init_pid, monitor_pid
from runtime.state import Records

#: A step boundary: verb, before or after, name of the step.
Point = tuple[str, str, str]

_RESOURCES = resources_of(kind_of(KindName.SYSTEM))
ALL = [one.name for one in _RESOURCES]
BOOT = [one.name for one in _RESOURCES if one.lifetime == "boot"]
KEPT = [one.name for one in _RESOURCES if one.lifetime == "environment"]
EVERY = [one.name for one in every_resource()]


def around(verb: str, names: Iterable[str]) -> list[Point]:
    return [(verb, when, name) for name in names for when in ("before", "after")]


COMMIT = around("commit", ["records"])
HALT = around("wait", ["shutdown"])


def named(point: Point) -> str:
    return "-".join(point).replace(" ", "_")


def plant(node: Node, action: str, *points: Point) -> None:
    lines = [f"{verb} {when} {action} {name}\n" for verb, when, name in points]
    with faults.file_of(node).open("a") as file:
        file.writelines(lines)


def planted(node: Node) -> str:
    """Fail points that were not reached."""
    try:
        return faults.file_of(node).read_text()
    except FileNotFoundError:
        return ""


def in_process(act: Callable[[], object]) -> int:
    """Runs `act` in a process of its own; its exit code, negative for the signal that ended it."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def killed_at(node: Node, point: Point, act: Callable[[], object]) -> None:
    """`act` in a process of its own, which is killed when it comes to that step boundary."""
    plant(node, "kill", point)
    code = in_process(act)
    assert planted(node) == "", f"never came to {point}"
    assert code == -signal.SIGKILL, code


def next_process(node: Node) -> None:
    """What the agent does within a second: takes up what was cut off. Nothing is left to mend after it."""

    def act() -> None:
        engine = Engine(node)
        cut_off = engine.reconciler.interrupted()
        assert cut_off
        for environment_id in cut_off:
            engine.again(environment_id)
        assert engine.reconcile() == {}

    assert in_process(act) == 0


def delete(node: Node, spec: EnvironmentSpec) -> None:
    known = Engine(node).current_report(spec.id)
    newest = known.attempted_generation if known else spec.generation
    gone = spec.model_copy(update={"generation": newest + 1, "desired": DesiredState.DELETED})
    report = Engine(node).apply(gone)
    assert report is not None
    assert report.state is ObservedState.DELETED, report.message


# what the kernel has ------------------------------------------------------------------------------


def monitors_of(node: Node) -> set[int]:
    """Every conmon of this node, also such as no record of ours speaks of."""
    found = set()
    for one in every_root("conmon"):
        with suppress(OSError):
            if os.fsencode(node.home) in Path(f"/proc/{one.pid}/cmdline").read_bytes():
                found.add(one.pid)
    return found


def links_of(node: Node) -> set[str]:
    said = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True, timeout=20).stdout
    return {line.split("@")[0].split()[0] for line in said.splitlines() if line.startswith(node.link_prefix)}


def assert_whole(node: Node) -> None:
    """No leak, nothing missing, no work open, and the kernel has what the records say and nothing else."""
    engine = Engine(node)
    assert engine.leaks() == []
    assert engine.missing() == {}
    assert pending_environments(node) == []
    running, there = set(), set()
    for environment_id in known_environments(node):
        records = Records(node, environment_id)
        spec = records.standing()
        assert not list(records.directory.glob("*.new")), "half-written files"
        if spec is None:
            continue
        there.add(environment_id)
        names = sorted(one.name for one in node.volume(environment_id).iterdir())
        assert names == (["root", "snapshots"] if spec.snapshots else ["root"]), names
        quotas, number = RootVolume(node).quotas, RootVolume.number(environment_id)
        assert quotas.limit_bytes(1, number) == spec.limits.disk_mb * MIB
        if init_pid(node, environment_id) is not None:
            running.add(environment_id)
    assert links_of(node) >= {node.link_name(one) for one in running}
    assert monitors_of(node) == {monitor_pid(node, one) for one in running}
    # what a start mounts is held by its init alone as soon as that is made
    assert not mounts.mounted_below(node.mounts / "roots")
    assert not mounts.mounted_below(node.mounts / "users")
    assert not mounts.mounted_below(node.mounts / "networks")
    assert not mounts.mounted_below(node.mounts / "times")
    assert {one.name for one in (node.store / "environments").iterdir()} == {str(one) for one in there}
    assert_quota_groups(node, there)


def assert_quota_groups(node: Node, there: Iterable[object]) -> None:
    """Every environment's group is in its tenant's; by btrfs-progs, which isn't our code."""
    said = subprocess.run(
        ["btrfs", "qgroup", "show", "-p", "--raw", str(node.store)],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    ).stdout
    parents = {line.split()[0]: line.split()[3] for line in said.splitlines() if line.startswith("1/")}
    for environment_id in there:
        spec = Records(node, environment_id).standing()  # type: ignore[arg-type]
        assert spec is not None
        group, tenant = RootVolume.number(spec.id), RootVolume.number(spec.tenant_id)
        assert parents.get(f"1/{group}") == f"2/{tenant}", said


def is_running(node: Node, spec: EnvironmentSpec) -> bool:
    return Engine(node).observe(spec.id)[0] is ObservedState.RUNNING


def tree(node: Node, spec: EnvironmentSpec) -> int:
    """Number of the subvolume that is the environment's root now."""
    return btrfs.subvolume_id(node.root_volume(spec.id))
