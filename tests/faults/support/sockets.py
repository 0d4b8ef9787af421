"""WebSockets as a browser has them: a terminal that resumes by offset, and the stream of events."""

import json
import time
from collections.abc import Callable
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as _connected


def _open(url: str, token: str) -> ClientConnection:
    headers = {"Authorization": f"Bearer {token}"}
    found = _connected(
        url, additional_headers=headers, open_timeout=10, max_size=2**22, compression=None, legacy=True
    )
    assert isinstance(found, ClientConnection)
    return found


class Terminal:
    """Keeps every byte with its offset; reconnects by itself, and asks for what it doesn't have yet."""

    def __init__(self, url: str, token: str):
        self._url, self._token = url, token
        self._socket: ClientConnection | None = None
        self.text = b""
        self.first: int | None = None
        self.gaps: list[dict[str, Any]] = []
        self.connects = 0

    @property
    def offset(self) -> int:
        return (self.first or 0) + len(self.text)

    def open(self, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while True:
            try:
                self._connect()
                return
            except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def _connect(self) -> None:
        self.close()
        socket = _open(self._url, self._token)
        offset = -1 if self.first is None else self.offset
        socket.send(json.dumps({"type": "resume", "offset": offset}))
        while True:
            message = socket.recv(timeout=10)
            assert isinstance(message, str), "content before the start was told"
            document = json.loads(message)
            if document["type"] == "error":
                raise ConnectionClosed(None, None)
            if document["type"] == "start":
                break
        if self.first is None:
            self.first = document["offset"]
        self._socket = socket
        self.connects += 1

    def read(self, seconds: float) -> bool:
        """One message; False when none came, or the connection went away."""
        assert self._socket is not None
        try:
            message = self._socket.recv(timeout=seconds)
        except (TimeoutError, ConnectionClosed):
            return False
        if isinstance(message, bytes):
            self.text += message
            self._acknowledge()
        elif json.loads(message).get("type") == "gap":
            self.gaps.append(json.loads(message))
        return True

    def _acknowledge(self) -> None:
        assert self._socket is not None
        try:
            self._socket.send(json.dumps({"type": "ack", "offset": self.offset}))
        except ConnectionClosed:
            return

    def drop(self) -> None:
        """As a network that is gone does it: no goodbye."""
        if self._socket is not None:
            self._socket.socket.close()
            self._socket = None

    def type(self, text: str) -> None:
        for _ in range(100):
            try:
                assert self._socket is not None
                self._socket.send(text.encode())
                return
            except (ConnectionClosed, AssertionError):
                self.open()
        raise AssertionError("could not be typed")

    def until(self, wanted: bytes, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while wanted not in self.text:
            assert time.monotonic() < end, f"{wanted!r} did not come; the last is {self.text[-300:]!r}"
            if not self.read(0.5) and self.is_gone:
                self.open()

    @property
    def is_gone(self) -> bool:
        return self._socket is None or self._socket.close_code is not None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Events:
    """/ws/events, reconnecting as a page does."""

    def __init__(self, url: str, token: str):
        self._url, self._token = url, token
        self._socket: ClientConnection | None = None

    def open(self) -> None:
        self.close()
        self._socket = _open(self._url, self._token)

    def heard(self, wanted: Callable[[dict[str, Any]], bool], seconds: float) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if self._socket is None:
                    self.open()
                assert self._socket is not None
                message = self._socket.recv(timeout=max(0.05, until - time.monotonic()))
            except TimeoutError:
                continue
            except (OSError, ConnectionClosed, InvalidHandshake):
                self._socket = None
                time.sleep(0.1)
                continue
            if wanted(json.loads(message)):
                return True
        return False

    def until(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 60) -> None:
        assert self.heard(wanted, seconds), "the event did not come"

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
