"""Snapshots of volumes on a real kernel: made in use, counted, put back, made into another, and cut off."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.contract import (
    DropVolumeSnapshot,
    JobOutcome,
    JobReport,
    JobSpec,
    JobWork,
    KeepVolume,
    RestoreVolume,
    SnapshotMeasured,
    SnapshotVolume,
    Subject,
    SubjectType,
    VolumeSnapshotOf,
)
from runtime.host import btrfs
from runtime.jobs.kinds import KINDS
from runtime.jobs.runner import Jobs
from runtime.node import Node
from runtime.resources.volume import RootVolume
from runtime.storage import volume_history
from runtime.storage.volumes import MIB, number_of
from tests.host.conftest import Make
from tests.host.support.disks import TENANT, Disks
from tests.host.support.inside import attempt, sh

Do = Callable[[JobWork], JobReport]


@pytest.fixture
def do(node: Node) -> Do:
    def done(work: JobWork, job: uuid.UUID | None = None) -> JobReport:
        about = Subject(type=SubjectType.VOLUME, id=str(getattr(work, "volume_id")))  # noqa: B009
        spec = JobSpec(node=node.name, id=job or uuid.uuid4(), about=about, work=work, deadline_s=100)
        report = Jobs(node, KINDS, lambda _: None).do(spec)
        assert report is not None
        return report

    return done


def _take(do: Do, volume: uuid.UUID, size_mb: int = 64, **more: object) -> uuid.UUID:
    snapshot = uuid.uuid4()
    work = SnapshotVolume(volume_id=volume, tenant_id=TENANT, size_mb=size_mb, snapshot=snapshot, **more)  # type: ignore[arg-type]
    report = do(work)
    assert report.outcome is JobOutcome.SUCCEEDED, f"{report.code}: {report.message}"
    return snapshot


def _restore(volume: uuid.UUID, snapshot: uuid.UUID, before: uuid.UUID | None = None) -> RestoreVolume:
    return RestoreVolume(volume_id=volume, tenant_id=TENANT, size_mb=64, before=before, snapshot=snapshot)


def _measured(report: JobReport) -> dict[uuid.UUID, SnapshotMeasured]:
    assert report.volume is not None
    return {one.snapshot: one for one in report.volume.snapshots}


def test_one_is_made_while_it_is_in_use_and_is_of_that_moment(
    disks: Disks, make: Make, node: Node, do: Do
) -> None:
    volume = disks.new()
    spec = disks.attach(make(), volume)
    sh(node, spec, "echo first > /mnt/data/note; sync")
    snapshot = _take(do, volume)
    sh(node, spec, "echo second > /mnt/data/note; ls /mnt/data")
    path = disks.volumes.shelf(volume).path(snapshot)
    assert (path / "note").read_text() == "first\n"
    assert btrfs.is_readonly(path)
    assert sh(node, spec, "cat /mnt/data/note; ls /mnt; ls /mnt/data") == "second\ndata\nnote"


def test_what_it_holds_counts_as_the_volumes_and_the_tenants(disks: Disks, node: Node, do: Do) -> None:
    volume = disks.new()
    file = disks.volumes.path(volume) / "much"
    file.write_bytes(bytes(range(256)) * 4096 * 20)
    first = _take(do, volume)
    file.unlink()
    (disks.volumes.path(volume) / "other").write_bytes(bytes(range(256)) * 4096 * 8)
    btrfs.sync(node.store)
    assert disks.volumes.used_bytes(volume) >= 28 * MIB
    assert (disks.volumes.quotas.used_bytes(2, number_of(TENANT)) or 0) >= 28 * MIB
    work = SnapshotVolume(volume_id=volume, tenant_id=TENANT, size_mb=64, snapshot=uuid.uuid4())
    told = _measured(do(work))
    assert (told[first].bytes, told[first].own_bytes) == (20 * MIB, 20 * MIB)
    assert (told[work.snapshot].bytes, told[work.snapshot].own_bytes) == (8 * MIB, 0)
    gone = do(DropVolumeSnapshot(volume_id=volume, tenant_id=TENANT, size_mb=64, snapshot=first))
    assert set(_measured(gone)) == {work.snapshot}
    assert disks.volumes.shelf(volume).there() == [work.snapshot]


def test_a_full_volume_takes_one_and_loses_it_and_is_held_to_its_size_again(
    disks: Disks, make: Make, node: Node, do: Do
) -> None:
    volume = disks.new(16)
    spec = disks.attach(make(), volume)
    attempt(node, spec, "dd if=/dev/urandom of=/mnt/data/much bs=64k 2>&1; sync")
    snapshot = _take(do, volume, 16)
    assert disks.volumes.quotas.limit_bytes(1, number_of(volume)) == 16 * MIB
    dropped = do(DropVolumeSnapshot(volume_id=volume, tenant_id=TENANT, size_mb=16, snapshot=snapshot))
    assert dropped.outcome is JobOutcome.SUCCEEDED, dropped
    assert disks.volumes.quotas.limit_bytes(1, number_of(volume)) == 16 * MIB
    assert disks.volumes.shelf(volume).there() == []


def test_subvolumes_made_on_it_are_in_it_and_come_back(disks: Disks, node: Node, do: Do) -> None:
    volume = disks.new()
    top = disks.volumes.path(volume)
    btrfs.create_subvolume(top / "outer", [disks.volumes.group(volume)])
    (top / "outer" / "note").write_text("kept")
    snapshot = _take(do, volume)
    btrfs.delete_subvolume(top / "outer")
    report = do(_restore(volume, snapshot))
    assert report.outcome is JobOutcome.SUCCEEDED, report
    assert (top / "outer" / "note").read_text() == "kept"
    (top / "outer" / "note").write_text("writable")


def test_put_back_it_is_as_it_was_and_that_can_be_undone(disks: Disks, make: Make, node: Node, do: Do) -> None:
    volume = disks.new()
    note = disks.volumes.path(volume) / "note"
    note.write_text("first")
    snapshot = _take(do, volume)
    note.write_text("second")
    before = uuid.uuid4()
    report = do(_restore(volume, snapshot, before))
    assert report.outcome is JobOutcome.SUCCEEDED, report
    assert note.read_text() == "first"
    assert set(_measured(report)) == {snapshot, before}
    spec = disks.attach(make(), volume)
    assert sh(node, spec, "cat /mnt/data/note; echo more >> /mnt/data/note") == "first"
    _, detached = disks.apply(spec, volumes=())
    assert not detached.code
    assert do(_restore(volume, before)).outcome is JobOutcome.SUCCEEDED
    assert note.read_text() == "second"
    assert _beside(disks, volume) == []


def test_in_use_it_is_not_put_back_and_nothing_is_left(disks: Disks, make: Make, node: Node, do: Do) -> None:
    volume = disks.new()
    spec = disks.attach(make(), volume)
    sh(node, spec, "echo first > /mnt/data/note; sync")
    snapshot = _take(do, volume)
    sh(node, spec, "echo second > /mnt/data/note")
    report = do(_restore(volume, snapshot, uuid.uuid4()))
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "volume_held")
    assert sh(node, spec, "cat /mnt/data/note") == "second"
    assert disks.volumes.shelf(volume).there() == [snapshot]
    assert _beside(disks, volume) == []


@pytest.mark.parametrize("keeps", [True, False], ids=["with what it was", "without"])
def test_cut_off_after_the_exchange_it_is_done_or_taken_back(
    disks: Disks, node: Node, do: Do, monkeypatch: pytest.MonkeyPatch, keeps: bool
) -> None:
    volume = disks.new()
    note = disks.volumes.path(volume) / "note"
    note.write_text("first")
    snapshot, job, before = _take(do, volume), uuid.uuid4(), uuid.uuid4() if keeps else None
    note.write_text("second")
    history = volume_history.VolumeHistory(node, volume, 64)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    real = volume_history.libc.exchange
    monkeypatch.setattr(volume_history.libc, "exchange", lambda one, other: (real(one, other), cut()))
    if before is not None:
        history.take(before)
    with pytest.raises(KeyboardInterrupt):
        history.put_back(snapshot, job, lambda _: False)
    monkeypatch.setattr(volume_history.libc, "exchange", real)
    assert note.read_text() == "first"
    history.put_back(snapshot, job, lambda _: False) if keeps else None
    history.undo(job, before)
    assert note.read_text() == "second"
    assert disks.volumes.shelf(volume).there() == [snapshot]
    assert _beside(disks, volume) == []


def test_a_new_volume_of_one_is_of_its_own_and_goes_on_without_the_other(
    disks: Disks, make: Make, node: Node, do: Do
) -> None:
    volume, other = disks.new(), uuid.uuid4()
    (disks.volumes.path(volume) / "note").write_text("first")
    (disks.volumes.path(volume) / "much").write_bytes(bytes(range(256)) * 4096 * 20)
    snapshot = _take(do, volume)
    of = VolumeSnapshotOf(volume_id=volume, snapshot=snapshot)
    small = KeepVolume(volume_id=other, tenant_id=TENANT, size_mb=16, is_new=True, copy_of=of)
    refused = do(small)
    assert (refused.outcome, refused.code) == (JobOutcome.FAILED, "below_used")
    assert not disks.volumes.is_there(other)
    made = do(small.model_copy(update={"size_mb": 32}))
    disks.made.append(other)
    assert made.outcome is JobOutcome.SUCCEEDED, made
    spec = disks.attach(make(), other)
    sh(node, spec, "echo second > /mnt/data/note")
    assert (disks.volumes.path(volume) / "note").read_text() == "first"
    _, said = attempt(node, spec, "dd if=/dev/urandom of=/mnt/data/more bs=1M count=40 2>&1; sync")
    assert "quota" in said.lower() or "space" in said.lower(), said
    disks.volumes.drop(volume)
    RootVolume(node).sweep()
    assert sh(node, spec, "cat /mnt/data/note; stat -c %s /mnt/data/much") == f"second\n{20 * MIB}"
    # what both share was the other's, and stays in the sum of their tenant
    assert (disks.volumes.quotas.used_bytes(2, number_of(TENANT)) or 0) >= 20 * MIB


def test_with_the_volume_its_snapshots_go(disks: Disks, node: Node, do: Do) -> None:
    volume = disks.new()
    (disks.volumes.path(volume) / "much").write_bytes(bytes(range(256)) * 4096 * 20)
    _take(do, volume)
    disks.volumes.drop(volume)
    assert not disks.volumes.shelf(volume).directory.exists()
    assert _beside(disks, volume) == []


def test_one_that_is_gone_is_refused(disks: Disks, do: Do) -> None:
    volume = disks.new()
    report = do(_restore(volume, uuid.uuid4(), uuid.uuid4()))
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "snapshot_missing")
    assert disks.volumes.shelf(volume).there() == []
    gone = SnapshotVolume(volume_id=uuid.uuid4(), tenant_id=TENANT, size_mb=64, snapshot=uuid.uuid4())
    assert do(gone).code == "volume_lost"


def test_in_turn_with_a_new_one_others_go(disks: Disks, do: Do) -> None:
    volume = disks.new()
    first = _take(do, volume)
    second = _take(do, volume, gone=(first,))
    assert disks.volumes.shelf(volume).there() == [second]


def _beside(disks: Disks, volume: uuid.UUID) -> list[Path]:
    """What lies there of the volume, beside itself and its snapshots."""
    known = {str(volume), f"{volume}.snapshots"}
    return [one for one in disks.node.volumes.glob(f"{volume}*") if one.name not in known]
