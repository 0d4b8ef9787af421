"""What one node lets another do in its directory for backups: with a pass, in one repository."""

import base64
import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from starlette.testclient import TestClient

from runtime.backup_server import store
from runtime.backup_server.app import BackupServer
from runtime.backup_server.connections import LOOP, MOST_OF_ONE, MOST_UNPROVED, Connections, protocol_of
from runtime.contract import BackupPass, Purpose, Ticket
from runtime.node import Node, NodeSettings, default_settings

ACME, OTHER = UUID(int=1), UUID(int=2)
PRIVATE = Ed25519PrivateKey.generate()
PEM = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
DATA = b"what restic encrypted" * 1000
NAME = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path, default_settings(tmp_path).model_copy(update={"name": "keeper"}))
    made.root.mkdir()
    public = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    made.ticket_key.write_bytes(public)
    return made


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept"


@pytest.fixture
def asked(node: Node, directory: Path) -> Iterator[TestClient]:
    with TestClient(BackupServer(node, directory).application(), raise_server_exceptions=False) as client:
        client.auth = ("node", token())
        assert client.post(f"/{ACME}/nightly/?create=true").status_code == 200
        yield client


def token(tenant: UUID = ACME, name: str = "nightly", *, node: str = "keeper", key: str = PEM) -> str:
    return BackupPass.issue(node=node, asker="far", tenant_id=tenant, name=name).sign(key)


def test_what_is_kept_comes_back_whole_and_in_parts(asked: TestClient, directory: Path) -> None:
    at = f"/{ACME}/nightly"
    assert asked.head(f"{at}/config").status_code == 404
    assert asked.post(f"{at}/config", content=b"sealed").status_code == 200
    assert asked.post(f"{at}/data/{NAME}", content=DATA).status_code == 200
    assert asked.get(f"{at}/config").content == b"sealed"
    assert asked.get(f"{at}/data/{NAME}").content == DATA
    assert asked.head(f"{at}/data/{NAME}").headers["content-length"] == str(len(DATA))
    part = asked.get(f"{at}/data/{NAME}", headers={"Range": "bytes=5-24"})
    assert (part.status_code, part.content) == (206, DATA[5:25])
    rest = asked.get(f"{at}/data/{NAME}", headers={"Range": f"bytes={len(DATA) - 3}-"})
    assert (rest.status_code, rest.content) == (206, DATA[-3:])
    assert asked.get(f"{at}/data/{NAME}", headers={"Range": f"bytes={len(DATA)}-"}).status_code == 416
    listed = asked.get(f"{at}/data/", headers={"Accept": "application/vnd.x.restic.rest.v2"})
    assert listed.json() == [{"name": NAME, "size": len(DATA)}]
    assert asked.get(f"{at}/locks/").json() == []
    # as restic itself lays out a directory
    assert (directory / str(ACME) / "nightly" / "data" / NAME[:2] / NAME).read_bytes() == DATA
    assert asked.delete(f"{at}/data/{NAME}").status_code == 200
    assert asked.delete(f"{at}/data/{NAME}").status_code == 404


def test_what_is_there_or_is_something_else_is_not_written_over(asked: TestClient, directory: Path) -> None:
    at = f"/{ACME}/nightly"
    assert asked.post(f"{at}/data/{NAME}", content=b"something else").status_code == 403
    assert asked.get(f"{at}/data/{NAME}").status_code == 404
    assert asked.post(f"{at}/config", content=b"first").status_code == 200
    assert asked.post(f"{at}/config", content=b"second").status_code == 403
    assert asked.get(f"{at}/config").content == b"first"
    assert list((directory / str(ACME) / "nightly" / "coming").iterdir()) == []


