"""Single files out of a backup: looked at, downloaded, put back; hostile paths reach nothing else."""

import io
import tarfile
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from runtime.agent.app import Agent
from runtime.backups.places import Access
from runtime.backups.repository import Restic
from runtime.contract import BackupLook, BackupMade, EnvironmentSpec, JobOutcome, JobReport, PutBackFiles
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.node import Node
from tests.host.backups.conftest import PASSWORD, Desk, left
from tests.host.conftest import Make
from tests.host.support.inside import sh

pytestmark = pytest.mark.timeout(400)

_MADE = (
    "mkdir -p '/srv/a*[b]\\' /srv/ab; echo one > '/srv/a*[b]\\/f'; echo two > /srv/ab/f; : > /srv/empty;"
    "chown 7:8 /srv/empty; chmod 4750 /srv/empty; ln -s /etc/passwd /srv/link; mkfifo /srv/fifo"
)
_ODD = "/srv/a*[b]\\"


@pytest.fixture
def spec(make: Make, giving: Node) -> EnvironmentSpec:
    made = make()
    sh(giving, made, _MADE)
    return made


def _restic(desk: Desk) -> Restic:
    return Restic(desk.node, Access(desk.place), PASSWORD, str(uuid4()))


def _read(restic: Restic, snapshot: str, path: str, *, is_archive: bool = False) -> bytes:
    with restic.dumped(snapshot, path, is_archive=is_archive) as pieces:
        return b"".join(pieces)


def test_a_directory_is_told_by_pages_and_a_file_comes_as_it_is(
    giving: Node, spec: EnvironmentSpec, desk: Desk, engine: Engine
) -> None:
    made, restic = desk.back_up(spec), _restic(desk)
    first = restic.files(made.snapshot, "/srv", after="", most=3)
    assert [one["name"] for one in first["entries"]] == [_ODD[5:], "ab", "empty"]
    assert (first["total"], b64decode(first["next"]).decode()) == (5, "empty")
    rest = restic.files(made.snapshot, "/srv/", after="empty", most=3)
    assert [(one["name"], one["sort"]) for one in rest["entries"]] == [("fifo", "other"), ("link", "link")]
    assert rest["next"] == ""
    empty = first["entries"][2]
    assert (empty["mode"], empty["uid"], empty["gid"], empty["size"]) == ("4750", 7, 8, 0)
    assert _read(restic, made.snapshot, f"{_ODD}/f") == b"one\n"
    assert _read(restic, made.snapshot, "/srv/empty") == b""
    with tarfile.open(fileobj=io.BytesIO(_read(restic, made.snapshot, "/srv/ab", is_archive=True))) as packed:
        assert [one for one in packed.getnames() if one.endswith("f")]
    for path, is_archive in (
        ("/srv/link", False), ("/srv/fifo", False), ("/srv/ab", False), ("/srv/empty", True), ("/nope", False),
        ("/../wadah", True), ("/../wadah/environment.json", False),
    ):  # fmt: skip
        with pytest.raises(RuntimeFault) as refused:
            _read(restic, made.snapshot, path, is_archive=is_archive)
        assert refused.value.code == "not_found"
    with pytest.raises(RuntimeFault, match="opens nothing"):
        _read(Restic(giving, Access(desk.place), "another one", str(uuid4())), made.snapshot, "/srv/empty")
    assert left(giving) == []


def test_the_agent_gives_them_and_keeps_what_opens_them_nowhere(
    giving: Node, spec: EnvironmentSpec, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, at = desk.back_up(spec), f"/v1/environments/{spec.id}/backup"
    with ThreadPoolExecutor(1) as execs, ThreadPoolExecutor(1) as looks, ThreadPoolExecutor(1) as trees:
        monkeypatch.setattr("runtime.agent.files.ThreadPoolExecutor", lambda *_, **__: trees)
        agent = Agent(giving, execs, looks)
        monkeypatch.setattr(agent, "ticket", lambda *_: SimpleNamespace(payer=uuid4(), read_only=True))
        client = TestClient(agent.application(), raise_server_exceptions=False)

        def ask(verb: str, path: str) -> tuple[int, bytes]:
            body = BackupLook(source=desk.source(made), path=path, most=2).model_dump_json()
            assert PASSWORD not in body
            answer = client.post(f"{at}/{verb}", content=body)
            return answer.status_code, answer.content

        status, listed = ask("files", "/srv")
        assert (status, b'"total":5' in listed) == (200, True), listed
        assert ask("content", "/srv/ab/f") == (200, b"two\n")
        status, packed = ask("archive", "/srv/ab")
        assert (status, b"two\n" in packed) == (200, True)
        status, refused = ask("content", "/srv/nope")
        assert (status, b"not_found" in refused) == (404, True), (status, refused)
        assert client.post(f"{at}/files", content=b"{}").status_code == 422
        desk.password = "another one"
        status, refused = ask("files", "/srv")
        assert (status, b"wrong_password" in refused) == (422, True), (status, refused)
    assert left(giving) == []


def _put_back(desk: Desk, spec: EnvironmentSpec, made: BackupMade, path: str) -> JobReport:
    work = PutBackFiles(
        environment_id=spec.id,
        tenant_id=spec.tenant_id,
        source=desk.source(made),
        path=path,
        most_bytes=64 * 2**20,
    )
    return desk.done(desk.job(spec.id, work))


def test_one_path_comes_back_into_what_runs_and_nothing_beside_it(
    giving: Node, spec: EnvironmentSpec, desk: Desk, engine: Engine
) -> None:
    made = desk.back_up(spec)
    sh(giving, spec, "echo broken > '/srv/a*[b]\\/f'; echo new > /srv/ab/f; rm /srv/empty")
    report = _put_back(desk, spec, made, f"{_ODD}/f")
    assert report.outcome is JobOutcome.SUCCEEDED, f"{report.code}: {report.message}"
    assert sh(giving, spec, "cat /srv/a*b*/f") == "one\nnew"
    assert _put_back(desk, spec, made, "/srv/empty").outcome is JobOutcome.SUCCEEDED
    assert sh(giving, spec, "stat -c '%a %u:%g' /srv/empty") == "4750 7:8"
    gone = _put_back(desk, spec, made, "/srv/nope")
    assert (gone.outcome, gone.code) == (JobOutcome.FAILED, "not_found")
    sh(giving, spec, "rm -r /srv/ab; ln -s /etc /srv/ab")
    assert _put_back(desk, spec, made, "/srv/ab/f").outcome is JobOutcome.FAILED
    assert sh(giving, spec, "ls /etc/f 2>/dev/null || echo none") == "none"
    assert left(giving) == []
    assert engine.leaks() == []
