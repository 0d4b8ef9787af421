"""How many requests a second the list of environments takes, beside a view that does nothing."""

import http.client
import http.cookies
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlencode

from runtime.host.command import ENVIRONMENT
from runtime.install.layout import CHECKOUT
from tests.bench.bench import Bench
from tests.bench.measure import Goal, Row, Series, Skipped, ratio

TITLE = "requests per second, two at once: list of 100 environments as a share of a bare Django JSON view"
_ENVIRONMENTS = 100
_CONNECTIONS = 2
_SECONDS = 1.0
_SHARE = (Goal("median", 1 / 3, at_least=True),)


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    bare, listed, page = (Series(label, "/s") for label in ("bare JSON view", "API list of 100", "list page"))
    with ExitStack() as stack:
        names = stack.enter_context(_a_hundred(bench))
        ours = str(bench.installation.home / "run" / "web.sock")
        theirs = stack.enter_context(_bare_server(bench))
        token = f"Authorization: Bearer {bench.installation.token}"
        session = f"Cookie: {_sign_in(bench)}"
        turns = (
            (bare, theirs, "/", ""),
            (listed, ours, f"/api/v1/environments?tenant=bench&limit={_ENVIRONMENTS}", token),
            (page, ours, "/environments/", session),
        )
        for series, path, target, header in turns:
            answer = _Connection(path, _request(bench, target, header)).answer()
            assert b" 200 " in answer.partition(b"\r\n")[0], answer[:400]
            assert series is bare or sum(name.encode() in answer for name in names) >= min(50, len(names)), (
                "not the list"
            )
        for turn in range(max(3, bench.runs // 3) + 1):
            for series, path, target, header in turns:
                rate = _rate(path, _request(bench, target, header))
                if turn:
                    series.add(rate)
    yield bare.row()
    for series in (listed, page):
        yield series.row()
        share = ratio(f"{series.label} / bare", series, bare)
        yield Row(share.label, share.values, "×", _SHARE)


@contextmanager
def _a_hundred(bench: Bench) -> Iterator[list[str]]:
    """Names of at least 100 environments; those that are made for it are not started."""
    made = [bench.client.post_environment(is_started=False) for _ in range(_ENVIRONMENTS - len(bench.filled))]
    bench.client.until_all({one["id"] for one in made}, "stopped")
    items = bench.client.call("GET", f"/environments?tenant=bench&limit={_ENVIRONMENTS}").body["items"]
    try:
        yield [one["name"] for one in items]
    finally:
        bench.client.delete(*(one["id"] for one in made))


@contextmanager
def _bare_server(bench: Bench) -> Iterator[str]:
    """The bare view under the panel's server, with as many workers, and nothing between it and Django."""
    web = Path(f"/proc/{bench.processes()['web'][0]}/cmdline").read_bytes().decode().split("\0")[:-1]
    plain = [web[0], web[1], "--interface", "wsgi", "--workers", "2", "--blocking-threads", "1", "--no-ws"]
    with tempfile.TemporaryDirectory(prefix="wadah-bench-") as directory:
        path = str(Path(directory) / "bare.sock")
        server = subprocess.Popen(
            [*plain, "--uds", path, "--log-level", "warning", "tests.bench.bare:application"],
            cwd=CHECKOUT,
            env={**ENVIRONMENT, "PYTHONPATH": str(CHECKOUT)},
        )
        try:
            bench.client.wait(lambda: os.path.exists(path))
            yield path
        finally:
            server.terminate()
            server.wait(20)


def _sign_in(bench: Bench) -> str:
    """Signs in as a browser does; the session's cookie."""
    host = bench.installation.url.partition("://")[2]
    browser = http.client.HTTPConnection(host, timeout=30)
    browser.request("GET", "/accounts/login/")
    answer = browser.getresponse()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', answer.read().decode())
    assert token, "the sign-in page has no form"
    cookies = _cookies(answer)
    form = {
        "csrfmiddlewaretoken": token[1],
        "login": bench.installation.username,
        "password": bench.installation.password,
    }
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": cookies,
        "Origin": bench.installation.url,
    }
    browser.request("POST", "/accounts/login/", urlencode(form), headers)
    answer = browser.getresponse()
    assert answer.status == 302, answer.read()[:400]
    return _cookies(answer)


def _cookies(answer: http.client.HTTPResponse) -> str:
    jar: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
    for header in answer.headers.get_all("Set-Cookie") or []:
        jar.load(header)
    return "; ".join(f"{name}={morsel.value}" for name, morsel in jar.items())


def _request(bench: Bench, target: str, header: str) -> bytes:
    host = bench.installation.url.partition("://")[2]
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", *([header] if header else []), "", ""]
    return "\r\n".join(lines).encode()


class _Connection:
    """Sends the same request again and again; little more than the kernel's own work."""

    def __init__(self, path: str, request: bytes):
        self._request = request
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(30)
        self._socket.connect(path)

    def answer(self) -> bytes:
        self._socket.sendall(self._request)
        got = self._socket.recv(2**20)
        while b"\r\n\r\n" not in got:
            got += self._socket.recv(2**20)
        head, _, body = got.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        assert length, head
        parts, size = [got], len(body)
        while size < int(length[1]):
            parts.append(self._socket.recv(2**20))
            size += len(parts[-1])
        return b"".join(parts)


def _rate(path: str, request: bytes) -> float:
    """Requests per second over a while, from as many connections as the server has workers."""
    counts = [0] * _CONNECTIONS
    until = time.monotonic() + _SECONDS

    def ask(lane: int) -> None:
        connection = _Connection(path, request)
        while time.monotonic() < until:
            connection.answer()
            counts[lane] += 1

    threads = [threading.Thread(target=ask, args=(lane,)) for lane in range(_CONNECTIONS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)
