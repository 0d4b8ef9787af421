"""What one tenant may take of the gateway, which has one thread and one memory for all.

Until they are in, connections count together by where they come from; then by who pays for what they reach.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import asyncssh

#: Connections that are in, of one tenant, and of one with all below it.
MOST_OF_TENANT, MOST_OF_PAYER = 64, 256
#: Names and passwords that one connection may try; OpenSSH allows six.
MOST_TRIES = 20
#: Of a channel, sent and not yet taken by the node. Ten channels of each connection have as much.
WINDOW_BYTES, PACKET_BYTES = 2**20, 2**15
#: Read at once: of the smallest packets there are some four hundred in it, which take a tenth of a second.
_READ_BYTES = 16 * 1024
#: Answers that nobody reads.
_MOST_UNREAD_BYTES = 8 * 2**20
#: Of whoever keeps the thread busy, as many others as he waits for at most, and for how long.
_MOST_OTHERS, _LONGEST_S, _SHORTEST_S = 3, 2.0, 0.005
#: Who asked for something since then wants the thread too.
_BUSY_S = 1.0


class Unkept(dict[Any, Any]):
    """Variables that a client wants set: they go nowhere, however many there are."""

    def __setitem__(self, key: Any, value: Any) -> None: ...


@dataclass
class _Account:
    lines: "set[Line]" = field(default_factory=set)
    asked_at: float = 0.0
    until: float = 0.0
    """When it goes on."""
    is_waiting: bool = False


class Turns:
    """Whoever keeps the thread busy while others want it waits as long again for each of them."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}

    def join(self, name: str, line: "Line") -> None:
        self._accounts.setdefault(name, _Account()).lines.add(line)

    def leave(self, name: str, line: "Line") -> None:
        """A no-op for one that isn't there."""
        account = self._accounts.get(name)
        if account is not None:
            account.lines.discard(line)
            if not account.lines:
                del self._accounts[name]

    def count(self, name: str) -> int:
        account = self._accounts.get(name)
        return len(account.lines) if account is not None else 0

    def took(self, name: str, seconds: float) -> None:
        account = self._accounts.get(name)
        if account is None:
            return
        now = time.monotonic()
        account.asked_at = now
        others = sum(one is not account and now - one.asked_at < _BUSY_S for one in self._accounts.values())
        wait = seconds * min(others, _MOST_OTHERS)
        account.until = min(max(account.until, now) + wait, now + _LONGEST_S)
        if account.until - now > _SHORTEST_S and not account.is_waiting:
            account.is_waiting = True
            for line in account.lines:
                line.stop()
            asyncio.get_running_loop().call_later(account.until - now, self._go_on, account)

    def _go_on(self, account: _Account) -> None:
        left = account.until - time.monotonic()
        if left > _SHORTEST_S:
            asyncio.get_running_loop().call_later(left, self._go_on, account)
            return
        account.is_waiting = False
        for line in account.lines:
            line.go_on()


class Line:
    """One connection, as far as bytes are concerned: how much is read of it, and whether it reads."""

    def __init__(self, conn: asyncssh.SSHServerConnection, turns: Turns, account: str):
        self._conn, self._turns, self._account = conn, turns, account
        self._transport: Any = getattr(conn, "_transport", None)
        self.writable = asyncio.Event()
        self.writable.set()
        self._received: Callable[..., None] = conn.data_received
        for name, value in (
            ("data_received", self._counted),
            ("pause_writing", self.writable.clear),
            ("resume_writing", self.writable.set),
        ):
            setattr(conn, name, value)
        if self._transport is not None:
            self._transport.max_size = _READ_BYTES
        conn.set_extra_info(line=self)
        turns.join(account, self)

    def belongs_to(self, account: str) -> None:
        """From now on it counts there."""
        self._turns.leave(self._account, self)
        self._account = account
        self._turns.join(account, self)

    def closed(self) -> None:
        self.writable.set()
        self._turns.leave(self._account, self)

    def stop(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def go_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _counted(self, data: bytes, datatype: Any = None) -> None:
        begun = time.thread_time()
        self._received(data, datatype)
        self._turns.took(self._account, time.thread_time() - begun)
        if self._transport.get_write_buffer_size() > _MOST_UNREAD_BYTES:
            self._conn.abort()
