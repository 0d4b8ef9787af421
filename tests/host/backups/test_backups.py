"""Backups by the real restic: whole, encrypted, small when little changed, and back under other ids."""

import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest

from runtime.backups import by_hand
from runtime.contract import DesiredState, EnvironmentSpec, JobOutcome, JobReport, Limits, Origin
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.host import btrfs
from runtime.jobs.records import JobRecords
from runtime.node import Node
from runtime.resources.volume import MIB, RootVolume
from runtime.storage.snapshots import Snapshots
from tests.host.backups.conftest import PASSWORD, Desk, fill, hash_of, left
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs

#: Each call of restic derives its key anew, on purpose not quickly.
pytestmark = pytest.mark.timeout(1200)
#: With `WADAH_TEST_SMALL_FILES=100000` as many as a large system has; restic takes a millisecond for each.
SMALL_FILES = int(os.environ.get("WADAH_TEST_SMALL_FILES", "5000"))


def _changed(engine: Engine, specs: Specs, spec: EnvironmentSpec, **fields: object) -> EnvironmentSpec:
    changed = specs.change(spec, generation=spec.generation + 1, **fields)
    report = engine.apply(changed)
    assert report is not None
    assert not report.code, f"{report.code}: {report.message}"
    return changed


def test_a_tree_is_equal_in_a_new_environment_with_names_of_its_own(
    giving: Node, specs: Specs, make: Make, desk: Desk, engine: Engine
) -> None:
    spec = make(limits=Limits(cpu=1, memory_mb=128, disk_mb=512, processes=100))
    identity = sh(giving, spec, "cat /etc/machine-id")
    top = fill(giving, spec, small_files=SMALL_FILES)
    before = hash_of(top)
    assert len(before) > SMALL_FILES
    made = desk.back_up(spec)
    assert left(giving) == []
    origin = Origin(environment_id=spec.id, snapshot=uuid4(), backup=desk.source(made))
    new = make(name="again", tenant_id=spec.tenant_id, origin=origin, limits=spec.limits)
    assert new.slot != spec.slot
    there = giving.root_volume(new.id) / "srv"
    assert hash_of(there) == before
    assert (there / "holes").stat().st_blocks * 512 < 2 * MIB
    assert sh(giving, new, "hostname; stat -c %u:%g /srv/owned") == "again\n1000:65000"
    assert sh(giving, new, "cat /etc/machine-id") != identity
    volume = RootVolume(giving)
    assert volume.used_bytes(new.id) > 200 * 3000
    assert volume.quotas.limit_bytes(1, volume.number(new.id)) == 512 * MIB
    sh(giving, new, "dd if=/dev/urandom of=/srv/more bs=1M count=20 2>/dev/null; sync")
    assert volume.used_bytes(new.id) > 20 * MIB
    assert left(giving) == []
    assert engine.leaks() == []


def test_repository_and_password_alone_are_enough(giving: Node, make: Make, desk: Desk, tmp_path: Path) -> None:
    spec = make()
    before = hash_of(fill(giving, spec))
    made = desk.back_up(spec)
    [listed] = by_hand.listed(giving, str(desk.place), PASSWORD)
    assert (listed["id"][:8], listed["name"], listed["environment"]) == (
        made.snapshot[:8], spec.name, str(spec.id),
    )  # fmt: skip
    assert by_hand.about(giving, str(desk.place), PASSWORD, made.snapshot) == {"name": "it"}
    to = tmp_path / "to"
    by_hand.restore(giving, str(desk.place), PASSWORD, made.snapshot, to)
    assert hash_of(to / "srv") == before
    with pytest.raises(RuntimeFault, match="isn't empty"):
        by_hand.restore(giving, str(desk.place), PASSWORD, made.snapshot, to)
    with pytest.raises(RuntimeFault, match="opens nothing"):
        by_hand.listed(giving, str(desk.place), "another")


