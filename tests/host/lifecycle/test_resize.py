"""Live changes of size, up and down; refused only below what is used, with the number."""

from runtime.contract import Limits
from runtime.engine import Engine
from runtime.host import task_room
from runtime.node import Node
from runtime.resources.volume import RootVolume
from runtime.sandboxes.shared.cgroup import Cgroup
from tests.host.conftest import Make
from tests.host.support.inside import attempt, sh
from tests.host.support.node import Specs

MIB = 2**20


def test_memory_and_processor_change_live(make: Make, node: Node, engine: Engine, specs: Specs) -> None:
    spec = make(limits=Limits(cpu=1, memory_mb=128, disk_mb=256))
    engine.apply(specs.change(spec, limits=Limits(cpu=0.5, memory_mb=256, disk_mb=256)))
    seen = Cgroup(node).inspect(spec.id)
    assert seen is not None
    assert str(256 * MIB) in (seen.get("memory.limit_in_bytes"), seen.get("memory.max"))
    total = sh(node, spec, "grep MemTotal /proc/meminfo").split()[1]
    assert int(total) == 256 * 1024
    assert sh(node, spec, "nproc; grep -c ^processor /proc/cpuinfo").split() == ["1", "1"]


def test_disk_grows_and_shrinks_live(make: Make, node: Node, engine: Engine, specs: Specs) -> None:
    spec = make(limits=Limits(cpu=1, memory_mb=128, disk_mb=100))
    code, _ = attempt(node, spec, "dd if=/dev/zero of=/root/big bs=1M count=150 2>/dev/null; sync")
    assert code in (0, 1)
    assert RootVolume(node).used_bytes(spec.id) <= 101 * MIB
    grown = specs.change(spec, limits=Limits(cpu=1, memory_mb=128, disk_mb=300))
    engine.apply(grown)
    sh(node, spec, "dd if=/dev/zero of=/root/more bs=1M count=80 2>/dev/null")
    refused = specs.change(grown, limits=Limits(cpu=1, memory_mb=128, disk_mb=64))
    report = engine.apply(refused)
    assert report is not None
    assert report.code == "below_used"
    assert "64 MiB is below the" in report.message
    limit = RootVolume(node).inspect(spec.id)
    assert limit is not None
    assert limit["limit_bytes"] == 300 * MIB
    sh(node, spec, "rm /root/big /root/more; sync")
    report = engine.apply(specs.change(refused, limits=Limits(cpu=1, memory_mb=128, disk_mb=64)))
    assert report is not None
    assert not report.code, report.message


def test_b08_a_full_disk_lets_files_be_deleted(make: Make, node: Node) -> None:
    spec = make(limits=Limits(cpu=1, memory_mb=128, disk_mb=80))
    _, said = attempt(node, spec, "dd if=/dev/zero of=/root/fill bs=1M count=200; sync")
    assert "uota exceeded" in said, said
    sh(node, spec, "rm /root/fill; sync; echo again > /root/again")


def test_nested_subvolumes_count(make: Make, node: Node) -> None:
    """M4: a subvolume that root inside makes escapes a plain limit; not this one."""
    spec = make(limits=Limits(cpu=1, memory_mb=128, disk_mb=80))
    root = node.root_volume(spec.id)
    from runtime.host import btrfs

    btrfs.create_subvolume(root / "nested")
    (root / "nested" / "deep").mkdir()
    _, said = attempt(node, spec, "dd if=/dev/zero of=/nested/deep/fill bs=1M count=200; sync")
    assert "uota exceeded" in said, said
    assert RootVolume(node).used_bytes(spec.id) <= 81 * MIB


def test_b07_nobody_is_promised_more_tasks_than_all_may_have(
    make: Make, node: Node, engine: Engine, specs: Specs
) -> None:
    spec = make()
    most = task_room.for_environments()
    limits = spec.limits.model_copy(update={"processes": most + 1})
    report = engine.apply(specs.change(spec, limits=limits))
    assert report is not None
    assert report.code == "too_many_tasks", report.message
    seen = Cgroup(node).inspect(spec.id)
    assert seen is not None
    assert seen["pids.max"] == str(spec.limits.processes)
