"""Backups of volumes on a real kernel: made in use, put back, made into new volumes, cut off."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from runtime.backups.places import Access
from runtime.backups.repository import Restic
from runtime.contract import (
    BackUp,
    BackupMade,
    JobOutcome,
    JobReport,
    JobWork,
    KeepVolume,
    RestoreVolume,
    VolumeClass,
)
from runtime.engine import Engine
from runtime.host import btrfs
from runtime.node import Node
from runtime.storage.volumes import MIB, number_of
from tests.host.backups.conftest import PASSWORD, Desk, fill_tree, hash_of, left
from tests.host.conftest import Make
from tests.host.support.disks import TENANT, Disks
from tests.host.support.inside import sh
from tests.host.support.node import Specs

pytestmark = pytest.mark.timeout(400)


@dataclass
class Bench:
    """Volumes, and the desk that asks for their backups."""

    disks: Disks
    desk: Desk
    more: list[UUID] = field(default_factory=list)

    def done(self, of: UUID, work: JobWork, tell: Callable[[JobReport], object] = lambda _: None) -> JobReport:
        return self.desk.done(self.desk.job(of, work), tell)

    def back_up(self, volume: UUID) -> BackupMade:
        work = BackUp(
            volume_id=volume,
            backup=uuid4(),
            repository=self.desk.repository,
            repository_id=self.desk.repository_id,
            secrets=self.desk.locked('{"name": "it"}'),
            tags={"volume": str(volume)},
        )
        report = self.done(volume, work)
        assert report.outcome is JobOutcome.SUCCEEDED, f"{report.code}: {report.message}"
        assert report.backup is not None
        self.desk.repository_id = report.backup.repository_id
        return report.backup

    def as_new(self, made: BackupMade, size_mb: int = 64, **more: object) -> tuple[UUID, JobReport]:
        volume = uuid4()
        work = KeepVolume(
            volume_id=volume,
            tenant_id=TENANT,
            size_mb=size_mb,
            is_new=True,
            backup=self.desk.source(made),
            **more,  # type: ignore[arg-type]
        )
        self.disks.made.append(volume)
        return volume, self.done(volume, work)

    def put_back(self, volume: UUID, made: BackupMade, size_mb: int = 64) -> tuple[UUID, JobReport]:
        before = uuid4()
        work = RestoreVolume(
            volume_id=volume,
            tenant_id=TENANT,
            size_mb=size_mb,
            before=before,
            backup=self.desk.source(made),
        )
        return before, self.done(volume, work)

    def beside(self, volume: UUID) -> list[str]:
        known = {str(volume), f"{volume}.snapshots"}
        return [one.name for one in self.disks.node.volumes.glob(f"{volume}*") if one.name not in known]


@pytest.fixture
def bench(giving: Node, engine: Engine, specs: Specs, desk: Desk) -> Iterator[Bench]:
    one = Bench(Disks(giving, engine, specs), desk)
    yield one
    for volume in one.disks.made:
        one.disks.volumes.drop(volume)


def test_all_that_is_on_it_comes_back_in_a_new_one_and_in_its_place(
    bench: Bench, make: Make, giving: Node
) -> None:
    volume = bench.disks.new(128)
    spec = bench.disks.attach(make(), volume)
    top = bench.disks.volumes.path(volume)
    fill_tree(top, [bench.disks.volumes.group(volume)])
    sh(giving, spec, "echo first > /mnt/data/note; sync")
    was = hash_of(top)
    made = bench.back_up(volume)
    assert left(giving) == []
    sh(giving, spec, "echo second > /mnt/data/note; rm -rf /mnt/data/outer")
    other, report = bench.as_new(made, 128)
    assert report.outcome is JobOutcome.SUCCEEDED, f"{report.code}: {report.message}"
    assert hash_of(bench.disks.volumes.path(other)) == was
    _, held = bench.put_back(volume, made, 128)
    assert (held.outcome, held.code) == (JobOutcome.FAILED, "volume_held")
    assert (sh(giving, spec, "cat /mnt/data/note"), bench.beside(volume)) == ("second", [])
    assert bench.disks.volumes.shelf(volume).there() == []
    bench.disks.apply(spec, volumes=())
    before, report = bench.put_back(volume, made, 128)
    assert report.outcome is JobOutcome.SUCCEEDED, f"{report.code}: {report.message}"
    assert hash_of(top) == was
    assert (bench.disks.volumes.shelf(volume).path(before) / "note").read_text() == "second\n"
    assert bench.beside(volume) == []


def test_its_files_are_looked_at_and_downloaded_out_of_the_repository(bench: Bench) -> None:
    volume = bench.disks.new(64)
    top = bench.disks.volumes.path(volume)
    (top / "deep").mkdir()
    (top / "deep/note").write_text("first")
    made = bench.back_up(volume)
    (top / "deep/note").unlink()
    restic = Restic(bench.desk.node, Access(bench.desk.place), PASSWORD, str(uuid4()))
    assert [one["name"] for one in restic.files(made.snapshot, "/", after="", most=9)["entries"]] == ["deep"]
    assert [one["size"] for one in restic.files(made.snapshot, "/deep", after="", most=9)["entries"]] == [5]
    with restic.dumped(made.snapshot, "/deep/note", is_archive=False) as pieces:
        assert b"".join(pieces) == b"first"
    assert left(bench.desk.node) == []


def test_what_came_is_the_volumes_to_pay_and_held_to_its_size(bench: Bench) -> None:
    volume = bench.disks.new(64)
    top = bench.disks.volumes.path(volume)
    (top / "much").write_bytes(bytes(range(256)) * 4096 * 20)
    made = bench.back_up(volume)
    (top / "much").unlink()
    _, report = bench.put_back(volume, made)
    assert report.outcome is JobOutcome.SUCCEEDED, f"{report.code}: {report.message}"
    btrfs.sync(top)
    quotas = bench.disks.volumes.quotas
    assert (quotas.used_bytes(1, number_of(volume)) or 0) >= 20 * MIB
    assert quotas.limit_bytes(1, number_of(volume)) == 64 * MIB
    with pytest.raises(OSError, match=r"quota|space"):
        (top / "more").write_bytes(bytes(range(256)) * 4096 * 80)
        btrfs.sync(top)


def test_one_that_is_too_small_is_refused_and_nothing_is_left(bench: Bench) -> None:
    volume = bench.disks.new(64)
    (bench.disks.volumes.path(volume) / "much").write_bytes(bytes(range(256)) * 4096 * 40)
    made = bench.back_up(volume)
    other, report = bench.as_new(made, 16)
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "disk_too_small"), report.message
    assert not bench.disks.volumes.is_there(other)
    assert bench.beside(other) == []


def test_one_for_databases_is_one_again(bench: Bench) -> None:
    volume = bench.disks.new(64, in_place=True)
    (bench.disks.volumes.path(volume) / "note").write_text("kept")
    other, report = bench.as_new(bench.back_up(volume), volume_class=VolumeClass.DATABASE)
    assert report.outcome is JobOutcome.SUCCEEDED, f"{report.code}: {report.message}"
    assert (bench.disks.volumes.path(other) / "note").read_text() == "kept"


def test_of_a_volume_that_is_gone_there_is_no_backup(bench: Bench) -> None:
    work = BackUp(
        volume_id=uuid4(),
        backup=uuid4(),
        repository=bench.desk.repository,
        repository_id=None,
        secrets=bench.desk.locked("{}"),
        tags={},
    )
    report = bench.done(uuid4(), work)
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "no_disk")
    assert left(bench.disks.node) == []
