"""The front, as it runs: where it listens, and what of a stranger's headers reaches the pages."""

import http.client
import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from runtime.install.caddyfile import Site, site_of
from runtime.install.front import Front
from runtime.install.layout import Layout
from runtime.install.roles import roles
from runtime.install.sockets import listeners
from runtime.install.supervisor import parent_of
from tests.support.front import front
from tests.support.ports import free_port

#: The front sees a client at the first, and a proxy that the operator named at the second.
STRANGER, PROXY = "127.0.0.1", "127.0.0.9"
ENVIRONMENT = UUID("5f0c1c1e-0000-4000-8000-0000000000e1")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Its pid and port."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    site = site_of(Front(url, own=url, bind=("127.0.0.1", "::1")))
    with front(tmp_path_factory.mktemp("front"), site, proxies=(f"{PROXY}/32",)) as pid:
        yield pid, port


def _ask(port: int, *headers: tuple[str, str], method: str = "GET", path: str = "/", at: str = STRANGER) -> Any:
    """What the pages see of a request with just these headers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20, source_address=(at, 0))
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in (("Host", "panel.example"), *headers):
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return json.loads(text) if answer.status == 200 else (answer.status, text, answer.headers)


def test_it_listens_on_loopback_and_nowhere_else(running: tuple[int, int]) -> None:
    pid, port = running
    seen = {(one.kind, one.address, one.port) for one in listeners([pid])}
    assert seen == {("tcp", "127.0.0.1", port), ("tcp", "::1", port)}


@pytest.mark.parametrize(
    "name",
    ["X_Forwarded_For", "x_forwarded_for", "X-Forwarded_For", "X_FORWARDED-FOR", "X-Forwarded-For",
     "x-forwarded-for", "Forwarded", "X-Real-IP", "X_Real_IP", "Client_IP", "X-Client-IP"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/ws/x"])
def test_a_strangers_word_on_his_address_never_passes(running: tuple[int, int], name: str, path: str) -> None:
    seen = _ask(running[1], (name, "192.0.2.66"), (name, "for=192.0.2.66"), path=path)
    assert "192.0.2.66" not in json.dumps(seen)
    assert seen["HTTP_X_FORWARDED_FOR"] == STRANGER


@pytest.mark.parametrize("name", ["X-Forwarded-Proto", "X_Forwarded_Proto", "X-Forwarded-Ssl"])
def test_nor_on_the_scheme_and_the_name(running: tuple[int, int], name: str) -> None:
    seen = _ask(
        running[1], (name, "https"), ("X-Forwarded-Host", "evil.example"), ("X_Forwarded_Host", "evil.example")
    )
    assert seen["HTTP_X_FORWARDED_PROTO"] == "http"
    assert "evil.example" not in json.dumps(seen)


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Proto", "Host"])
def test_a_header_that_is_called_one_of_the_connections_is_still_the_fronts(
    running: tuple[int, int], name: str
) -> None:
    """RFC 9110, 7.6.1: a proxy takes away what `Connection` names."""
    seen = _ask(running[1], ("Connection", f"close, {name}"), ("X-Forwarded-For", "192.0.2.66"))
    assert seen["HTTP_X_FORWARDED_FOR"] == STRANGER
    assert seen["HTTP_X_FORWARDED_PROTO"] == "http"
    assert seen["HTTP_HOST"] == "panel.example"


def test_any_header_with_an_underscore_is_taken_away(running: tuple[int, int]) -> None:
    seen = _ask(running[1], ("Content_Length", "7"), ("Wadah_Anything", "x"), ("Idempotency_Key", "y"))
    assert not {"HTTP_WADAH_ANYTHING", "HTTP_IDEMPOTENCY_KEY", "HTTP_CONTENT_LENGTH"} & set(seen)


def test_a_named_proxy_says_who_the_client_is(running: tuple[int, int]) -> None:
    said = (("X-Forwarded-For", "192.0.2.66"), ("X-Forwarded-Proto", "https"))
    seen = _ask(running[1], *said, ("X_Forwarded_For", "192.0.2.67"), at=PROXY)
    assert seen["HTTP_X_FORWARDED_FOR"] == f"192.0.2.66, {PROXY}"
    assert seen["HTTP_X_FORWARDED_PROTO"] == "https"


def _raw(port: int, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
        one.sendall(text)
        got = b""
        while piece := one.recv(65536):
            got += piece
    return got


@pytest.mark.parametrize(
    "lines",
    [
        b"Host: a\r\nHost: b\r\n",
        b"Host: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n",
        b"Host: a\r\nTransfer-Encoding: xchunked\r\n",
        b"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Host: a\r\nX-Forwarded-For : 192.0.2.66\r\n",
        b"Host: a\r\nX\0Y: 1\r\n",
        b"Host: a/../b\r\n",
    ],
)
def test_what_two_servers_could_read_differently_is_refused(running: tuple[int, int], lines: bytes) -> None:
    said = _raw(running[1], b"POST / HTTP/1.1\r\n" + lines + b"Connection: close\r\n\r\n")
    assert said.split(b" ", 2)[1] in (b"400", b"501"), said


def test_a_body_of_two_lengths_is_one_request(running: tuple[int, int]) -> None:
    inner = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    head += b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n"
    said = _raw(running[1], head + b"0\r\n\r\n" + inner)
    assert said.count(b"HTTP/1.1 ") == 1
    assert b"smuggled" not in said


@pytest.mark.parametrize(
    "chunks",
    [b"zz\r\nab\r\n0\r\n\r\n", b"-1\r\nab\r\n0\r\n\r\n", b"f" * 17 + b"\r\nab", b"5\r\nabcdefgh\r\n0\r\n\r\n",
     b"2\r\nab\r\nzz\r\n", b"2\r\nab\r\n0\r\nno trailer\r\n\r\n"],
    ids=["no-number", "negative", "huge", "longer", "breaks-off", "trailer"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/api/v1/environments", "/api/v1/images/archive"])
def test_a_body_whose_chunks_are_none_is_refused_and_never_taken_for_whole(
    running: tuple[int, int], path: str, chunks: bytes
) -> None:
    """The front kept what had come by then, and handed it on as if that were all."""
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = _raw(running[1], head.encode() + chunks)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert b"malformed_body" in answer


def test_a_body_of_unknown_length_that_is_too_long_is_refused_with_the_reason(running: tuple[int, int]) -> None:
    head = b"POST /api/v1/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = (b"%x\r\n" % 2**20 + bytes(2**20) + b"\r\n") * 2 + b"0\r\n\r\n"
    answer = _raw(running[1], head + chunks)
    assert answer.startswith(b"HTTP/1.1 413 "), answer[:200]
    assert b"too_long" in answer


@pytest.mark.parametrize("path", ["/%0d%0aSet-Cookie:%20a=b", "/a?b=%0d%0aSet-Cookie:%20a=b"])
def test_a_path_makes_no_header(running: tuple[int, int], path: str) -> None:
    assert b"\r\nSet-Cookie" not in _raw(running[1], f"GET {path} HTTP/1.0\r\nHost: a\r\n\r\n".encode())


@pytest.mark.parametrize("name", ["%00", "a.css%00", "%00/a.css", "x" * 300, "x" * 3000, "%ff", "a b"])
def test_no_name_of_a_static_file_is_a_mistake_of_ours(running: tuple[int, int], name: str) -> None:
    assert _raw(running[1], b"GET /static/a.css HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(
        b"HTTP/1.1 200"
    )
    found = _raw(
        running[1],
        f"GET /static/{name.replace(' ', '%20')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(),
    )
    assert found.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), found[:100]


def test_headers_without_end_are_refused(running: tuple[int, int]) -> None:
    many = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(64))
    assert b" 431 " in _raw(running[1], b"GET / HTTP/1.1\r\nHost: a\r\n" + many + b"\r\n").split(b"\r\n")[0]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "GET"])
@pytest.mark.parametrize("path", ["/api/v1/images/archive", "/images/import"])
def test_a_large_body_of_another_method_is_refused_with_the_reason(
    running: tuple[int, int], method: str, path: str
) -> None:
    long = ("Content-Length", str(64 * 2**20))
    status, text, headers = _ask(running[1], long, method=method, path=path)
    assert (status, headers["Allow"]) == (405, "POST")
    assert json.loads(text)["code"] == "http_405"
    status, text, _ = _ask(running[1], long, method=method, path="/elsewhere")
    assert (status, json.loads(text)["code"]) == (413, "too_long")


@pytest.mark.parametrize("path", ["/api/v1/images/archive", f"/api/v1/environments/{ENVIRONMENT}/cp?path=/srv"])
def test_a_long_archive_is_let_through_where_one_is_expected(running: tuple[int, int], path: str) -> None:
    body = bytes(3 * 2**20)
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    assert _raw(running[1], head.encode() + body).startswith(b"HTTP/1.1 200 ")
    other = head.replace("/cp?", "/cp/more?").replace("/archive ", "/archives ")
    assert b" 413 " in _raw(running[1], other.encode()).split(b"\r\n")[0]


def test_with_tls_it_listens_on_the_named_address_and_speaks_as_named(tmp_path: Path) -> None:
    port = free_port()
    url = f"https://127.0.0.1:{port}"
    site = site_of(Front(url, own=url, bind=("127.0.0.1",), names=("box.example",), internal_tls=True))
    with front(tmp_path, site) as pid:
        assert {(one.kind, one.address) for one in listeners([pid])} == {("tcp", "127.0.0.1")}
        for name in ("127.0.0.1", "box.example"):
            with _certified(port, name) as one:
                one.sendall(b"GET / HTTP/1.0\r\nHost: box.example\r\nX_Forwarded_For: 192.0.2.66\r\n\r\n")
                said = b"".join(iter(lambda one=one: one.recv(65536), b""))  # type: ignore[misc]
            assert b'"HTTP_X_FORWARDED_FOR": "127.0.0.1"' in said
            assert b'"HTTP_X_FORWARDED_PROTO": "https"' in said
        with pytest.raises(ssl.SSLError):
            _with_tls(port, "other.example")


def _with_tls(port: int, name: str) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=20)
    try:
        return ssl._create_unverified_context().wrap_socket(plain, server_hostname=name)
    except ssl.SSLError:
        plain.close()
        raise


def _certified(port: int, name: str) -> ssl.SSLSocket:
    """It listens before its own authority has signed the last name's certificate."""
    until = time.monotonic() + 20
    while True:
        try:
            return _with_tls(port, name)
        except ssl.SSLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def test_a_domain_listens_everywhere_and_leads_to_tls() -> None:
    site = site_of(Front("https://panel.example.org", names=("www.example.org",)))
    assert site == Site(
        ("https://panel.example.org", "https://www.example.org"), rest="https://:443", plain="http://:80"
    )


