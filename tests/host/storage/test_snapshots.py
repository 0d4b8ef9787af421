"""Snapshots: whole, of one moment, charged to their environment; restored in place, and as another one."""

import os
from pathlib import Path
from uuid import uuid4

import pytest

from runtime.contract import DesiredState, EnvironmentSpec, Limits, ObservedState, Origin, Report
from runtime.engine import Engine
from runtime.host import btrfs
from runtime.host.btrfs import subvolumes
from runtime.node import Node
from runtime.resources.volume import MIB, RootVolume
from runtime.storage.snapshots import Snapshots
from tests.host.conftest import Make
from tests.host.support.inside import attempt, sh
from tests.host.support.node import Specs


@pytest.fixture
def snapshots(node: Node) -> Snapshots:
    return Snapshots(node)


def _apply(
    engine: Engine, specs: Specs, spec: EnvironmentSpec, **fields: object
) -> tuple[EnvironmentSpec, Report]:
    changed = specs.change(spec, generation=spec.generation + 1, **fields)
    report = engine.apply(changed)
    assert report is not None
    return changed, report


def _good(engine: Engine, specs: Specs, spec: EnvironmentSpec, **fields: object) -> EnvironmentSpec:
    changed, report = _apply(engine, specs, spec, **fields)
    assert not report.code, f"{report.code}: {report.message}"
    return changed


