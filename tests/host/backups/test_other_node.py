"""Backups in the directory of another node: its server as a process, asked out of restic's container."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from runtime.backup_server import certificate
from runtime.backups import by_hand, places
from runtime.contract import BackupPass, JobOutcome, JobReport, Limits, NodeLogin, NodePlace, Origin, Repository
from runtime.node import Node, default_settings
from tests.host.backups.conftest import PASSWORD, Desk, fill, hash_of, left
from tests.host.backups.servers import Beside
from tests.host.conftest import Make
from tests.host.support.inside import sh

pytestmark = pytest.mark.timeout(400)


@dataclass
class Keeper:
    """The other node, of which there is what the server needs."""

    node: Node
    beside: Beside
    port: int
    key: str
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def directory(self) -> Path:
        return Path(str(self.node.settings.backup_directory))

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*self.beside.words, sys.executable, "-m", "runtime.backup_server", "--home", str(self.node.home)],
            stdin=subprocess.DEVNULL,
            stderr=(self.node.home / "log").open("ab"),
        )
        self.beside.wait_for(self.port, self.process)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None

    def desk(self, node: Node, tenant: UUID | None = None, **more: object) -> Desk:
        """A repository of a tenant there, and the pass for it."""
        of = tenant or uuid4()
        place = NodePlace(
            node=self.node.name, host="127.0.0.1", port=self.port, certificate=certificate.known(self.node)
        )
        at = Repository(kind="node", tenant_id=of, name="far", place=place.model_copy(update=more))
        return Desk(node, at, login=self.pass_for(node, of, "far"))

    def pass_for(self, node: Node, tenant: UUID, name: str) -> NodeLogin:
        made = BackupPass.issue(node=self.node.name, asker=node.name, tenant_id=tenant, name=name)
        return NodeLogin(token=made.sign(self.key))


@pytest.fixture(scope="module")
def keeper(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    home, beside, private = tmp_path_factory.mktemp("keeper"), Beside(node), Ed25519PrivateKey.generate()
    port = beside.free_port()
    (home / "kept").mkdir()
    (home / "node").mkdir()
    settings = default_settings(home).model_copy(
        update={
            "name": "keeper", "backup_directory": str(home / "kept"), "backup_server": f"127.0.0.1:{port}",
        }
    )  # fmt: skip
    (home / "node" / "node.json").write_text(settings.model_dump_json())
    one = Keeper(
        Node(home, settings),
        beside,
        port,
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    one.node.ticket_key.write_bytes(public)
    one.start()
    yield one
    one.stop()


def refused(report: JobReport) -> str:
    assert report.outcome is JobOutcome.FAILED, report
    assert report.next_step
    return report.code


def test_whole_there_and_back_in_another_environment(giving: Node, make: Make, keeper: Keeper) -> None:
    desk = keeper.desk(giving)
    spec = make(limits=Limits(cpu=1, memory_mb=128, disk_mb=512, processes=100))
    before = hash_of(fill(giving, spec))
    checked = desk.check()
    assert checked.outcome is JobOutcome.SUCCEEDED, f"{checked.code}: {checked.message}"
    made = desk.back_up(spec)
    assert desk.back_up(spec).added_bytes < 2**20
    origin = Origin(environment_id=spec.id, snapshot=uuid4(), backup=desk.source(made))
    new = make(name="again", tenant_id=spec.tenant_id, origin=origin, limits=spec.limits)
    assert hash_of(giving.root_volume(new.id) / "srv") == before
    # the node that it came from is lost: the other has all of it, and asks nobody
    there = replace(keeper.node, settings=keeper.node.settings)
    access = places.access_of(there, desk.repository, desk.secrets, makes=False)
    assert access.directory == keeper.directory / str(desk.repository.tenant_id) / "far"
    listed = by_hand.listed(giving, str(access.directory), PASSWORD)
    assert {one["environment"] for one in listed} == {str(spec.id)}
    assert desk.forget(spec, made).outcome is JobOutcome.SUCCEEDED
    assert left(giving) == []


def test_another_tenants_pass_a_forged_one_and_another_certificate(giving: Node, keeper: Keeper) -> None:
    desk = keeper.desk(giving)
    # a pass of another tenant's for this repository
    other = replace(desk, login=keeper.pass_for(giving, uuid4(), "far"))
    assert refused(other.check()) == "login_refused"
    private = Ed25519PrivateKey.generate()
    forged = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert refused(replace(keeper, key=forged).desk(giving).check()) == "login_refused"
    shown = certificate.files(keeper.node)[0].with_name("elsewhere.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "/dev/null",
         "-out", shown],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert refused(keeper.desk(giving, certificate=shown.read_text()).check()) == "certificate_refused"


def test_its_words_stand_in_no_process_and_its_server_has_no_capability(giving: Node, keeper: Keeper) -> None:
    assert keeper.process is not None
    status = Path(f"/proc/{keeper.process.pid}/status").read_text().splitlines()
    held = {line.split()[0]: int(line.split()[1], 16) for line in status if line.startswith("Cap")}
    assert (held["CapEff:"], held["CapPrm:"]) == (0, 0)
    desk = keeper.desk(giving)
    assert isinstance(desk.login, NodeLogin)
    access = places.access_of(giving, desk.repository, desk.secrets, makes=True)
    assert desk.login.token not in repr(access) + access.repository


def test_one_that_goes_in_the_middle(
    giving: Node, make: Make, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "UNREACHED_S", 6.0)
    spec = make(limits=Limits(cpu=1, memory_mb=128, disk_mb=512, processes=100))
    sh(giving, spec, "dd if=/dev/urandom of=/root/large bs=1M count=60 2>/dev/null", timeout_s=100)
    desk = keeper.desk(giving)
    slow = replace(desk, repository=desk.repository.model_copy(update={"upload_mbit_s": 60}))
    is_cut = list[float]()

    def cut(report: JobReport) -> None:
        if report.progress > 0.1 and not is_cut:
            is_cut.append(time.monotonic())
            keeper.stop()

    try:
        report = slow.done(slow.to_back_up(spec), cut)
    finally:
        keeper.start()
    assert is_cut
    assert refused(report) in ("target_unreachable", "target_gone")
    assert left(giving) == []
    desk.back_up(spec)
    assert list((keeper.directory / str(desk.repository.tenant_id) / "far" / "coming").iterdir()) == []
