"""One client's WebSocket on one stream: control messages in, typed bytes in, content out."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from runtime.agent.stream import Stream, Viewer

#: A client says first where it wants to begin; after this it begins at the tail.
_FIRST_MESSAGE_S = 1.0
MAX_COLUMNS, MAX_ROWS = 1000, 500
#: Bytes of one binary message; clients cut what is pasted.
MAX_TYPED_BYTES = 4096
MAX_CONTROL_BYTES = 1024
EXIT_STATUS_WITHIN_S = 2.0

Ended = Callable[[], int | None]
StandBack = Callable[[], Awaitable[None]]


class Session:
    """Runs until either side goes away, or the terminal's shell ends."""

    def __init__(
        self,
        socket: WebSocket,
        stream: Stream,
        stand_back: StandBack,
        *,
        read_only: bool,
        exit_code: Ended | None = None,
    ):
        """`stand_back` lets others go first; it is awaited between pieces of what was printed long ago, which
        cost the more of the loop's time the shorter their lines are. `exit_code` is asked when the stream has
        stopped: a terminal ends with its shell, a console (None) goes on over reboots."""
        self._socket = socket
        self._stream = stream
        self._viewer = Viewer(stream, read_only=read_only)
        self._stand_back = stand_back
        self._exit_code = exit_code
        self._warned = False

    async def run(self) -> None:
        first = await self._first_message()
        offset = first.get("offset", -1) if first.get("type") == "resume" else -1
        start = await self._stream.join(self._viewer, offset if isinstance(offset, int) else -1)
        try:
            await self._say(start)
            if isinstance(offset, int) and 0 <= offset < self._viewer.cursor:
                await self._say({"type": "gap", "from": offset, "to": self._viewer.cursor})
            await self._say({"type": "state", "state": "running" if self._stream.running else "stopped"})
            if first and first.get("type") != "resume":
                self._control(first)
            await self._both_ways()
        finally:
            self._stream.leave(self._viewer)

    async def _both_ways(self) -> None:
        hear = asyncio.create_task(self._hear())
        tell = asyncio.create_task(self._tell())
        try:
            await asyncio.wait({hear, tell}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (hear, tell):
                task.cancel()
            results = await asyncio.gather(hear, tell, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, (WebSocketDisconnect, RuntimeError)):
                raise result

    # in --------------------------------------------------------------------------------------

    async def _first_message(self) -> dict[str, Any]:
        """The first control message; empty when none comes in time, or typing comes first."""
        try:
            async with asyncio.timeout(_FIRST_MESSAGE_S):
                message = await self._socket.receive()
        except TimeoutError:
            return {}
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        return parse_control(message.get("text") or "")

    async def _hear(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            if data is not None:
                self._type(data)
            elif control := parse_control(message.get("text") or ""):
                self._control(control)

    def _type(self, data: bytes) -> None:
        if self._viewer.read_only:
            self._warn("read_only", "You may watch here, not type.")
        elif len(data) > MAX_TYPED_BYTES:
            self._warn("too_long", f"At most {MAX_TYPED_BYTES} bytes may come in one message.")
        elif not self._stream.type(data):
            self._warn("not_taken", "Nothing inside reads what is typed; it was dropped.")

    def _control(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "ack" and _is_number(message.get("offset"), 0, 1 << 62):
            self._viewer.acknowledge(message["offset"])
        elif kind == "ping":
            self._viewer.notify({"type": "pong", "id": _small(message.get("id"))})
        elif kind == "resize" and not self._viewer.read_only:
            columns, rows = message.get("cols"), message.get("rows")
            if _is_number(columns, 1, MAX_COLUMNS) and _is_number(rows, 1, MAX_ROWS):
                self._stream.resize(message["cols"], message["rows"])

    def _warn(self, code: str, message: str) -> None:
        """Once for each connection and cause would be enough; a flood of typing makes no flood of answers."""
        if not self._warned:
            self._warned = True
            self._viewer.notify({"type": "error", "code": code, "message": message})

    # out -------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        viewer, stream = self._viewer, self._stream
        while True:
            viewer.wake.clear()
            while viewer.notices:
                await self._say(viewer.notices.popleft())
            offset, piece = stream.piece(viewer.cursor) if viewer.may_send and not stream.closed else (0, b"")
            if piece:
                if offset != viewer.cursor:
                    await self._say({"type": "gap", "from": viewer.cursor, "to": offset})
                await self._socket.send_bytes(piece)
                viewer.sent(offset + len(piece))
                if viewer.cursor < stream.log.end:
                    await self._stand_back()
                continue
            if stream.closed or (viewer.may_send and await self._has_ended()):
                return
            await viewer.wake.wait()

    async def _has_ended(self) -> bool:
        """Tells the end of a terminal's shell, after all that it said."""
        if self._exit_code is None or self._stream.running or not self._stream.seen_running:
            return False
        self._stream.read_rest()
        if self._stream.piece(self._viewer.cursor)[1]:
            self._viewer.wake.set()
            return False
        await self._say({"type": "exit", "code": await self._exit_status()})
        return True

    async def _exit_status(self) -> int | None:
        """conmon writes it a moment after the shell is gone. None when it doesn't within two seconds."""
        assert self._exit_code is not None
        until = time.monotonic() + EXIT_STATUS_WITHIN_S
        while (code := self._exit_code()) is None and time.monotonic() < until:  # noqa: ASYNC110 (a file)
            await asyncio.sleep(0.02)
        return code

    async def _say(self, message: dict[str, object]) -> None:
        await self._socket.send_text(json.dumps(message, separators=(",", ":")))


def parse_control(text: str) -> dict[str, Any]:
    """The message, or an empty one for whatever isn't a small JSON object with a type."""
    if not text or len(text) > MAX_CONTROL_BYTES:
        return {}
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(text)
        if isinstance(found, dict) and isinstance(found.get("type"), str):
            return found
    return {}


def _is_number(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _small(value: object) -> int:
    return value if type(value) is int and 0 <= value < 1 << 53 else 0