def test_restored_in_place_it_is_the_same_environment_and_what_was_is_kept(
    giving: Node, specs: Specs, make: Make, desk: Desk, engine: Engine
) -> None:
    spec, before = make(), uuid4()
    identity = sh(giving, spec, "cat /etc/machine-id")
    sh(giving, spec, "echo good > /root/note")
    made = desk.back_up(spec)
    sh(giving, spec, "echo broken > /root/note; rm /bin/vi")
    origin = Origin(environment_id=spec.id, snapshot=uuid4(), backup=desk.source(made))
    spec = _changed(engine, specs, spec, installs=1, origin=origin, snapshots=(before,))
    assert sh(giving, spec, "cat /root/note; ls /bin/vi; cat /etc/machine-id") == f"good\n/bin/vi\n{identity}"
    assert left(giving) == []
    undone = Origin(environment_id=spec.id, snapshot=before)
    spec = _changed(engine, specs, spec, installs=2, origin=undone, snapshots=(before,))
    assert sh(giving, spec, "cat /root/note") == "broken"


def test_a_root_that_was_lost_comes_back_and_no_snapshot_says_that_it_was_there(
    giving: Node, specs: Specs, make: Make, desk: Desk, engine: Engine
) -> None:
    spec, before = make(), uuid4()
    sh(giving, spec, "echo good > /root/note")
    made = desk.back_up(spec)
    spec = _changed(engine, specs, spec, desired=DesiredState.STOPPED)
    btrfs.delete_subvolume(giving.root_volume(spec.id))
    origin = Origin(environment_id=spec.id, snapshot=uuid4(), backup=desk.source(made))
    again = {"desired": DesiredState.RUNNING, "installs": 1, "origin": origin, "snapshots": (before,)}
    spec = _changed(engine, specs, spec, **again)
    engine.reconcile()
    assert sh(giving, spec, "cat /root/note") == "good"
    assert Snapshots(giving).there(spec.id) == []


def test_a_first_backup_beside_the_check_of_its_target_makes_one_repository(
    giving: Node, make: Make, desk: Desk
) -> None:
    spec = make()
    first, told = desk.to_back_up(spec), list[JobReport]()
    checking = threading.Thread(target=lambda: told.append(desk.check()))
    checking.start()
    told.append(desk.done(first))
    checking.join()
    assert [one.outcome for one in told] == [JobOutcome.SUCCEEDED] * 2, told
    assert desk.back_up(spec).files


def test_the_second_takes_what_changed_and_the_repository_speaks_for_itself(
    giving: Node, make: Make, desk: Desk
) -> None:
    spec = make()
    sh(giving, spec, "dd if=/dev/urandom of=/root/large bs=1M count=20 2>/dev/null")
    first = desk.back_up(spec)
    sh(giving, spec, "dd if=/dev/urandom of=/root/small bs=1k count=300 2>/dev/null")
    second = desk.back_up(spec)
    assert first.added_bytes > 20 * MIB
    assert 300 * 1024 < second.added_bytes < 2 * MIB
    environment = {"PATH": "/usr/bin:/bin", "RESTIC_PASSWORD": desk.password, "HOME": "/nonexistent"}
    restic = ["restic", "--no-cache", "-r", str(desk.place)]

    def asked(*words: str) -> str:
        return subprocess.run(
            [*restic, *words], env=environment, check=True, capture_output=True, text=True, timeout=60
        ).stdout

    assert f"environment={spec.id}" in asked("snapshots", "--json")
    assert asked("dump", second.snapshot, "/wadah/environment.json") == '{"name": "it"}'
    third, fourth = desk.back_up(spec), desk.back_up(spec)
    assert third.added_bytes < MIB
    assert desk.forget(spec, first, third, fourth).outcome is JobOutcome.SUCCEEDED
    assert desk.forget(spec, first, third).outcome is JobOutcome.SUCCEEDED  # they are gone already
    [kept] = json.loads(asked("snapshots", "--json"))
    assert kept["id"].startswith(second.snapshot)
    asked("check", "--read-data")


