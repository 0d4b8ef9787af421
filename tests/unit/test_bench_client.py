"""The benchmark's client: a connection that the front has closed meanwhile doesn't end a measurement."""

import http.client
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.bench import client as bench_client
from tests.bench.client import Client
from tests.e2e.support import Installation


class _Front(BaseHTTPRequestHandler):
    """Hangs up on whoever does nothing for a tenth of a second, and in the middle of what is cut off."""

    protocol_version = "HTTP/1.1"
    timeout = 0.1

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = json.dumps({"path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text[:3] if "cut-off" in self.path else text)
        self.close_connection = "cut-off" in self.path

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(bench_client, "IDLE_S", 0.05)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Front) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Client(Installation(Path(), f"http://127.0.0.1:{server.server_port}", "", "", "token"))
        server.shutdown()


def test_it_asks_again_after_a_long_figure(client: Client) -> None:
    for _ in range(3):
        assert client.call("GET", "/environments").status == 200
        time.sleep(0.3)


def test_what_was_cut_off_is_forgotten(client: Client) -> None:
    with pytest.raises(http.client.IncompleteRead):
        client.call("GET", "/cut-off")
    assert client.call("GET", "/environments").body == {"path": "/api/v1/environments"}