@contextmanager
def listening(node: Node, directory: Path) -> Iterator[int]:
    """The port of a real server, without TLS."""
    of = BackupServer(node, directory)
    config = uvicorn.Config(
        of.application(), http=protocol_of(of.connections), loop=LOOP, lifespan="off", log_level="critical"
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        running.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = server.force_exit = True
            running.join(20)


def answered(port: int, asker: str, *, source: str = "127.0.0.2") -> int:
    """The status of a node's request, whatever others do."""
    one = BackupPass.issue(node="keeper", asker=asker, tenant_id=ACME, name="nightly").sign(PEM)
    transport = httpx.HTTPTransport(local_address=source)
    with httpx.Client(transport=transport, auth=("node", one), timeout=30) as client:
        return client.post(f"http://127.0.0.1:{port}/{ACME}/nightly/?create=true").status_code


def test_who_shows_no_pass_keeps_nobody_out(node: Node, directory: Path) -> None:
    with listening(node, directory) as port, ExitStack() as held:
        for _ in range(5 * MOST_UNPROVED):
            held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        assert answered(port, "far") == 200


def test_a_node_that_sends_nothing_holds_its_own_turns(node: Node, directory: Path) -> None:
    with listening(node, directory) as port, ExitStack() as held:
        assert answered(port, "far") == 200
        words = base64.b64encode(f"node:{token()}".encode()).decode()
        head = (
            f"POST /{ACME}/nightly/data/{NAME} HTTP/1.1\r\nHost: keeper\r\nAuthorization: Basic {words}\r\n"
            "Content-Length: 1000\r\n\r\n"
        )
        for _ in range(MOST_OF_ONE):
            one = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            one.sendall(head.encode())
        assert answered(port, "other") == 200


def test_of_strangers_the_oldest_goes_of_who_has_most() -> None:
    ended, held = [], Connections()

    class Stranger:
        def __init__(self, client: tuple[str, int]):
            self.client = client

        def end(self) -> None:
            ended.append(self.client)
            held.closed(self)  # type: ignore[arg-type]

    for number in range(MOST_UNPROVED):
        held.opened(Stranger(("10.0.0.1", number)))  # type: ignore[arg-type]
    held.opened(Stranger(("10.0.0.2", 1)))  # type: ignore[arg-type]
    assert ended == [("10.0.0.1", 0)]
    assert held.proved(("10.0.0.2", 1), "far")
    held.opened(Stranger(("10.0.0.3", 1)))  # type: ignore[arg-type]
    assert len(ended) == 1
    for number in range(MOST_OF_ONE - 1):
        held.opened(Stranger(("10.0.0.4", number)))  # type: ignore[arg-type]
        assert held.proved(("10.0.0.4", number), "far")
    assert not held.proved(("10.0.0.3", 1), "far")
    assert held.proved(("10.0.0.3", 1), "another")


def test_what_was_cut_off_goes_when_the_server_begins(asked: TestClient, directory: Path) -> None:
    at = directory / str(ACME) / "nightly"
    (at / "coming" / "half").write_bytes(b"x")
    (directory / "no tenant").mkdir()
    (directory / str(OTHER) / "odd").mkdir(parents=True)
    assert asked.post(f"/{ACME}/nightly/data/{NAME}", content=DATA).status_code == 200
    store.forget_what_came(directory)
    assert list((at / "coming").iterdir()) == []
    assert asked.get(f"/{ACME}/nightly/data/{NAME}").content == DATA


def test_a_pass_opens_one_repository(asked: TestClient, directory: Path) -> None:
    asked.post(f"/{ACME}/nightly/config", content=b"of acme")
    wrong = [
        token(OTHER),
        token(name="weekly"),
        token(node="another"),
        token(key=_another_key()),
        _stale(),
        "",
        Ticket.issue(environment_id=uuid4(), node="keeper", purpose=Purpose.FILES, user="x").sign(PEM),
    ]
    for one in wrong:
        auth = ("node", one)
        for method, path in (
            ("GET", "config"), ("HEAD", "config"), ("POST", "config"), ("GET", "data/"),
            ("GET", f"data/{NAME}"), ("POST", f"data/{NAME}"), ("DELETE", f"data/{NAME}"),
            ("POST", "?create=true"),
        ):  # fmt: skip
            answer = asked.request(method, f"/{ACME}/nightly/{path}", auth=auth)
            assert answer.status_code in (401, 403), (one, method, path)
    asked.auth = None
    assert asked.get(f"/{ACME}/nightly/config").status_code == 401
    assert [one.name for one in directory.iterdir()] == [str(ACME)]


def _another_key() -> str:
    made = Ed25519PrivateKey.generate()
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _stale() -> str:
    made = BackupPass.issue(node="keeper", asker="far", tenant_id=ACME, name="nightly")
    return made.model_copy(update={"expires_at": int(time.time()) - 60}).sign(PEM)


def test_a_pass_is_no_ticket(node: Node) -> None:
    import jwt

    public = node.ticket_key.read_text()
    with pytest.raises((jwt.InvalidTokenError, KeyError, ValueError)):
        Ticket.verify(token(), public_key_pem=public, node="keeper")


@pytest.mark.parametrize(
    "path",
    [
        "data/../../x",
        "data/..%2f..%2fx",
        "data/" + "g" * 64,
        "data/" + "A" * 64,
        "etc/passwd",
        "config/x",
        "data/%00",
    ],
)
def test_other_names_are_none(asked: TestClient, directory: Path, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = asked.request(method, f"/{ACME}/nightly/{path}", content=b"x" if method == "POST" else None)
        assert answer.status_code in (401, 403, 404, 405), (method, path)
    assert sorted(one.name for one in directory.iterdir()) == [str(ACME)]


def test_no_link_is_followed(asked: TestClient, directory: Path, tmp_path: Path) -> None:
    """Below the directory may lie what a tool wrote that was taken over."""
    (tmp_path / "secret").write_bytes(b"of the node")
    top = directory / str(ACME) / "nightly"
    os.symlink(tmp_path / "secret", top / "config")
    os.symlink(tmp_path, top / "data" / "ab")
    os.symlink(tmp_path / "secret", top / "keys" / NAME)
    at = f"/{ACME}/nightly"
    assert asked.get(f"{at}/config").status_code == 404
    assert asked.get(f"{at}/keys/{NAME}").status_code == 404
    assert asked.get(f"{at}/keys/").json() == []
    assert asked.get(f"{at}/data/").json() == []
    os.symlink(tmp_path, directory / str(OTHER))
    other = ("node", token(OTHER))
    assert asked.get(f"/{OTHER}/nightly/config", auth=other).status_code == 404


def test_a_full_or_missing_directory_is_said_to_be(
    asked: TestClient, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "RESERVE_BYTES", 2**62)
    assert asked.post(f"/{ACME}/nightly/data/{NAME}", content=DATA).status_code == 507
    assert asked.post(f"/{ACME}/nightly/?create=true").status_code == 507
    assert list((directory / str(ACME) / "nightly" / "coming").iterdir()) == []
    monkeypatch.undo()
    directory.rename(directory.with_name("away"))
    assert asked.get(f"/{ACME}/nightly/config").status_code == 404
    assert asked.post(f"/{ACME}/nightly/?create=true").status_code == 404
    assert not directory.exists()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("10.0.0.2:8443", ("10.0.0.2", 8443)),
        ("[fd00::2]:8443", ("fd00::2", 8443)),
        ("b.example.com:1", ("b.example.com", 1)),
    ],
)
def test_where_it_is_got_at(tmp_path: Path, text: str, place: tuple[str, int]) -> None:
    document = default_settings(tmp_path).model_dump(mode="json")
    assert NodeSettings.model_validate({**document, "backup_server": text}).backup_server_at is None
    known = NodeSettings.model_validate({**document, "backup_server": text, "backup_directory": "/srv"})
    assert known.backup_server_at == place
    for wrong in ("10.0.0.2", "10.0.0.2:0", "10.0.0.2:99999", "a/b:1", "u@h:1", ":8443", json.dumps("x")):
        with pytest.raises(ValueError, match=r"backup_server|[Pp]ort"):
            NodeSettings.model_validate({**document, "backup_server": wrong})