def test_what_does_not_fit_is_refused_and_leaves_nothing(
    giving: Node, specs: Specs, make: Make, desk: Desk, engine: Engine
) -> None:
    spec = make()
    sh(giving, spec, "dd if=/dev/urandom of=/root/large bs=1M count=40 2>/dev/null")
    made = desk.back_up(spec)
    origin = Origin(environment_id=spec.id, snapshot=uuid4(), backup=desk.source(made))
    new = specs.new(
        origin=origin, tenant_id=spec.tenant_id, limits=Limits(cpu=1, memory_mb=64, disk_mb=16, processes=100)
    )
    report = engine.apply(new)
    assert report is not None
    assert report.code == "disk_too_small"
    assert "16 MiB" in str(report.message)
    assert left(giving) == []
    assert not giving.volume(new.id).exists()
    engine.apply(specs.change(new, generation=2, desired=DesiredState.DELETED))


def _refused(desk: Desk, spec: EnvironmentSpec) -> JobReport:
    report = desk.done(desk.to_back_up(spec))
    assert report.outcome is JobOutcome.FAILED
    assert left(desk.node) == []
    assert report.message
    assert report.next_step
    return report


def test_a_target_that_is_not_what_it_was_is_refused_by_name(giving: Node, make: Make, desk: Desk) -> None:
    spec = make()
    made = desk.back_up(spec)
    wrong = Desk(giving, desk.repository, "another", made.repository_id)
    assert _refused(wrong, spec).code == "wrong_password"
    aside = desk.place.with_name("aside")
    desk.place.rename(aside)
    assert _refused(desk, spec).code == "target_gone"
    desk.place.mkdir()
    assert _refused(desk, spec).code == "target_gone"  # an empty one isn't made a repository of
    desk.place.rmdir()
    Desk(giving, desk.repository).back_up(spec)
    assert _refused(desk, spec).code == "other_repository"
    shutil.rmtree(desk.place)
    aside.rename(desk.place)
    desk.back_up(spec)


def test_a_key_for_another_repository_or_node_opens_nothing(giving: Node, make: Make, desk: Desk) -> None:
    spec, other = make(), Desk(giving)
    job = desk.to_back_up(spec)
    stolen = job.model_copy(update={"work": job.work.model_copy(update={"repository": other.repository})})
    assert desk.done(stolen).code == "secrets_not_opened"
    assert not other.place.exists()


def test_a_full_target_is_said_and_keeps_what_it_had(
    giving: Node, make: Make, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make()
    made = desk.back_up(spec)
    monkeypatch.setattr("runtime.backups.repository.RESERVE_BYTES", 2**60)
    report = _refused(desk, spec)
    assert report.code == "target_full"
    monkeypatch.undo()
    assert desk.back_up(spec).repository_id == made.repository_id


def test_cancelled_in_the_middle_it_leaves_neither_lock_nor_snapshot(
    giving: Node, make: Make, desk: Desk
) -> None:
    spec = make(limits=Limits(cpu=1, memory_mb=128, disk_mb=512, processes=100))
    desk.back_up(spec)
    sh(giving, spec, "dd if=/dev/urandom of=/root/large bs=1M count=250 2>/dev/null", timeout_s=100)
    job = desk.to_back_up(spec)
    locks = list[str]()

    def cancel() -> None:
        """As soon as restic has locked the repository."""
        while not locks:
            locks.extend(os.listdir(desk.place / "locks"))
            time.sleep(0.01)
        JobRecords(giving, job.id).accept(job.model_copy(update={"generation": 2}))

    canceller = threading.Thread(target=cancel, daemon=True)
    canceller.start()
    report = desk.done(job)
    canceller.join()
    assert report.outcome is JobOutcome.CANCELLED, f"{report.code}: {report.message}"
    assert os.listdir(desk.place / "locks") == []
    assert len(os.listdir(desk.place / "snapshots")) == 1
    assert left(giving) == []
    made = desk.back_up(spec)
    assert made.added_bytes > 0
