"""A registry of a few lines that says what a test has it say, in the network that its node calls the host's."""

import hashlib
import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from runtime.host import libc
from runtime.node import Node

SLEEP = {"Entrypoint": ["/bin/sleep", "3600"]}


@dataclass
class Liar:
    """A registry of a few lines, in the network that the node calls the host's."""

    host: str = ""
    answers: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def blob(self, content: bytes, served: bytes | None = None) -> tuple[str, int]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.answers[f"/blobs/{digest}"] = lambda request: say(request, served or content)
        return digest, len(content)

    def image(self, *layers: tuple[str, int], contents: Sequence[str] = (), **document: Any) -> str:
        """`contents`: what it says of its layers unpacked, where that is to be so."""
        whole = {
            "architecture": "amd64",
            "os": "linux",
            "config": SLEEP,
            "rootfs": {"diff_ids": list(contents) or [digest for digest, _ in layers]},
            **document,
        }
        config = self.blob(json.dumps(whole).encode())
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "digest": config[0],
                "size": config[1],
            },
            "layers": [
                {
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                    "digest": digest,
                    "size": size,
                }
                for digest, size in layers
            ],
        }
        text = json.dumps(manifest).encode()
        named = f"sha256:{hashlib.sha256(text).hexdigest()}"
        for name in ("1", named):
            self.answers[f"/manifests/{name}"] = lambda request: say(request, text, kind)
        return f"{self.host}/lie"


def say(request: http.server.BaseHTTPRequestHandler, content: bytes, kind: str = "application/x") -> None:
    request.send_response(200)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


def lead(to: str) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(307)
        request.send_header("Location", to)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


@contextmanager
def liar_of(node: Node) -> Iterator[Liar]:
    one = Liar()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            one.asked.append(self.path)
            for path, answer in one.answers.items():
                if self.path.endswith(path):
                    answer(self)
                    return
            say(self, b"{}") if self.path == "/v2/" else self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    made: list[http.server.ThreadingHTTPServer] = []

    def listen() -> None:
        there = os.open(node.host_network, os.O_RDONLY)
        libc.setns(there, libc.CLONE_NEWNET)
        os.close(there)
        made.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    server = made[0]
    server.daemon_threads = True
    one.host = f"127.0.0.1:{server.server_address[1]}"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    yield one
    server.shutdown()
    server.server_close()
    serving.join()