def _noted_limits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each limit that a quota group gets from now on."""
    limits = list[int]()
    limit = btrfs.limit_qgroup

    def noted(place: Path, group: int, most: int | None) -> None:
        limits.append(most or 0)
        limit(place, group, most)

    monkeypatch.setattr(btrfs, "limit_qgroup", noted)
    return limits


def test_a_running_one_goes_on_and_its_snapshot_stays_as_it_was(
    node: Node, engine: Engine, specs: Specs, make: Make, snapshots: Snapshots
) -> None:
    spec, one, two = make(), uuid4(), uuid4()
    sh(node, spec, "echo before > /root/note")
    pid = engine.observe(spec.id)[1]
    spec = _good(engine, specs, spec, snapshots=(one,))
    sh(node, spec, "echo after > /root/note")
    spec = _good(engine, specs, spec, snapshots=(one, two))
    assert engine.observe(spec.id)[1] == pid
    assert (snapshots.path(spec.id, one) / "root/note").read_text() == "before\n"
    assert (snapshots.path(spec.id, two) / "root/note").read_text() == "after\n"
    assert btrfs.is_readonly(snapshots.path(spec.id, one))
    assert not engine.missing().get(spec.id)
    spec = _good(engine, specs, spec, snapshots=(two,))
    assert snapshots.there(spec.id) == [two]


def test_what_was_made_once_is_not_made_again_with_other_contents(
    node: Node, engine: Engine, specs: Specs, make: Make, snapshots: Snapshots
) -> None:
    spec, one = make(), uuid4()
    spec = _good(engine, specs, spec, snapshots=(one,))
    btrfs.delete_subvolume(snapshots.path(spec.id, one))
    engine.reconcile()
    spec = _good(engine, specs, spec, limits=spec.limits.model_copy(update={"memory_mb": 96}))
    assert snapshots.there(spec.id) == []
    assert snapshots.lost(spec) == [one]


def test_subvolumes_made_inside_are_in_it_and_come_back(
    node: Node, engine: Engine, specs: Specs, make: Make, snapshots: Snapshots
) -> None:
    spec, one = make(), uuid4()
    root = node.root_volume(spec.id)
    group = [btrfs.qgroup_id(1, RootVolume.number(spec.id))]
    # as docker inside makes them, with a name that would lead out of a tree if it were followed
    (root / "var").mkdir(exist_ok=True)
    btrfs.create_subvolume(root / "var" / "outer", group)
    (root / "var" / "outer" / "deep").mkdir()
    btrfs.create_subvolume(root / "var" / "outer" / "deep" / "a\nb", group)
    (root / "var" / "outer" / "deep" / "a\nb" / "file").write_text("kept")
    btrfs.set_readonly(root / "var" / "outer", True)
    spec = _good(engine, specs, spec, snapshots=(one,))
    kept = snapshots.path(spec.id, one) / "var/outer/deep/a\nb/file"
    assert kept.read_text() == "kept"
    btrfs.set_readonly(root / "var" / "outer", False)
    btrfs.delete_subvolume(root / "var" / "outer")
    spec = _good(engine, specs, spec, installs=1, origin=Origin(environment_id=spec.id, snapshot=one))
    assert sh(node, spec, "cat /var/outer/deep/a*b/file") == "kept"
    assert attempt(node, spec, "echo more > /var/outer/deep/new")[0] != 0  # as its owner had it
    btrfs.set_readonly(root / "var" / "outer", False)
    sh(node, spec, "echo more > /var/outer/deep/new")


def test_restored_in_place_it_is_as_it_was_with_the_same_keys_and_can_be_undone(
    node: Node, engine: Engine, specs: Specs, make: Make, snapshots: Snapshots
) -> None:
    spec, good, before = make(), uuid4(), uuid4()
    identity = sh(node, spec, "cat /etc/machine-id")
    sh(node, spec, "echo good > /root/note")
    spec = _good(engine, specs, spec, snapshots=(good,))
    sh(node, spec, "echo broken > /root/note; rm -rf /bin/vi")
    spec = _good(
        engine, specs, spec,
        snapshots=(good, before), installs=1, origin=Origin(environment_id=spec.id, snapshot=good),
    )  # fmt: skip
    assert sh(node, spec, "cat /root/note; cat /etc/machine-id") == f"good\n{identity}"
    spec = _good(engine, specs, spec, installs=2, origin=Origin(environment_id=spec.id, snapshot=before))
    assert sh(node, spec, "cat /root/note") == "broken"
    assert engine.leaks() == []


def test_a_clone_has_names_keys_and_a_disk_of_its_own(
    node: Node, engine: Engine, specs: Specs, make: Make, snapshots: Snapshots
) -> None:
    spec, one = make(), uuid4()
    sh(node, spec, "echo mine > /root/note")
    identity = sh(node, spec, "cat /etc/machine-id")
    spec = _good(engine, specs, spec, snapshots=(one,))
    clone = make(name="clone-1", tenant_id=spec.tenant_id, origin=Origin(environment_id=spec.id, snapshot=one))
    assert sh(node, clone, "cat /root/note; hostname") == "mine\nclone-1"
    assert sh(node, clone, "cat /etc/machine-id") != identity
    sh(node, clone, "echo other > /root/note")
    assert (node.root_volume(spec.id) / "root/note").read_text() == "mine\n"
    volume = RootVolume(node)
    group = volume.number(spec.id)
    _apply(engine, specs, spec, desired=DesiredState.DELETED, snapshots=())
    assert sh(node, clone, "cat /root/note") == "other"
    parents = Path(f"/sys/fs/btrfs/{btrfs.file_system_uuid(node.store)}/qgroups")
    if volume.quotas.used_bytes(1, group):  # what both share is still charged to it, within the tenant's sum
        assert (parents / f"1_{group}").is_dir()


def test_a_full_disk_takes_a_snapshot_and_the_limit_holds_after(
    node: Node, engine: Engine, specs: Specs, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make(limits=Limits(cpu=1, memory_mb=128, disk_mb=32))
    attempt(node, spec, "dd if=/dev/zero of=/root/fill bs=64k; sync")
    limits = _noted_limits(monkeypatch)
    spec = _good(engine, specs, spec, snapshots=(uuid4(),))
    assert max(limits) <= 33 * MIB, "while it is made there is room for it, and for nothing else"
    volume = RootVolume(node)
    assert volume.quotas.limit_bytes(1, volume.number(spec.id)) == 32 * MIB
    assert attempt(node, spec, "dd if=/dev/zero of=/root/more bs=64k count=64 conv=fsync")[0] != 0


def test_a_snapshot_that_is_not_there_is_refused_and_nothing_changes(
    node: Node, engine: Engine, specs: Specs, make: Make
) -> None:
    spec = make()
    sh(node, spec, "echo kept > /root/note")
    nowhere = Origin(environment_id=spec.id, snapshot=uuid4())
    _, report = _apply(engine, specs, spec, installs=1, origin=nowhere)
    assert report.code == "snapshot_missing"
    assert engine.observe(spec.id)[0] is ObservedState.RUNNING
    assert sh(node, spec, "cat /root/note") == "kept"


def test_links_and_odd_names_inside_lead_nowhere(
    node: Node, engine: Engine, specs: Specs, make: Make, snapshots: Snapshots, tmp_path: Path
) -> None:
    spec, one = make(), uuid4()
    outside = tmp_path / "outside"
    outside.mkdir()
    root = node.root_volume(spec.id)
    (root / "leads").symlink_to(outside)
    (root / os.fsdecode(b"\xff\xfe")).mkdir()
    btrfs.create_subvolume(
        root / os.fsdecode(b"\xff\xfe") / "nested", [btrfs.qgroup_id(1, RootVolume.number(spec.id))]
    )
    spec = _good(engine, specs, spec, snapshots=(one,))
    assert (snapshots.path(spec.id, one) / "leads").is_symlink()
    assert (snapshots.path(spec.id, one) / os.fsdecode(b"\xff\xfe") / "nested").is_dir()
    assert list(outside.iterdir()) == []


def test_deleted_with_its_environment(
    node: Node, engine: Engine, specs: Specs, make: Make, snapshots: Snapshots
) -> None:
    before = btrfs.subvolume_count(node.store)
    spec = make()
    spec = _good(engine, specs, spec, snapshots=(uuid4(), uuid4()))
    _, report = _apply(engine, specs, spec, desired=DesiredState.DELETED)
    assert report.state is ObservedState.DELETED
    assert not node.volume(spec.id).exists()
    assert btrfs.subvolume_count(node.store) == before


def test_subvolumes_inside_buy_no_room_beyond_the_limit(
    node: Node, engine: Engine, specs: Specs, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each gets a little room while it is taken along; so many that nothing is taken get none."""
    spec = make(limits=Limits(cpu=1, memory_mb=128, disk_mb=64))
    group = [btrfs.qgroup_id(1, RootVolume.number(spec.id))]
    for number in range(6):
        btrfs.create_subvolume(node.root_volume(spec.id) / f"n{number}", group)
    monkeypatch.setattr("runtime.storage.shelves.MOST_NESTED", 5)
    limits = _noted_limits(monkeypatch)
    _, report = _apply(engine, specs, spec, snapshots=(uuid4(),))
    assert report.code == "too_many_subvolumes"
    assert max([0, *limits]) <= 64 * MIB


