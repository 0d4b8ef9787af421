"""Who hangs up: what he asked for and has not begun is never done, and takes no place; slowness keeps none."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from runtime.agent import files
from runtime.agent.app import Agent
from runtime.agent.locks import MOST_WAITING, Locks
from runtime.errors import RuntimeFault
from runtime.node import Node, default_settings
from runtime.storage.trees import Trees, Written


class Client:
    """Sends one request by ASGI, and is gone when it is told to."""

    def __init__(self, path: str, method: str = "PUT"):
        self.gone = asyncio.Event()
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "query_string": b"path=YQ==",
            "headers": [],
        }
        self._body = [b"content"]
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if self._body:
            return {"type": "http.request", "body": self._body.pop(), "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)


@contextmanager
def _agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    payer = uuid4()
    with ThreadPoolExecutor(1) as execs, ThreadPoolExecutor(1) as looks:
        agent = Agent(Node(home, default_settings(home)), execs, looks)
        monkeypatch.setattr(agent, "ticket", lambda *_: SimpleNamespace(payer=payer, read_only=False))
        yield agent


def test_what_was_asked_by_who_hung_up_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request that was given up left a body of up to 1 MiB in the agent, which wrote them all, one after
    the other, whenever it came to it."""
    shut, began, written = threading.Event(), threading.Event(), [0]

    def put(*_: object) -> Written:
        began.set()
        shut.wait(60)
        written[0] += 1
        return Written(size=1, is_new=True)

    monkeypatch.setattr(Trees, "put", put)

    async def attack(agent: Agent) -> None:
        application = agent.application()
        clients = [Client(f"/v1/environments/{uuid4()}/content") for _ in range(40)]
        asked = [asyncio.ensure_future(application(one.scope, one.receive, one.send)) for one in clients]
        await asyncio.to_thread(began.wait, 60)
        for one in clients[1:]:
            one.gone.set()
        done, _ = await asyncio.wait(asked[1:], timeout=20)
        assert len(done) == 39
        shut.set()
        await asyncio.wait(asked, timeout=20)
        assert written == [1]
        assert clients[0].sent[0]["status"] == 200

    with _agent(tmp_path, monkeypatch) as agent:
        try:
            asyncio.run(attack(agent))
        finally:
            shut.set()


def test_so_many_wait_and_no_more() -> None:
    async def attack() -> None:
        whose, locks, open_again = uuid4(), Locks(2), asyncio.Event()

        async def wait() -> None:
            async with locks.of(whose):
                await open_again.wait()

        waiting = [asyncio.ensure_future(wait()) for _ in range(MOST_WAITING + 10)]
        done, _ = await asyncio.wait(waiting, timeout=0.1)
        assert [type(one.exception()) for one in done] == [RuntimeFault] * 8
        async with locks.of(uuid4()):
            open_again.set()
        await asyncio.wait(waiting, timeout=20)
        assert not locks.are_used

    asyncio.run(attack())


def test_an_archive_that_is_read_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node packs few at once: six readers of a byte a minute were all of them, for ever."""
    monkeypatch.setattr(files, "PACK_S", 0.1)
    closed = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"

    async def close() -> None:
        closed.set()

    async def attack() -> None:
        client = Client("/", "GET")

        async def never(_: object) -> None:
            await asyncio.Event().wait()

        streamed = files.Streamed(pieces(), close)
        reading = asyncio.ensure_future(streamed(client.scope, client.receive, never))
        done, _ = await asyncio.wait({reading}, timeout=10)
        reading.cancel()
        assert done
        assert closed.is_set()

    asyncio.run(attack())
