"""A front for domains in a network of its own, as an installation starts it, and what is behind its names."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.contract.domain import TABLE, DomainTable
from runtime.install.domains import SOCKET, Authority, ask_address, caddy_document, file_of
from runtime.install.front import Front
from runtime.install.host import wait_for
from runtime.install.layout import CHECKOUT, Layout
from tests.host.support.node import network_namespace

HTTP, TLS = 80, 443
#: Answers each request with its own name and what it was asked; after an upgrade it echoes.
_BEHIND = """
import asyncio, sys
name, places = sys.argv[1], sys.argv[2:]
class Behind(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.buffer, self.is_socket = transport, b"", False
    def data_received(self, data):
        if self.is_socket:
            self.transport.write(b"echo " + data)
            return
        self.buffer += data
        while b"\\r\\n\\r\\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\\r\\n\\r\\n")
            if b"upgrade: websocket" in head.lower():
                self.is_socket = True
                self.transport.write(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n"
                                     b"Connection: Upgrade\\r\\n\\r\\n")
                return
            body = name.encode() + b"\\n" + head
            status = b"500 Ill" if name.startswith("ill") else b"200 OK"
            head = b"HTTP/1.1 %s\\r\\nContent-Length: %d\\r\\n\\r\\n" % (status, len(body))
            self.transport.write(head + body)
async def main():
    for place in places:
        host, _, port = place.rpartition(":")
        await asyncio.get_running_loop().create_server(Behind, host, int(port))
    print("listens", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@dataclass
class Answer:
    status: int
    version: str
    headers: str
    body: str

    @property
    def who(self) -> str:
        return self.body.partition("\n")[0]


class Stand:
    """The front and its network."""

    def __init__(self, home: Path, namespace: Path, stack: ExitStack) -> None:
        self.layout, self.namespace, self._stack = Layout(home), namespace, stack

    def run(self, *words: str, **more: Any) -> "subprocess.Popen[bytes]":
        """Until the end of the test, inside."""
        environment = {**os.environ, "XDG_DATA_HOME": str(self.layout.home), "PYTHONPATH": str(CHECKOUT)}
        command = ["nsenter", f"--net={self.namespace}", *words]
        log = (self.layout.home / "stand.log").open("ab")
        process = subprocess.Popen(command, **{"stdout": log, "stderr": log, "env": environment, **more})
        self._stack.callback(_end, process)
        return process

    def behind(self, name: str, *places: str) -> "subprocess.Popen[bytes]":
        """Somebody who answers, at `ADDRESS:PORT`, once this returns."""
        process = self.run(sys.executable, "-c", _BEHIND, name, *places, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"listens\n"
        return process

    def say(self, routes: Mapping[str, Mapping[str, Any]]) -> None:
        """As the panel does."""
        text = DomainTable.model_validate({"routes": routes}).model_dump_json()
        fresh = self.layout.home / "table.new"
        fresh.write_text(text)
        fresh.replace(self.layout.home / TABLE)

    def start_front(self, authority: Authority = Authority()) -> None:  # noqa: B008 (frozen)
        front = Front("http://127.0.0.1:8080", domains=("127.0.0.1",), domains_ports=(HTTP, TLS))
        for name in ("run", "log", "store", "table"):
            (self.layout.home / "domains" / name).mkdir(parents=True, exist_ok=True)
        self.say({})
        home = str(self.layout.home)
        ask = ask_address(self.layout)
        self.router = self.run(
            sys.executable, "-m", "runtime.router", "--home", home, "--ask", ask, "--tls-port", str(TLS)
        )
        assert wait_for(self.layout.home / SOCKET, 15)
        file_of(self.layout).write_text(caddy_document(self.layout, front, authority))
        self.front = self.run("caddy", "run", "--config", str(file_of(self.layout)))
        self.wait_port(HTTP)

    def wait_port(self, port: int) -> None:
        waiting = f"import socket,time\nwhile socket.socket().connect_ex(('127.0.0.1',{port})): time.sleep(.05)"
        self.inside(sys.executable, "-c", waiting)

    def inside(self, *words: str, **more: Any) -> str:
        command = ["nsenter", f"--net={self.namespace}", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, **more)
        return done.stdout

    def get(self, url: str, *options: str) -> Answer:
        """By curl, whose names all lie here; status 0 without an answer."""
        command = [
            "curl",
            "-sk",
            "-i",
            "-m",
            "20",
            "--connect-to",
            "::127.0.0.1:",
            "-w",
            "\n%{http_code} %{http_version}",
        ]
        done = subprocess.run(
            ["nsenter", f"--net={self.namespace}", *command, *options, url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        text, _, last = done.stdout.rpartition("\n")
        status, _, version = last.partition(" ")
        while re.match(r"HTTP/\S+ 1\d\d", text):
            text = text.partition("\n\n")[2]
        head, _, body = text.partition("\n\n")
        return Answer(int(status), version, head, body)

    def requests(self) -> list[dict[str, Any]]:
        lines = (self.layout.home / "domains/log/access.log").read_text().splitlines()
        return [json.loads(one) for one in lines]


@contextmanager
def stand(home: Path) -> Iterator[Stand]:
    with ExitStack() as stack:
        yield Stand(home, stack.enter_context(network_namespace()), stack)


def up(*places: str) -> list[dict[str, Any]]:
    """Of a route."""
    pairs: Sequence[tuple[str, str, str]] = [one.rpartition(":") for one in places]
    return [{"address": host, "port": int(port)} for host, _, port in pairs]


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait(10)
    if process.stdout is not None:
        process.stdout.close()
