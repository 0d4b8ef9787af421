"""Jobs of backups whose process is killed at their steps: gone on with, once at the target, nothing is left."""

import json
import os
import subprocess
from uuid import uuid4

import pytest

from runtime.contract import (
    EnvironmentSpec,
    ForgetBackup,
    JobOutcome,
    JobReport,
    JobSpec,
    ProveBackup,
)
from runtime.jobs.process import do_apart
from runtime.known import pending_jobs
from runtime.node import Node
from runtime.state import Records
from tests.faults.node.support import plant, planted
from tests.host.backups.conftest import PASSWORD, Desk, desk, giving, left
from tests.host.conftest import Make
from tests.host.support.inside import sh

__all__ = ["desk", "giving"]

pytestmark = pytest.mark.timeout(400)


def _killed(node: Node, job: JobSpec, *steps: str) -> JobReport:
    """Done, by one process after the other: each was killed after one of the steps."""
    plant(node, "kill", *(("do", "after", one) for one in steps))
    told: list[JobReport] = []
    do_apart(node, job, told.append)
    assert planted(node) == ""
    assert pending_jobs(node) == []
    return told[-1]


def _at_target(desk: Desk) -> list[str]:
    words = ["restic", "--no-cache", "-r", str(desk.place), "snapshots", "--json"]
    env = {"PATH": "/usr/bin:/bin", "RESTIC_PASSWORD": PASSWORD, "HOME": "/nonexistent"}
    listed = subprocess.run(words, env=env, check=True, capture_output=True, timeout=60).stdout
    return [one["id"] for one in json.loads(listed) or []]


@pytest.fixture
def spec(giving: Node, make: Make) -> EnvironmentSpec:
    made = make()
    sh(giving, made, "echo good > /root/note")
    return made


def test_one_backup_is_at_its_target_however_often_it_was_killed(
    giving: Node, spec: EnvironmentSpec, desk: Desk
) -> None:
    report = _killed(giving, desk.to_back_up(spec), "backup snapshot", "backup")
    assert report.outcome is JobOutcome.SUCCEEDED, f"{report.code}: {report.message}"
    assert report.backup is not None
    [there] = _at_target(desk)
    assert there.startswith(report.backup.snapshot)
    assert os.listdir(desk.place / "locks") == []
    assert left(giving) == []
    forgetting = ForgetBackup(
        repository=desk.repository, secrets=desk.locked(), snapshot=report.backup.snapshot
    )
    report = _killed(giving, desk.job(spec.id, forgetting), "backup removal")
    assert report.outcome is JobOutcome.SUCCEEDED, f"{report.code}: {report.message}"
    assert _at_target(desk) == []


def test_one_that_is_killed_each_time_leaves_nothing(giving: Node, spec: EnvironmentSpec, desk: Desk) -> None:
    report = _killed(giving, desk.to_back_up(spec), "backup", "backup", "backup")
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "interrupted")
    assert _at_target(desk) == []
    assert os.listdir(desk.place / "locks") == []
    assert left(giving) == []


@pytest.mark.parametrize(
    "steps", [("backup check", "quarantine"), ("quarantine start", "quarantine removal")], ids=["made", "seen"]
)
def test_a_proof_is_gone_on_with_and_its_quarantine_goes(
    giving: Node, spec: EnvironmentSpec, desk: Desk, steps: tuple[str, ...]
) -> None:
    work = ProveBackup(
        environment_id=uuid4(),
        tenant_id=spec.tenant_id,
        backup=uuid4(),
        source=desk.source(desk.back_up(spec)),
        image=spec.image,
        limits=spec.limits,
    )
    report = _killed(giving, desk.job(spec.id, work), *steps)
    assert report.outcome in (JobOutcome.SUCCEEDED, JobOutcome.FAILED)
    assert Records(giving, work.environment_id).wanted() is None
    assert not giving.volume(work.environment_id).exists()
    assert left(giving) == []
    assert report.outcome is JobOutcome.SUCCEEDED, f"{report.code}: {report.message}"
