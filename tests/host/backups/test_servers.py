"""Backups at real servers: an sshd and an S3 server on loopback, asked out of the container of restic."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from runtime.backups import by_hand, places
from runtime.contract import (
    JobOutcome,
    JobReport,
    Limits,
    Origin,
    Repository,
    SftpLogin,
    SftpPlace,
)
from runtime.node import Node
from tests.host.backups.conftest import PASSWORD, Desk, fill, hash_of, left
from tests.host.backups.servers import LOGIN, S3, Sshd, s3_in, sshd_in
from tests.host.conftest import Make
from tests.host.support.inside import sh

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def s3(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_in(node, tmp_path_factory.mktemp("s3") / "home") as one:
        one.make_bucket()
        yield one


@pytest.fixture(scope="module")
def sshd(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd_in(node, tmp_path_factory.mktemp("sshd") / "home") as one:
        yield one


def at_s3(node: Node, s3: S3, **more: object) -> Desk:
    place = s3.place(prefix=f"of/{uuid4()}").model_copy(update=more)
    at = Repository(kind="s3", tenant_id=uuid4(), name="far", place=place)
    return Desk(node, at, login=s3.keys)


def at_sftp(node: Node, sshd: Sshd, **more: object) -> Desk:
    place = sshd.place(path=str(sshd.files / str(uuid4()))).model_copy(update=more)
    at = Repository(kind="sftp", tenant_id=uuid4(), name="far", place=place)
    return Desk(node, at, login=sshd.login)


def moved(desk: Desk, **more: object) -> Desk:
    """The same repository, at another place."""
    assert desk.repository.place is not None
    place = desk.repository.place.model_copy(update=more)
    return replace(desk, repository=desk.repository.model_copy(update={"place": place}))


def refused(report: JobReport) -> str:
    assert report.outcome is JobOutcome.FAILED, report
    assert report.next_step
    return report.code


@pytest.mark.parametrize("kind", ["s3", "sftp"])
def test_whole_at_a_server_and_back_in_another_environment(
    giving: Node, make: Make, s3: S3, sshd: Sshd, kind: str
) -> None:
    desk = at_s3(giving, s3) if kind == "s3" else at_sftp(giving, sshd)
    spec = make(limits=Limits(cpu=1, memory_mb=128, disk_mb=512, processes=100))
    before = hash_of(fill(giving, spec))
    checked = desk.check()
    assert checked.outcome is JobOutcome.SUCCEEDED, f"{checked.code}: {checked.message}"
    assert checked.target is not None
    assert checked.target.host_key == (" ".join(sshd.host_key.split()[:2]) if kind == "sftp" else None)
    desk.repository_id = checked.target.repository_id
    if kind == "sftp":
        desk = moved(desk, host_key=checked.target.host_key)
    made = desk.back_up(spec)
    assert (made.repository_id, made.host_key) == (desk.repository_id, None)
    assert desk.back_up(spec).added_bytes < 2**20
    origin = Origin(environment_id=spec.id, snapshot=uuid4(), backup=desk.source(made))
    new = make(name="again", tenant_id=spec.tenant_id, origin=origin, limits=spec.limits)
    assert hash_of(giving.root_volume(new.id) / "srv") == before
    assert desk.forget(spec, made).outcome is JobOutcome.SUCCEEDED
    assert left(giving) == []


def test_by_hand_with_address_password_and_keys_alone(
    giving: Node, make: Make, s3: S3, sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make()
    before = hash_of(fill(giving, spec))
    at = s3.place(prefix="by/hand")
    far = at_s3(giving, s3, prefix="by/hand")
    made = far.back_up(spec)
    address = f"s3:{at.endpoint}/{at.bucket}/by/hand"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.keys.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.keys.secret_key)
    [one] = by_hand.listed(giving, address, PASSWORD)
    assert one["environment"] == str(spec.id)
    by_hand.restore(giving, address, PASSWORD, made.snapshot, tmp_path / "to")
    assert hash_of(tmp_path / "to" / "srv") == before
    near = at_sftp(giving, sshd, path=str(sshd.files / "hand"))
    near.back_up(spec)
    monkeypatch.setenv("SFTP_KEY_FILE", str(sshd.home / "login"))
    [one] = by_hand.listed(giving, f"sftp://root@127.0.0.1:{sshd.port}/{sshd.files}/hand", PASSWORD)
    assert one["environment"] == str(spec.id)


def test_an_account_is_opened_by_password_and_its_words_stand_in_no_process(giving: Node, sshd: Sshd) -> None:
    desk = replace(at_sftp(giving, sshd), login=SftpLogin(password=LOGIN))
    seen, is_over = set[str](), threading.Event()

    def look() -> None:
        while not is_over.is_set():
            for one in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(one.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue
            time.sleep(0.01)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        for _ in range(20):
            report = desk.check()
            assert report.outcome is JobOutcome.SUCCEEDED, f"{report.code}: {report.message}"
            if any("-s sftp" in one for one in list(seen)):
                break  # it was looked at while ssh ran
        else:
            pytest.fail("ssh was never seen")
    finally:
        is_over.set()
        looking.join()
    assert not [one for one in seen if LOGIN in one or PASSWORD in one]
    assert refused(replace(desk, login=SftpLogin(password="another one")).check()) == "login_refused"
    other = replace(desk, password="another password")
    assert refused(other.check()) == "wrong_password"


def test_the_key_of_a_server_is_the_one_that_was_shown_at_first(
    giving: Node, make: Make, tmp_path: Path
) -> None:
    spec = make()
    with sshd_in(giving, tmp_path / "sshd") as sshd:
        desk = at_sftp(giving, sshd)
        shown = desk.check().target
        assert shown is not None
        desk = moved(desk, host_key=shown.host_key)
        desk.repository_id = shown.repository_id
        made = desk.back_up(spec)
        sshd.stop()
        sshd.new_host_key()
        sshd.start()
        assert refused(desk.check()) == "host_key_changed"
        report = desk.done(desk.to_back_up(spec))
        assert refused(report) == "host_key_changed"
        again = desk.check()
        assert "another key" in str(again.message)
        believed = moved(desk, host_key=None)
        assert believed.check().outcome is JobOutcome.SUCCEEDED
        assert believed.forget(spec, made).outcome is JobOutcome.SUCCEEDED
    assert left(giving) == []


def test_what_lies_inward_is_not_dialled_unless_an_administrator_lets_it(
    giving: Node, s3: S3, sshd: Sshd
) -> None:
    near = moved(at_sftp(giving, sshd), is_inward=False)
    assert refused(near.check()) == "target_not_allowed"
    secure = moved(at_s3(giving, s3), is_inward=False, endpoint=f"https://127.0.0.1:{s3.port}")
    assert refused(secure.check()) == "target_not_allowed"
    for host in ("10.0.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"):
        assert refused(moved(near, host=host).check()) == "target_not_allowed", host
    assert isinstance(near.repository.place, SftpPlace)
    assert refused(moved(near, host="nowhere.invalid").check()) == "target_unreachable"


@pytest.mark.parametrize("kind", ["s3", "sftp"])
def test_nobody_listens_there(giving: Node, make: Make, s3: S3, sshd: Sshd, kind: str) -> None:
    s3_away = {"endpoint": "http://127.0.0.1:9"}
    desk = at_s3(giving, s3, **s3_away) if kind == "s3" else at_sftp(giving, sshd, port=9)
    report = desk.check()
    assert refused(report) == "target_unreachable"
    assert "127.0.0.1" in str(report.message)
    assert refused(desk.done(desk.to_back_up(make()))) == "target_unreachable"
    assert left(giving) == []


def test_no_bucket_is_made_where_there_is_none(giving: Node, s3: S3) -> None:
    for region in ("", "us-east-1"):
        assert refused(at_s3(giving, s3, bucket="nobody-made-it", region=region).check()) == "no_bucket"
    assert "nobody-made-it" not in s3.buckets()


def test_a_certificate_of_ones_own(giving: Node, tmp_path: Path) -> None:
    with s3_in(giving, tmp_path / "s3", has_tls=True) as s3:
        ca = (s3.home / "cert.pem").read_text()
        s3.make_bucket()
        assert refused(at_s3(giving, s3).check()) == "certificate_refused"
        report = at_s3(giving, s3, ca=ca).check()
        assert report.outcome is JobOutcome.SUCCEEDED, f"{report.code}: {report.message}"


def test_where_nothing_may_be_written(giving: Node, sshd: Sshd) -> None:
    report = at_sftp(giving, sshd, path="/proc/nothing").check()
    assert refused(report) in ("not_allowed_there", "backup_failed")


def test_one_that_vanishes_in_the_middle(
    giving: Node, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing half is left on the node; what comes back in its place is another, and is said to be."""
    monkeypatch.setattr(places, "UNREACHED_S", 6.0)
    spec = make(limits=Limits(cpu=1, memory_mb=128, disk_mb=512, processes=100))
    sh(giving, spec, "dd if=/dev/urandom of=/root/large bs=1M count=150 2>/dev/null", timeout_s=100)
    with s3_in(giving, tmp_path / "home") as one:
        one.make_bucket()
        desk = at_s3(giving, one)
        checked = desk.check().target
        assert checked is not None
        desk.repository_id = checked.repository_id
        slow = replace(desk, repository=desk.repository.model_copy(update={"upload_mbit_s": 80}))
        is_cut = threading.Event()

        def cut(report: JobReport) -> None:
            if report.progress > 0.1 and not is_cut.is_set():
                is_cut.set()
                one.stop()

        report = slow.done(slow.to_back_up(spec), cut)
        assert is_cut.is_set()
        assert refused(report) in ("target_unreachable", "target_gone")
        assert left(giving) == []
        one.start()  # it keeps all in memory
        one.make_bucket()
        assert refused(desk.done(desk.to_back_up(spec))) == "target_gone"
    assert left(giving) == []


def test_a_bound_on_what_goes_there_is_kept(giving: Node, make: Make, sshd: Sshd) -> None:
    """12 MiB that nothing makes smaller, at 16 Mbit/s, take six seconds at least."""
    spec = make()
    sh(giving, spec, "dd if=/dev/urandom of=/root/large bs=1M count=12 2>/dev/null")
    desk = at_sftp(giving, sshd)
    desk = replace(desk, repository=desk.repository.model_copy(update={"upload_mbit_s": 16}))
    begun = time.monotonic()
    desk.back_up(spec)
    assert time.monotonic() - begun > 5.5
