"""One command inside with pipes, over a WebSocket: what comes goes to its stdin, what it says goes back.

Binary frames one way are bytes of stdin, and `{"type": "eof"}` is its end. The other way each binary frame
begins with a byte that says which stream it is of; `{"type": "exit", "code": …}` is the last. Neither side is
read faster than the other takes it. It ends with the connection.
"""

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from starlette.websockets import WebSocket, WebSocketDisconnect

from runtime.console.exec import end_session
from runtime.host.autogroup import BEGINS, put_first
from runtime.node import Node
from runtime.sandboxes import sandbox_of
from runtime.sandboxes.base import Inner

STDOUT, STDERR = b"\x01", b"\x02"
_PIECE_BYTES = 64 * 1024
_REAP_S = 10.0


class Wanted(BaseModel):
    """The first message."""

    model_config = ConfigDict(extra="forbid")

    line: str = Field(default="", max_length=128 * 1024)
    sftp: bool = False


class Piped:
    def __init__(self, node: Node, environment_id: UUID, socket: WebSocket):
        self.node, self.environment_id, self._socket = node, environment_id, socket

    async def run(self, make: Callable[[Path], Awaitable[Inner]]) -> None:
        """Until it has ended, or the connection has. Raises what `make` raises."""
        with tempfile.TemporaryDirectory(prefix="session-", dir=self.node.run) as scratch:
            pid_file = Path(scratch) / "pid"
            inner = await make(pid_file)
            with inner:
                process = await asyncio.create_subprocess_exec(
                    *inner.words,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env=dict(inner.environment),
                    pass_fds=inner.descriptors,
                    start_new_session=True,
                    cwd="/",
                    limit=_PIECE_BYTES,
                )
            put_first(process.pid, BEGINS)
            try:
                await self._talk(process, pid_file)
            finally:
                if inner.apart:
                    await asyncio.to_thread(sandbox_of(self.node).end_apart, inner.apart)

    async def _talk(self, process: asyncio.subprocess.Process, pid_file: Path) -> None:
        hear, say = asyncio.create_task(self._hear(process)), asyncio.create_task(self._say(process))
        try:
            await asyncio.wait({hear, say}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if process.returncode is None:
                await self._end(process, pid_file)
            for task in (hear, say):
                task.cancel()
            await asyncio.gather(hear, say, return_exceptions=True)

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        """Returns when the other side is gone."""
        assert process.stdin is not None
        while True:
            try:
                message = await self._socket.receive()
            except (WebSocketDisconnect, RuntimeError):
                return
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            if data is None:
                process.stdin.close()
                continue
            with suppress(BrokenPipeError, ConnectionResetError, RuntimeError):
                process.stdin.write(data)
                await process.stdin.drain()

    async def _say(self, process: asyncio.subprocess.Process) -> None:
        """Returns when it has ended and all that it said was sent."""
        assert process.stdout is not None
        assert process.stderr is not None
        lock = asyncio.Lock()
        await asyncio.gather(
            self._pass_on(process.stdout, STDOUT, lock), self._pass_on(process.stderr, STDERR, lock)
        )
        code = await process.wait()
        with suppress(WebSocketDisconnect, RuntimeError):
            told = {"type": "exit", "code": code if code >= 0 else 128 - code}
            await self._socket.send_text(json.dumps(told))

    async def _pass_on(self, stream: asyncio.StreamReader, which: bytes, lock: asyncio.Lock) -> None:
        while data := await stream.read(_PIECE_BYTES):
            async with lock:
                with suppress(WebSocketDisconnect, RuntimeError):
                    await self._socket.send_bytes(which + data)

    async def _end(self, process: asyncio.subprocess.Process, pid_file: Path) -> None:
        """With all of its session; a container goes with its first process."""
        sandbox = sandbox_of(self.node)
        await asyncio.to_thread(end_session, sandbox, self.environment_id, pid_file, process.pid)
        if process.returncode is None:  # its number is nobody else's while who started it waits for it
            await asyncio.to_thread(_kill, pid_file)
        try:
            async with asyncio.timeout(_REAP_S):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()


def _kill(pid_file: Path) -> None:
    with suppress(OSError, ValueError):
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
