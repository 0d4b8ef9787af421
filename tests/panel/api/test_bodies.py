"""Bodies that come without their length (`Transfer-Encoding: chunked`)."""

import json
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import pytest

from panel.config.bodies import LIMIT_BYTES, whole


def _send(body: BytesIO, path: str = "/api/v1/environments", **environ: Any) -> tuple[str, bytes]:
    """Status and answer of an application that says back what it was sent."""
    started: list[str] = []

    def application(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [])
        return [environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))]

    sent = {"PATH_INFO": path, "wsgi.input": body, "wsgi.input_terminated": True, **environ}
    sent.setdefault("HTTP_TRANSFER_ENCODING", "chunked")
    answer = whole(application)(sent, lambda status, _: started.append(status))
    return started[0], b"".join(answer)


def test_a_short_one_is_whole() -> None:
    assert _send(BytesIO(b'{"name": "web-1"}')) == ("200 OK", b'{"name": "web-1"}')


def test_one_of_two_megabytes_is_refused_with_the_reason() -> None:
    status, said = _send(BytesIO(bytes(LIMIT_BYTES)))
    assert status.startswith("413")
    assert json.loads(said)["code"] == "too_long"
    assert _send(BytesIO(bytes(LIMIT_BYTES - 1)))[0] == "200 OK"


@pytest.mark.parametrize("path", ["/api/v1/images/archive", "/images/import"])
def test_an_archive_comes_with_its_length_and_its_sender_hears_so(path: str) -> None:
    body = BytesIO(bytes(5_000_000))
    status, said = _send(body, path)
    assert status.startswith("411")
    assert json.loads(said)["code"] == "length_required"
    assert not body.read(1)  # all was taken: else the front would say 502 for us


def test_a_server_that_does_not_say_where_a_body_ends_is_not_read_from() -> None:
    body = BytesIO(b"x")
    assert _send(body, **{"wsgi.input_terminated": False})[0].startswith("411")
    assert body.read() == b"x"


def test_one_of_known_length_is_left_alone() -> None:
    body = BytesIO(bytes(3_000_000))
    status, said = _send(body, CONTENT_LENGTH="3000000", HTTP_TRANSFER_ENCODING="")
    assert (status, len(said)) == ("200 OK", 3_000_000)