def test_subvolumes_that_come_and_go_meanwhile_spoil_no_snapshot(
    node: Node, engine: Engine, specs: Specs, make: Make, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root inside makes, moves, deletes them between the copy of the top and that of what is nested in it."""
    spec, one = make(), uuid4()
    root, group = node.root_volume(spec.id), [btrfs.qgroup_id(1, RootVolume.number(spec.id))]
    for name in ("moved", "deleted", "stays"):
        btrfs.create_subvolume(root / name, group)
    (root / "stays" / "file").write_text("kept")
    places = subvolumes.nested_places

    unfinished = snapshots.path(spec.id, one).with_name(f"{one}.new")

    def raced(fd: int, tree: int) -> list[tuple[int, int, bytes]]:
        if not unfinished.exists() or (root / "late").exists():
            return places(fd, tree)
        btrfs.create_subvolume(root / "late", group)
        (root / "moved").rename(root / "elsewhere")
        found = places(fd, tree)
        monkeypatch.setattr(subvolumes, "nested_places", places)
        btrfs.delete_subvolume(root / "deleted")
        return found

    monkeypatch.setattr(subvolumes, "nested_places", raced)
    spec = _good(engine, specs, spec, snapshots=(one,))
    assert (root / "late").exists()
    assert (snapshots.path(spec.id, one) / "stays" / "file").read_text() == "kept"


def test_subvolumes_made_faster_than_they_are_taken_come_to_an_end(
    node: Node, engine: Engine, specs: Specs, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in the other, each made while the one above is taken: the first look saw none of them."""
    spec = make()
    group = [btrfs.qgroup_id(1, RootVolume.number(spec.id))]
    monkeypatch.setattr("runtime.storage.shelves.MOST_NESTED", 5)
    place = node.root_volume(spec.id)
    for _ in range(8):
        place /= "in"
        btrfs.create_subvolume(place, group)
    monkeypatch.setattr(btrfs, "nested_subvolumes", lambda path: list[int]())
    count = btrfs.subvolume_count(node.store)
    _, report = _apply(engine, specs, spec, snapshots=(uuid4(),))
    assert report.code == "too_many_subvolumes"
    assert btrfs.subvolume_count(node.store) == count


def test_subvolumes_that_were_read_only_are_so_after_going_back(
    node: Node, engine: Engine, specs: Specs, make: Make, snapshots: Snapshots
) -> None:
    spec, one, two = make(), uuid4(), uuid4()
    home = node.root_volume(spec.id) / "root"
    for name in ("locked", "open"):
        btrfs.create_subvolume(home / name)
        (home / name / "file").write_text(name)
    btrfs.create_subvolume(home / "locked" / "inner")
    btrfs.set_readonly(home / "locked", True)
    spec = _good(engine, specs, spec, snapshots=(one,))
    for snapshot in (one, two):  # and again, from a snapshot of what was gone back to
        origin = Origin(environment_id=spec.id, snapshot=snapshot)
        spec = _good(engine, specs, spec, snapshots=(one, two), origin=origin, installs=spec.installs + 1)
        found = {name: btrfs.is_readonly(home / name) for name in ("locked", "open", "locked/inner")}
        assert found == {"locked": True, "open": False, "locked/inner": False}
        assert (home / "locked" / "file").read_text() == "locked"
    assert "trusted.wadah.locked" not in os.listxattr(home / "locked")


def test_a_reinstall_leaves_a_snapshot_of_what_was_there(
    node: Node, engine: Engine, specs: Specs, make: Make, snapshots: Snapshots
) -> None:
    spec, one = make(), uuid4()
    sh(node, spec, "echo mine > /root/note")
    spec = _good(engine, specs, spec, snapshots=(one,), installs=spec.installs + 1)
    assert not (node.root_volume(spec.id) / "root/note").exists()
    assert (snapshots.path(spec.id, one) / "root/note").read_text() == "mine\n"


def test_a_snapshot_is_not_taken_where_others_wait_behind_it(
    node: Node, engine: Engine, specs: Specs, make: Make, snapshots: Snapshots
) -> None:
    """It waits for what the environment has not written yet; with four of those the node did nothing else."""
    spec, one = make(), uuid4()
    handed_over: list[EnvironmentSpec] = []

    def take(wanted: EnvironmentSpec) -> bool:
        handed_over.append(wanted)
        return True

    changed = specs.change(spec, generation=spec.generation + 1, snapshots=(one,))
    assert Engine(node, hand_over=take).apply(changed) is None
    assert handed_over == [changed]
    assert snapshots.there(spec.id) == []
    report = engine.apply(changed)
    assert report is not None
    assert not report.code, report.message
    assert snapshots.there(spec.id) == [one]
    again = specs.change(changed, generation=changed.generation + 1)
    assert Engine(node, hand_over=take).apply(again) is not None, "there is nothing to wait for"


def test_a_root_that_its_owner_locked_is_taken_restored_reinstalled_and_deleted(
    node: Node, engine: Engine, specs: Specs, make: Make, snapshots: Snapshots
) -> None:
    """As root inside may by BTRFS_IOC_SUBVOL_SETFLAGS."""
    spec, one, two = make(), uuid4(), uuid4()
    sh(node, spec, "echo kept > /root/note")
    spec = _good(engine, specs, spec, snapshots=(one,))
    btrfs.set_readonly(node.root_volume(spec.id), True)
    assert attempt(node, spec, "echo more > /root/note")[0] != 0
    spec = _good(engine, specs, spec, snapshots=(one, two))
    origin = Origin(environment_id=spec.id, snapshot=two)
    spec = _good(engine, specs, spec, installs=1, origin=origin)
    assert sh(node, spec, "cat /root/note; echo again > /root/note; cat /root/note") == "kept\nagain"
    btrfs.set_readonly(node.root_volume(spec.id), True)
    spec = _good(engine, specs, spec, installs=2, origin=None, keep_old_root=True)
    assert sh(node, spec, "cat /old/root/note") == "again"
    btrfs.set_readonly(node.root_volume(spec.id), True)
    _, report = _apply(engine, specs, spec, desired=DesiredState.DELETED)
    assert report.state is ObservedState.DELETED
    assert not node.volume(spec.id).exists()
