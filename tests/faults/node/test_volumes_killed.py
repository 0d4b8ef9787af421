"""Snapshots, restores and clones of volumes whose process is killed: at their steps, and at any moment."""

import os
import random
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from runtime.contract import (
    JobOutcome,
    JobReport,
    JobSpec,
    JobWork,
    RestoreVolume,
    SnapshotVolume,
    Subject,
    SubjectType,
)
from runtime.host import btrfs
from runtime.jobs.process import do_apart
from runtime.known import pending_jobs
from runtime.node import Node
from runtime.storage.volumes import Volumes
from tests.faults.node.support import plant, planted
from tests.host.support.disks import TENANT

pytestmark = pytest.mark.timeout(300)


class Disk:
    """A volume that has been `good`, and is `bad` now; a snapshot of then."""

    def __init__(self, node: Node):
        self.node, self.volumes, self.id, self.then = node, Volumes(node), uuid.uuid4(), uuid.uuid4()
        self.volumes.keep(self.id, TENANT, 64, is_new=True, in_place=False)
        self.note.write_text("good")
        assert self.do(self.snapshot(self.then)).outcome is JobOutcome.SUCCEEDED
        self.note.write_text("bad")

    @property
    def note(self) -> Path:
        return self.volumes.path(self.id) / "note"

    def snapshot(self, snapshot: uuid.UUID) -> SnapshotVolume:
        return SnapshotVolume(volume_id=self.id, tenant_id=TENANT, size_mb=64, snapshot=snapshot)

    def restore(self, before: uuid.UUID | None) -> RestoreVolume:
        return RestoreVolume(volume_id=self.id, tenant_id=TENANT, size_mb=64, before=before, snapshot=self.then)

    def do(self, work: JobWork, about: uuid.UUID | None = None) -> JobReport:
        subject = Subject(type=SubjectType.VOLUME, id=str(about or self.id))
        job = JobSpec(node=self.node.name, id=uuid.uuid4(), about=subject, work=work, deadline_s=100)
        told: list[JobReport] = []
        do_apart(self.node, job, told.append)
        assert pending_jobs(self.node) == []
        return told[-1]

    def kept(self) -> set[uuid.UUID]:
        return set(self.volumes.shelf(self.id).there())

    def assert_nothing_half(self) -> None:
        assert not btrfs.is_subvolume(self.volumes.fresh(self.id))
        for one in self.kept():
            assert (self.volumes.shelf(self.id).path(one) / "note").read_text() in ("good", "bad")
        held = self.volumes.used_bytes(self.id)
        assert held is not None
        with self.note.open("wb") as file, pytest.raises(OSError, match="quota"):  # its size holds
            for _ in range(80):
                file.write(random.randbytes(2**20))
                file.flush()


def _jobs_of_ours() -> list[int]:
    found = []
    for one in Path("/proc/self/task").glob("*/children"):
        for pid in one.read_text().split():
            with suppress(OSError):
                if b"runtime.jobs" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
    return found


@pytest.fixture
def disk(node: Node) -> "Disk":
    return Disk(node)


@pytest.fixture(autouse=True)
def gone(disk: Disk) -> Iterator[None]:
    yield
    disk.volumes.drop(disk.id)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["volume snapshot", "volume restore"])
def test_a_restore_that_is_killed_is_gone_on_with(node: Node, disk: Disk, when: str, step: str) -> None:
    before = uuid.uuid4()
    plant(node, "kill", ("do", when, step))
    report = disk.do(disk.restore(before))
    assert planted(node) == ""
    assert report.outcome is JobOutcome.SUCCEEDED, report.message
    assert disk.note.read_text() == "good"
    assert disk.kept() == {disk.then, before}
    assert (disk.volumes.shelf(disk.id).path(before) / "note").read_text() == "bad"
    disk.assert_nothing_half()


@pytest.mark.parametrize("step", ["volume snapshot", "volume restore"])
def test_one_that_is_killed_each_time_is_taken_back(node: Node, disk: Disk, step: str) -> None:
    plant(node, "kill", *[("do", "after", step)] * 3)
    report = disk.do(disk.restore(uuid.uuid4()))
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "interrupted")
    assert disk.note.read_text() == "bad"
    assert disk.kept() == {disk.then}
    disk.assert_nothing_half()


@pytest.mark.parametrize("seed", range(12))
def test_a_restore_that_is_killed_at_any_moment_is_whole(
    node: Node, disk: Disk, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(300):
        (disk.volumes.path(disk.id) / f"f{number}").write_text("x")
    before, stop = uuid.uuid4(), threading.Event()
    chance = random.Random(seed)

    def kill() -> None:
        for _ in range(2):
            if stop.wait(chance.uniform(0.3, 1.6)):
                return
            for pid in _jobs_of_ours():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    report = disk.do(disk.restore(before))
    stop.set()
    killer.join()
    assert report.outcome is JobOutcome.SUCCEEDED, report.message
    assert disk.note.read_text() == "good"
    assert disk.kept() == {disk.then, before}
    disk.assert_nothing_half()
