"""A node agent in a process of its own, and a client that has the panel's key."""

import asyncio
import contextlib
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed

from runtime.contract import Purpose, Ticket
from runtime.node import Node


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an async test in a loop of its own, apart from its fixtures: netlink's library has loops too."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(test(*arguments, **named))

    return run


class Screen:
    """What one client of a console or terminal got."""

    def __init__(self, socket: ClientConnection):
        self.socket = socket
        self.text = bytearray()
        self.messages: list[dict[str, Any]] = []
        self.offset = -1
        self.acknowledges = False

    async def pump(self, limit_s: float = 5.0) -> bool:
        """One message; False at the end of the connection."""
        try:
            async with asyncio.timeout(limit_s):
                data = await self.socket.recv()
        except ConnectionClosed:
            return False
        if isinstance(data, bytes):
            self.text += data
            self.offset += len(data)
            if self.acknowledges:
                await self.say(type="ack", offset=self.offset)
        else:
            message = json.loads(data)
            self.messages.append(message)
            if message["type"] == "start":
                self.offset = message["offset"]
            elif message["type"] == "gap":
                self.offset = message["to"]
        return True

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def type(self, text: bytes) -> None:
        await self.socket.send(text)

    async def until(self, wanted: bytes, limit_s: float = 30.0) -> bytes:
        """What came up to and with `wanted`; it is taken from `text`."""
        until = time.monotonic() + limit_s
        while wanted not in self.text:
            left = until - time.monotonic()
            assert left > 0, f"{wanted!r} did not come: {bytes(self.text[-2000:])!r} {self.messages}"
            try:
                assert await self.pump(left), f"closed before {wanted!r}: {bytes(self.text[-2000:])!r}"
            except TimeoutError:
                continue
        end = self.text.index(wanted) + len(wanted)
        taken = bytes(self.text[:end])
        del self.text[:end]
        return taken

    async def message(self, kind: str, limit_s: float = 30.0) -> dict[str, Any]:
        """The first control message of that kind from now or before."""
        until = time.monotonic() + limit_s
        while True:
            for one in self.messages:
                if one["type"] == kind:
                    self.messages.remove(one)
                    return one
            left = until - time.monotonic()
            assert left > 0, f"no {kind} came: {self.messages}"
            assert await self.pump(left), f"closed before {kind}: {self.messages}"

    async def everything(self, quiet_s: float) -> bytes:
        """What comes until nothing has for so long."""
        while True:
            try:
                if not await self.pump(quiet_s):
                    return bytes(self.text)
            except TimeoutError:
                return bytes(self.text)


@dataclass
class Client:
    node: Node
    key: str
    pid: int

    def ticket(self, environment_id: UUID, purpose: Purpose, **fields: Any) -> str:
        values = {
            "environment_id": environment_id,
            "node": self.node.name,
            "purpose": purpose,
            "user": "tester",
        }
        return Ticket.issue(**{**values, **fields}).sign(self.key)

    def request(self, method: str, path: str, token: str = "", body: object = None) -> tuple[int, Any]:
        with self.answer(method, path, token, body) as answer:
            text = answer.read()
        return answer.status, json.loads(text) if text else None

    @contextlib.contextmanager
    def answer(self, method: str, path: str, token: str = "", body: object = None) -> Iterator[HTTPResponse]:
        """To be read piece by piece."""
        connection = HTTPConnection("localhost", timeout=30)
        connection.sock = socket(AF_UNIX, SOCK_STREAM)
        connection.sock.settimeout(30)
        connection.sock.connect(str(self.node.agent_socket))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        try:
            yield connection.getresponse()
        finally:
            connection.close()

    def exec(self, environment_id: UUID, *command: str, **fields: Any) -> tuple[int, Any]:
        token = self.ticket(environment_id, Purpose.EXEC)
        path = f"/v1/environments/{environment_id}/exec"
        return self.request("POST", path, token, {"command": list(command), **fields})

    @asynccontextmanager
    async def watch(
        self, environment_id: UUID, name: str | None = None, *, offset: int | None = None, **fields: Any
    ) -> AsyncIterator[Screen]:
        """A console (no name) or a terminal."""
        purpose = Purpose.CONSOLE if name is None else Purpose.TERMINAL
        path = "console" if name is None else f"terminals/{name}"
        token = self.ticket(environment_id, purpose, **fields)
        async with unix_connect(
            str(self.node.agent_socket),
            f"ws://agent/v1/environments/{environment_id}/{path}",
            additional_headers={"Authorization": f"Bearer {token}"},
            compression=None,
            max_size=2**22,
        ) as connection:
            screen = Screen(connection)
            with contextlib.suppress(ConnectionClosed):  # refused at once: the messages say why
                await screen.say(type="resume", offset=-1 if offset is None else offset)
            yield screen


@pytest.fixture
def agent(node: Node) -> Iterator[Client]:
    """A running agent; fresh for each test, so that killing it is one of the things to try."""
    private = Ed25519PrivateKey.generate()
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    node.ticket_key.write_bytes(public)
    with running_agent(node) as process:
        yield Client(node, key, process.pid)


class running_agent:
    def __init__(self, node: Node):
        self.node = node

    def __enter__(self) -> subprocess.Popen[bytes]:
        self.node.agent_socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runtime.agent", "--home", str(self.node.home)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            start_new_session=True,
        )
        until = time.monotonic() + 20
        while not self.node.agent_socket.exists():
            assert self.process.poll() is None, "the agent ended"
            assert time.monotonic() < until, "the agent did not start"
            time.sleep(0.02)
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
