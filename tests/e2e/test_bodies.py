"""What is sent to the panel: refused with its reason however long it is, and sent slowly at nobody's cost."""

import http.client
import json
import socket
import urllib.request
import uuid
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import pytest

from tests.e2e.support import Installation

MIB = 2**20


def _post(wadah: Installation, path: str, kind: str, length: int, **headers: str) -> tuple[int, bytes]:
    """Sends until the answer comes or all is sent."""
    where = urlsplit(wadah.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    connection.putrequest("POST", path)
    for name, value in {"Content-Type": kind, "Content-Length": str(length), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    piece = bytes(64 * 1024)
    try:
        for _ in range(length // len(piece)):
            connection.send(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the answer is there already
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize("turn", range(3))
def test_a_large_archive_of_nobody_is_refused_with_the_reason(wadah: Installation, turn: int) -> None:
    status, said = _post(wadah, "/api/v1/images/archive?name=x", "application/octet-stream", 64 * MIB)
    assert status == 401
    assert json.loads(said)["code"] == "unauthenticated"
    status, _ = _post(wadah, "/images/import", "multipart/form-data; boundary=x", 64 * MIB)
    assert status == 302


def test_a_large_archive_under_a_name_that_is_taken_is_refused_before_it_is_sent(wadah: Installation) -> None:
    token = {"Authorization": f"Bearer {wadah.token}", "Idempotency-Key": str(uuid.uuid4())}
    status, said = _post(
        wadah, "/api/v1/images/archive?name=busybox", "application/octet-stream", 64 * MIB, **token
    )
    assert status == 409
    assert json.loads(said)["field"] == "name"


@pytest.mark.parametrize("turn", range(3))
def test_a_long_body_of_nobody_gets_its_answer_too(wadah: Installation, turn: int) -> None:
    assert _post(wadah, "/api/v1/environments", "application/json", MIB)[0] in (401, 403)
    assert _post(wadah, "/nothing/here", "text/plain", MIB)[0] in (403, 404)
    status, said = _post(wadah, "/api/v1/environments", "application/json", 64 * MIB)
    assert status == 413
    assert json.loads(said)["code"] == "too_long"


def test_bodies_that_never_come_hold_up_nobody(wadah: Installation) -> None:
    """With a good token: what is read before its sender is known would be easier still."""
    where = urlsplit(wadah.url)
    head = (
        f"POST /api/v1/environments HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {wadah.token}\r\n"
        f"Idempotency-Key: {uuid.uuid4()}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{{"
    )
    with ExitStack() as opened:
        for _ in range(12):
            one = opened.enter_context(socket.create_connection((where.hostname or "", where.port or 80)))
            one.sendall(head.encode())
        for _ in range(4):
            assert wadah.call("GET", "/environments").status == 200


def _chunked(wadah: Installation, path: str, kind: str, length: int) -> tuple[int, dict[str, object]]:
    """As the administrator, without saying how much comes."""
    where = urlsplit(wadah.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    headers = {"Content-Type": kind, "Authorization": f"Bearer {wadah.token}"}
    headers["Idempotency-Key"] = str(uuid.uuid4())
    piece = b" " * 64 * 1024
    pieces = (piece for _ in range(length // len(piece)))
    with suppress(BrokenPipeError, ConnectionResetError):  # the answer is there already
        connection.request("POST", path, body=pieces, headers=headers, encode_chunked=True)
    answer = connection.getresponse()
    text = answer.read()
    assert text, f"{answer.status} without a body: {answer.headers}"
    return answer.status, json.loads(text)


@pytest.mark.parametrize("turn", range(3))
def test_a_body_of_unknown_length_is_read_or_refused_with_the_reason(wadah: Installation, turn: int) -> None:
    status, said = _chunked(wadah, "/api/v1/environments", "application/json", MIB)
    assert (status, said["code"]) == (400, "not_json")  # nothing but spaces
    for length in (3 * MIB, 64 * MIB):
        status, said = _chunked(wadah, "/api/v1/environments", "application/json", length)
        assert (status, said["code"]) == (413, "too_long")
    status, said = _chunked(wadah, "/api/v1/images/archive?name=x", "application/octet-stream", 8 * MIB)
    assert (status, said["code"]) == (411, "length_required")


def test_archives_that_never_come_hold_up_nobody(wadah: Installation) -> None:
    """Of somebody who may hand them in: more of them than the pages have threads."""
    where = urlsplit(wadah.url)
    with ExitStack() as opened:
        for number in range(12):
            head = (
                f"POST /api/v1/images/archive?name=slow-{number} HTTP/1.1\r\nHost: {where.netloc}\r\n"
                f"Authorization: Bearer {wadah.token}\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
                "Content-Type: application/octet-stream\r\nContent-Length: 100000000\r\n\r\n"
            )
            one = opened.enter_context(socket.create_connection((where.hostname or "", where.port or 80)))
            one.sendall(head.encode() + bytes(300_000))
        archives = wadah.home / "panel" / "archives"
        wadah.wait(lambda: list(archives.glob(".*.part")), 30)
        for _ in range(4):
            assert wadah.call("GET", "/environments").status == 200
            with urllib.request.urlopen(f"{wadah.url}/readyz", timeout=20) as ready:
                assert ready.status == 200
    wadah.wait(lambda: not list(archives.glob(".*.part")), 90)


def test_parts_of_files_that_never_come_hold_up_nobody_elses(wadah: Installation) -> None:
    """Of two tenants, more than they may have at once: those are refused, and send nothing either."""
    where = urlsplit(wadah.url)
    tenants = []
    for _ in range(3):
        slug = f"parts-{uuid.uuid4().hex[:8]}"
        assert wadah.call("POST", "/tenants", {"name": slug, "slug": slug}).status == 201
        token = wadah.call("POST", "/tokens", {"tenant": slug, "role": "owner", "name": slug}).body["token"]
        tenants.append((f"Bearer {token}", wadah.create(tenant=slug)))

    def head(token: str, environment: str, length: int) -> bytes:
        path = f"/api/v1/environments/{environment}/files/uploads?path=/root/f&size={length}&offset=0"
        return (
            f"POST {path} HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: {token}\r\n"
            f"Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
        ).encode()

    with ExitStack() as opened:
        for token, environment in tenants[:2]:
            for _ in range(12):
                one = opened.enter_context(socket.create_connection((where.hostname or "", where.port or 80)))
                one.sendall(head(token, environment, 10 * MIB) + bytes(70_000))
        archives = wadah.home / "panel" / "archives"
        wadah.wait(lambda: len(list(archives.glob(".*.part"))) >= 2, 30)
        mine = opened.enter_context(socket.create_connection((where.hostname or "", where.port or 80), 30))
        mine.sendall(head(*tenants[2], 5) + b"whole")
        assert mine.recv(4096).startswith(b"HTTP/1.1 200 ")
    for _token, environment in tenants:
        wadah.delete(environment)
