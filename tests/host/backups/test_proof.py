"""A backup is proved: what is made of it starts apart, is pictured, gone; damage and failed starts are said."""

import os
import threading
from pathlib import Path
from uuid import uuid4

import pytest

from runtime.contract import BackupMade, EnvironmentSpec, JobOutcome, JobSpec, ProveBackup
from runtime.engine import Engine
from runtime.jobs.records import JobRecords
from runtime.node import Node
from runtime.state import Records
from tests.host.backups.conftest import Desk, left
from tests.host.conftest import Make
from tests.host.support.inside import sh

pytestmark = pytest.mark.timeout(400)


def _to_prove(desk: Desk, spec: EnvironmentSpec, made: BackupMade, *probe: str) -> JobSpec:
    work = ProveBackup(
        environment_id=uuid4(),
        tenant_id=spec.tenant_id,
        backup=uuid4(),
        source=desk.source(made),
        image=spec.image,
        limits=spec.limits,
        probe=probe,
    )
    return desk.job(spec.id, work)


def _nothing_left(node: Node, engine: Engine, job: JobSpec) -> None:
    assert isinstance(job.work, ProveBackup)
    assert left(node) == []
    assert not node.volume(job.work.environment_id).exists()
    assert Records(node, job.work.environment_id).wanted() is None
    assert engine.leaks() == []


def test_it_starts_without_a_network_is_pictured_and_gone(
    giving: Node, make: Make, desk: Desk, engine: Engine
) -> None:
    spec = make()
    sh(giving, spec, "echo good > /root/note")
    made = desk.back_up(spec)
    alone = 'test -z "$(ip route)" && grep -q good /root/note'
    job = _to_prove(desk, spec, made, "/bin/sh", "-c", f"{alone} && echo proof > /dev/console")
    report = desk.done(job)
    assert report.outcome is JobOutcome.SUCCEEDED, f"{report.code}: {report.message}"
    assert report.boot is not None
    assert report.boot.up_after_s is not None
    assert "proof" in report.boot.screen
    assert desk.done(job).boot == report.boot  # told again, it is the same
    assert sh(giving, spec, "cat /root/note") == "good"
    _nothing_left(giving, engine, job)


def test_a_probe_that_fails_and_an_init_that_ends_are_said_with_the_screen(
    giving: Node, make: Make, desk: Desk, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.backups.quarantine.PROBE_S", 0.5)
    spec = make()
    made = desk.back_up(spec)
    job = _to_prove(desk, spec, made, "/bin/sh", "-c", "echo no shop here; exit 3")
    report = desk.done(job)
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "probe_failed")
    assert "no shop here" in str(report.message)
    _nothing_left(giving, engine, job)
    sh(
        giving,
        spec,
        r"printf '#!/bin/sh\necho broken init\nexit 1\n' > /sbin/init.new; chmod 755 /sbin/init.new;"
        " mv /sbin/init.new /sbin/init",
    )
    made = desk.back_up(spec)
    job = _to_prove(desk, spec, made)
    report = desk.done(job)
    assert report.outcome is JobOutcome.FAILED
    assert report.boot is not None or report.code
    _nothing_left(giving, engine, job)


def test_a_damaged_block_is_found(giving: Node, make: Make, desk: Desk, engine: Engine) -> None:
    spec = make()
    sh(giving, spec, "dd if=/dev/urandom of=/root/large bs=1M count=4 2>/dev/null")
    made = desk.back_up(spec)
    pack = max((one for one in (desk.place / "data").rglob("*") if one.is_file()), key=_size)
    pack.chmod(0o600)
    with pack.open("r+b") as file:
        file.seek(_size(pack) // 2)
        file.write(os.urandom(64))
    job = _to_prove(desk, spec, made)
    report = desk.done(job)
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "repository_damaged")
    _nothing_left(giving, engine, job)


def _size(path: Path) -> int:
    return path.stat().st_size


def test_cancelled_while_it_waits_nothing_is_left(giving: Node, make: Make, desk: Desk, engine: Engine) -> None:
    spec = make()
    job = _to_prove(desk, spec, desk.back_up(spec), "/bin/false")
    started = threading.Event()

    def cancel() -> None:
        started.wait(100)
        JobRecords(giving, job.id).accept(job.model_copy(update={"generation": 2}))

    threading.Thread(target=cancel, daemon=True).start()
    report = desk.done(job, lambda said: started.set() if "starting" in str(said.message) else None)
    assert report.outcome is JobOutcome.CANCELLED
    _nothing_left(giving, engine, job)
