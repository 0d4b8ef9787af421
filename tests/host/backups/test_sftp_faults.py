"""What goes wrong at an SFTP server in the middle of the work: nothing half stays, and the next one goes on."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from runtime.backups import places
from runtime.backups.fetched import Fetched
from runtime.contract import (
    EnvironmentSpec,
    FetchBackup,
    JobOutcome,
    JobReport,
    JobSpec,
    Limits,
    Repository,
)
from runtime.node import Node
from tests.host.backups.conftest import Desk, left
from tests.host.backups.servers import Sshd, sshd_in
from tests.host.conftest import Make
from tests.host.support.inside import sh

pytestmark = pytest.mark.timeout(400)

LARGE_MB = 40


@pytest.fixture(scope="module")
def sshd(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd_in(node, tmp_path_factory.mktemp("sshd") / "home") as one:
        yield one


@pytest.fixture(autouse=True)
def soon_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "UNREACHED_S", 6.0)


@pytest.fixture
def spec(make: Make, giving: Node) -> EnvironmentSpec:
    made = make(limits=Limits(cpu=1, memory_mb=128, disk_mb=256, processes=100))
    sh(giving, made, f"dd if=/dev/urandom of=/root/large bs=1M count={LARGE_MB} 2>/dev/null", timeout_s=100)
    return made


def _desk(node: Node, sshd: Sshd, *, path: str = "", **bounds: int) -> Desk:
    place = sshd.place(path=path or str(sshd.files / str(uuid4())))
    at = Repository(kind="sftp", tenant_id=uuid4(), name="far", place=place, **bounds)
    return Desk(node, at, login=sshd.login)


def _slow(desk: Desk, **bounds: int) -> Desk:
    return replace(desk, repository=desk.repository.model_copy(update=bounds))


def _cut(one: Sshd) -> tuple[threading.Event, Callable[[JobReport], None]]:
    is_cut = threading.Event()

    def cut(report: JobReport) -> None:
        if report.progress > 0.1 and not is_cut.is_set():
            is_cut.set()
            one.stop()

    return is_cut, cut


def test_a_connection_that_is_lost_in_the_middle_of_a_backup(
    giving: Node, spec: EnvironmentSpec, sshd: Sshd
) -> None:
    """Who comes next finds no lock in his way, neither to back up nor to delete."""
    desk = _desk(giving, sshd)
    first = desk.back_up(spec)
    sh(giving, spec, f"dd if=/dev/urandom of=/root/large bs=1M count={LARGE_MB} 2>/dev/null", timeout_s=100)
    is_cut, cut = _cut(sshd)
    slow = _slow(desk, upload_mbit_s=60)
    report = slow.done(slow.to_back_up(spec), cut)
    assert is_cut.is_set()
    assert report.outcome is JobOutcome.FAILED
    assert report.code in ("target_unreachable", "target_gone"), report
    assert report.next_step
    assert left(giving) == []
    sshd.start()
    second = desk.back_up(spec)
    gone = desk.forget(spec, first, second)
    assert gone.outcome is JobOutcome.SUCCEEDED, gone


def test_a_connection_that_is_lost_in_the_middle_of_a_restore(
    giving: Node, spec: EnvironmentSpec, sshd: Sshd
) -> None:
    """Nothing half stays, and who tries again with the server back has all of it."""
    desk = _desk(giving, sshd)
    made = desk.back_up(spec)
    slow = _slow(desk, download_mbit_s=16)
    new, tenant = uuid4(), uuid4()

    def to_fetch(one: Desk) -> JobSpec:
        work = FetchBackup(
            environment_id=new, tenant_id=tenant, backup=uuid4(), source=one.source(made), most_bytes=2**28
        )
        return one.job(new, work)

    begun = list[float]()
    is_cut = threading.Event()

    def cut(_: JobReport) -> None:  # what came shows late: it is counted when the pool commits
        begun.append(time.monotonic())
        if begun[-1] > begun[0] + 6 and not is_cut.is_set():
            is_cut.set()
            sshd.stop()

    try:
        report = slow.done(to_fetch(slow), cut)
    finally:
        sshd.start()
    assert is_cut.is_set()
    assert report.outcome is JobOutcome.FAILED
    assert report.code in ("target_unreachable", "target_gone"), report
    assert report.next_step
    assert left(giving) == []
    again = desk.done(to_fetch(desk))
    assert again.outcome is JobOutcome.SUCCEEDED, f"{again.code}: {again.message}"
    Fetched(giving).forget(new)
    assert left(giving) == []
