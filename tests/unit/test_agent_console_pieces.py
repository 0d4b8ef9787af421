"""A console of very many short lines, opened by many at once: the agent goes on with all else."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from runtime.agent.session import Session
from runtime.agent.stream import Stream
from runtime.console import log

VIEWERS = 8


class _Socket:
    """Takes whatever it is sent at once, as one whose other end reads on. `pieces`: when each came, in turns of
    the loop."""

    def __init__(self, turns: list[int]) -> None:
        self.pieces: list[int] = []
        self.content = b""
        self._turns, self._is_first = turns, True

    async def receive(self) -> dict[str, Any]:
        if self._is_first:
            self._is_first = False
            return {"type": "websocket.receive", "text": '{"type": "resume", "offset": -1}'}
        await asyncio.Event().wait()
        raise AssertionError

    async def send_bytes(self, piece: bytes) -> None:
        self.pieces.append(self._turns[0])
        self.content += piece

    async def send_text(self, _: str) -> None:
        pass


def _printed(directory: Path, lines: int) -> None:
    stamp = b"2026-11-30T00:00:00.000000000+00:00"
    directory.mkdir()
    (directory / "log").write_bytes(b"".join(stamp + b" stdout F %d\n" % n for n in range(lines)))


async def _opened(directory: Path) -> list[_Socket]:
    """Eight viewers of it, each after it has all of the tail."""
    turns = [0]

    async def turn() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    async def stand_back() -> None:
        await asyncio.sleep(0)

    ticking = asyncio.ensure_future(turn())
    stream = Stream(directory, directory, lambda _: None)
    sockets = [_Socket(turns) for _ in range(VIEWERS)]
    viewing = [
        asyncio.ensure_future(Session(one, stream, stand_back, read_only=True).run())  # type: ignore[arg-type]
        for one in sockets
    ]
    async with asyncio.timeout(60):
        while not all(one.content.endswith(b"\n60000\n") for one in sockets):  # noqa: ASYNC110 (no event)
            await asyncio.sleep(0.01)
    for task in (ticking, *viewing):
        task.cancel()
    await asyncio.gather(ticking, *viewing, return_exceptions=True)
    stream.close()
    return sockets


def test_all_else_goes_on_between_two_pieces(tmp_path: Path) -> None:
    _printed(tmp_path / "console", 60_001)
    for one in asyncio.run(_opened(tmp_path / "console")):
        assert len(one.pieces) > 3
        assert len(set(one.pieces)) == len(one.pieces), "two of them in one turn of the loop"


def test_what_many_ask_for_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded, decode = [0], log.decode

    def counted(records: bytes) -> bytes:
        decoded[0] += len(records)
        return decode(records)

    monkeypatch.setattr(log, "decode", counted)
    _printed(tmp_path / "console", 60_001)
    size = (tmp_path / "console" / "log").stat().st_size
    contents = {one.content for one in asyncio.run(_opened(tmp_path / "console"))}
    assert len(contents) == 1
    assert decoded[0] < 3 * size, "once to count it, once for all who look"
