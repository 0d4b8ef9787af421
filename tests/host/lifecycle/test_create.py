"""Creating an environment: what the kernel shows afterwards."""

import os
import subprocess
from pathlib import Path

from runtime.contract import DesiredState, Limits, ObservedState
from runtime.engine import Engine
from runtime.host.mounts import mount_table
from runtime.node import Node
from runtime.resources.volume import RootVolume
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.container import init_pid
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs


def test_root_inside_is_nobody_outside(make: Make, node: Node) -> None:
    spec = make()
    pid = init_pid(node, spec.id)
    assert pid is not None
    first = node.first_uid(spec.slot)
    assert Path(f"/proc/{pid}/uid_map").read_text().split() == ["0", str(first), "65536"]
    assert Path(f"/proc/{pid}").stat().st_uid == first


def test_it_has_namespaces_of_its_own(make: Make, node: Node, engine: Engine) -> None:
    first, second = make(), make()
    seen = [engine.inspect(one.id)["init process"]["namespaces"] for one in (first, second)]  # type: ignore[index]
    for kind in ("user", "pid", "net", "mnt", "uts", "ipc", "cgroup"):
        mine = Path(f"/proc/self/ns/{kind}").stat().st_ino
        assert len({seen[0][kind], seen[1][kind], mine}) == 3, kind


def test_the_kernel_holds_its_limits(make: Make, node: Node) -> None:
    spec = make(limits=Limits(cpu=0.5, memory_mb=64, disk_mb=100, processes=77))
    seen = Cgroup(node).inspect(spec.id)
    assert seen is not None
    assert str(64 * 2**20) in (seen.get("memory.limit_in_bytes"), seen.get("memory.max"))
    both = seen.get("memory.memsw.limit_in_bytes")
    assert both in (None, "", str(64 * 2**20)), "swap is not held"
    assert seen["pids.max"] == "77"
    assert seen.get("cpu.cfs_quota_us", seen.get("cpu.max", "").split()[:1]) in ("50000", ["50000"])
    volume = RootVolume(node).inspect(spec.id)
    assert volume is not None
    assert volume["limit_bytes"] == 100 * 2**20


def test_applying_twice_changes_nothing(make: Make, node: Node, engine: Engine) -> None:
    spec = make()
    before = init_pid(node, spec.id)
    report = engine.apply(spec)
    assert report is not None
    assert report.state is ObservedState.RUNNING
    assert init_pid(node, spec.id) == before


def test_an_older_generation_is_dropped(make: Make, engine: Engine, specs: Specs) -> None:
    spec = make()
    newer = specs.change(spec, name="renamed")
    engine.apply(newer)
    assert engine.apply(spec) is None


def test_delete_leaves_nothing(make: Make, node: Node, engine: Engine, specs: Specs) -> None:
    spec = make()
    report = engine.apply(specs.change(spec, desired=DesiredState.DELETED))
    assert report is not None
    assert report.state is ObservedState.DELETED
    assert not [one for one in engine.leaks() if one.environment_id == spec.id]
    assert not node.environment(spec.id).exists()
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    assert node.link_name(spec.id) not in links


def test_a_late_message_does_not_revive_it(make: Make, engine: Engine, specs: Specs) -> None:
    spec = make()
    engine.apply(specs.change(spec, desired=DesiredState.DELETED))
    report = engine.apply(spec)
    assert report is not None
    assert report.state is ObservedState.DELETED


def test_a_failed_create_leaves_nothing(engine: Engine, specs: Specs, busybox: str) -> None:
    spec = specs.new(image="no-such-image")
    report = engine.apply(spec)
    assert report is not None
    assert report.state is ObservedState.FAILED
    assert report.code == "image_missing"
    assert "no-such-image" in report.message
    assert not [one for one in engine.leaks() if one.environment_id == spec.id]


def test_nothing_of_it_is_mounted_on_the_node_while_it_runs(
    make: Make, node: Node, engine: Engine, specs: Specs
) -> None:
    """A mount for each environment would be copied with the mount namespace at every start."""
    before = mount_table()
    spec = make()
    assert mount_table() == before
    report = engine.apply(specs.change(spec, boots=1))
    assert report is not None
    assert not report.code, report.message
    assert mount_table() == before


def test_users_inside_find_their_groups_whatever_the_nodes_umask_is(make: Make, node: Node) -> None:
    """The worker keeps what it makes to itself (0077); a user's own manager makes its group below init's."""
    before = os.umask(0o077)
    try:
        spec = make(limits=Limits(cpu=1, memory_mb=64, disk_mb=100))
    finally:
        os.umask(before)
    for name in (
        "/sys/fs/cgroup",
        *(["/sys/fs/cgroup/memory"] if Cgroup(node).groups.version == 1 else []),
        "/",
        "/etc",
        "/etc/hosts",
        "/etc/hostname",
        "/etc/resolv.conf",
        "/run",
        "/tmp",
        "/dev",
        "/dev/pts",
    ):
        seen = sh(node, spec, f"stat -L -c %a {name}")
        assert int(seen, 8) & 0o004, f"{name} is {seen}"