def test_while_the_pages_are_away_it_says_so(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with front(tmp_path, site_of(Front(url, own=url, bind=("127.0.0.1",))), pages=False):
        status, text, headers = _ask(port, path="/api/v1/environments")
        assert (status, headers["Retry-After"], headers["Content-Type"]) == (
            503,
            "5",
            "application/problem+json",
        )
        assert json.loads(text)["code"] == "panel_away"
        for path in ("/", "/ws/events", "/images/import"):
            status, text, headers = _ask(port, path=path)
            assert (status, headers["Retry-After"]) == (503, "5"), path
            assert b"The panel doesn't answer right now" in text
            assert headers["Server"] is None


def test_requests_that_are_never_sent_whole_dont_keep_it_from_ending(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    front_role = next(one for one in roles(Layout(tmp_path), Front(url)) if one.name == "front")
    with front(tmp_path, site_of(Front(url, own=url, bind=("127.0.0.1",)))) as pid, ExitStack() as stack:
        for half in (b"GET / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"):
            for _ in range(20):
                one = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                one.sendall(half)
        assert _ask(port)["REQUEST_METHOD"] == "GET"
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + front_role.stop_s - 2  # then it would be killed
        while parent_of(pid) is not None:
            assert time.monotonic() < until, "it waits for what never comes"
            time.sleep(0.05)
