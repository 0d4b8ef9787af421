"""The rescue system: a disk that nothing starts from any more is repaired, and starts again."""

import pytest

from runtime.contract import DesiredState, EnvironmentSpec, ObservedState, Rescue
from runtime.engine import Engine
from runtime.host import mounts
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs


def _rescued(engine: Engine, specs: Specs, spec: EnvironmentSpec, **more: object) -> EnvironmentSpec:
    changed = specs.change(
        spec, desired=DesiredState.RUNNING, rescue=Rescue.ONLINE, boots=spec.boots + 1, stop_timeout_s=2, **more
    )
    report = engine.apply(changed)
    assert report is not None
    assert report.state is ObservedState.RUNNING, report.model_dump_json()
    return changed


def _back(engine: Engine, specs: Specs, spec: EnvironmentSpec) -> EnvironmentSpec:
    changed = specs.change(spec, rescue=Rescue.OFF, boots=spec.boots + 1)
    report = engine.apply(changed)
    assert report is not None
    assert report.state is ObservedState.RUNNING, report.model_dump_json()
    return changed


def test_one_without_an_init_is_repaired_and_starts(
    make: Make, node: Node, engine: Engine, specs: Specs
) -> None:
    spec = make()
    sh(node, spec, "echo kept > /root/note; mv /sbin/init /sbin/init.away; rm -f /linuxrc; sync")
    rescued = _rescued(engine, specs, spec)
    assert sh(node, rescued, "cat /mnt/root/note; hostname; stat -c %u /mnt/etc/passwd /etc/passwd") == (
        f"kept\n{spec.name}\n0\n0"
    )
    sh(
        node,
        rescued,
        "mv /mnt/sbin/init.away /mnt/sbin/init; echo repaired >> /mnt/root/note; echo lost > /gone",
    )
    assert sh(node, rescued, "chroot /mnt /bin/busybox cat /root/note") == "kept\nrepaired"
    own = _back(engine, specs, rescued)
    assert sh(node, own, "cat /root/note; ls /gone 2>/dev/null; ls /mnt") == "kept\nrepaired"


@pytest.mark.parametrize(
    "odd", ["rm -rf /etc; mkfifo /etc", "rm -rf /etc; ln -s /proc/1/root /etc", "rm -rf /sbin"]
)
def test_whatever_the_disk_holds_it_starts(
    make: Make, node: Node, engine: Engine, specs: Specs, odd: str
) -> None:
    """Nothing of the disk is looked at, and nothing written to it."""
    spec = make()
    sh(node, spec, f"cp -a /etc /etc.kept; cp -a /sbin /sbin.kept; {odd}; sync")
    rescued = _rescued(engine, specs, spec, name="another-name")
    assert sh(node, rescued, "cat /mnt/etc.kept/hostname; cat /etc/hostname") == f"{spec.name}\nanother-name"
    sh(node, rescued, "rm -rf /mnt/etc /mnt/sbin; mv /mnt/etc.kept /mnt/etc; mv /mnt/sbin.kept /mnt/sbin")
    own = _back(engine, specs, rescued)
    assert sh(node, own, "hostname; cat /etc/hostname") == "another-name\nanother-name"


def test_root_of_the_rescue_system_is_root_of_the_environment_and_no_more(
    make: Make, node: Node, engine: Engine, specs: Specs
) -> None:
    rescued = _rescued(engine, specs, make())
    said = sh(node, rescued, "mknod /dev/sda b 8 0 2>&1; mknod /mnt/sda b 8 0 2>&1; true")
    assert said.count("Operation not permitted") == 2
    assert sh(node, rescued, "mount -o remount,dev / 2>/dev/null && echo worked || echo refused") == "refused"
    size = int(sh(node, rescued, "df -k / | tail -1 | awk '{print $2}'"))
    assert size <= max(8192, rescued.limits.memory_mb * 1024 // 4)
    assert not mounts.is_mounted(node.mount_point(rescued.id)), "it stands in the node's namespace"


def test_it_stops_when_asked_and_leaves_nothing(make: Make, node: Node, engine: Engine, specs: Specs) -> None:
    rescued = _rescued(engine, specs, make())
    report = engine.apply(specs.change(rescued, desired=DesiredState.STOPPED, stop_timeout_s=20))
    assert report is not None
    assert report.state is ObservedState.STOPPED
    assert not any(event.code == "forced_stop" for event in report.events)
    assert engine.leaks() == []
