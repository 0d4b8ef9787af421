"""A tenant asks for more than there are threads, again and again; another one is answered while he waits."""

import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from select import select
from urllib.parse import urlsplit

import pytest

from tests.e2e.support import Answer, Installation

#: More than the web processes have threads, together.
MANY = 8


@pytest.fixture(scope="module")
def neighbour(wadah: Installation) -> Iterator[dict[str, str]]:
    """Headers of another tenant's owner."""
    slug = f"n-{uuid.uuid4().hex[:8]}"
    assert wadah.call("POST", "/tenants", {"name": "Neighbour", "slug": slug}).status == 201
    made = wadah.call("POST", "/tokens", {"name": "n", "tenant": slug, "role": "owner"})
    assert made.status == 201, made.body
    yield {"Authorization": f"Bearer {made.body['token']}"}


def _exec(wadah: Installation, environment: str, script: str, **headers: str) -> Answer:
    body = {"command": ["/bin/sh", "-c", script], "timeout_s": 60}
    return wadah.call("POST", f"/environments/{environment}/exec", body, **headers)


def _is_answered(wadah: Installation, neighbour: dict[str, str]) -> None:
    for path in ("/environments", "/operations", "/audit", "/images"):
        assert wadah.call("GET", path, **neighbour).status == 200


def _send(wadah: Installation, request: str, body: str = "", headers: str = "") -> socket.socket:
    """Asks, on a connection of its own, and leaves the answer unread."""
    parts = urlsplit(wadah.url)
    client = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=30)
    client.sendall(
        f"{request} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {wadah.token}\r\n{headers}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    return client


def _begin(wadah: Installation, environment: str, script: str, headers: str = "") -> socket.socket:
    body = json.dumps({"command": ["/bin/sh", "-c", script], "timeout_s": 60})
    return _send(wadah, f"POST /api/v1/environments/{environment}/exec", body, headers)


def _runs(wadah: Installation, environment: str, words: str) -> bool:
    return words in wadah.sh(environment, "ps -o args | grep -v grep")


def test_commands_that_wait_hold_up_nobody(
    wadah: Installation, environment: str, neighbour: dict[str, str]
) -> None:
    """Neither others nor who asked for them; over the cap he is told so, and what he leaves ends."""
    with ExitStack() as stack:
        held = [stack.enter_context(_begin(wadah, environment, "sleep 600")) for _ in range(3 * MANY)]
        refused = wadah.wait(lambda: select(held, [], [], 1)[0], 30)
        answer = refused[0].recv(65_536)
        assert b" 429 " in answer.partition(b"\r\n")[0] and b"retry-after" in answer.lower(), answer
        _is_answered(wadah, neighbour)
        assert wadah.call("GET", f"/environments/{environment}").body["state"] == "running"
        assert len(held) - len(select(held, [], [], 0)[0]) >= MANY, "they wait still"
    wadah.wait(lambda: _exec(wadah, environment, "true").status == 200, 30)


def test_recordings_that_nobody_reads_hold_up_nobody(
    wadah: Installation, environment: str, neighbour: dict[str, str]
) -> None:
    assert _exec(wadah, environment, "seq 400000 >/dev/console").status == 200
    with ExitStack() as stack:
        for _ in range(MANY):
            request = f"GET /api/v1/environments/{environment}/console/log?format=cast"
            reader = stack.enter_context(_send(wadah, request))
            assert reader.recv(12) in {b"HTTP/1.1 200", b"HTTP/1.1 429"}
        _is_answered(wadah, neighbour)
        assert wadah.call("GET", "/environments").status == 200


def test_who_hangs_up_ends_his_command(wadah: Installation, environment: str) -> None:
    """Over front and web process, down to the environment; with a key it goes on, and is found again."""
    key = uuid.uuid4().hex
    left = _begin(wadah, environment, "sleep 4321")
    kept = _begin(wadah, environment, "sleep 5; echo kept", f"Idempotency-Key: {key}\r\n")
    wadah.wait(lambda: _runs(wadah, environment, "sleep 4321") and _runs(wadah, environment, "sleep 5"), 30)
    left.close()
    kept.close()
    wadah.wait(lambda: not _runs(wadah, environment, "sleep 4321"), 30)
    answer = _exec(wadah, environment, "sleep 5; echo kept", Idempotency_Key=key)
    assert (answer.status, answer.body["stdout"]) == (200, "kept\n")
    assert answer.headers["Idempotent-Replayed"] == "true", "it didn't run twice"


def test_files_of_snapshots_hold_up_nobody(
    wadah: Installation, environment: str, neighbour: dict[str, str]
) -> None:
    """A file that costs nothing and has no end, directories of thousands: more of them than may be at once."""
    wadah.sh(
        environment,
        "dd if=/dev/null of=/root/huge bs=1M seek=1000000; mkdir /root/many; cd /root/many;"
        "seq 5000 | xargs touch",
    )
    path = f"/environments/{environment}/snapshots"
    taken = wadah.call("POST", path)
    assert taken.status == 202, taken.body
    wadah.wait(lambda: wadah.call("GET", f"{path}/{taken.body['id']}").body["state"] == "ready", 30)
    files = f"GET /api/v1/environments/{environment}/files"
    of = f"snapshot={taken.body['id']}&path=root"
    with ExitStack() as stack:
        downloads = [stack.enter_context(_send(wadah, f"{files}/content?{of}/huge")) for _ in range(MANY)]
        listings = [stack.enter_context(_send(wadah, f"{files}?{of}/many&limit=1000")) for _ in range(MANY)]
        assert {one.recv(12) for one in downloads} <= {b"HTTP/1.1 200", b"HTTP/1.1 429"}
        _is_answered(wadah, neighbour)
        assert _exec(wadah, environment, "true").status == 200
        assert {one.recv(12) for one in listings} <= {b"HTTP/1.1 200", b"HTTP/1.1 429"}
    found = wadah.call("GET", f"/environments/{environment}/files?{of}/many&limit=1000")
    assert (found.status, found.body["total"]) == (200, 5000)
