"""Environments behind a name are asked how they are: who never answers behind one holds up no other name."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from runtime.contract.domain import Upstream
from runtime.router import checking
from runtime.router.checking import Checks
from runtime.router.table import Table


def _listening(undo: ExitStack, address: str = "127.0.0.1") -> int:
    one = undo.enter_context(socket.socket())
    one.bind((address, 0))
    one.listen(4096)
    return int(one.getsockname()[1])


def _route(*places: tuple[str, int], path: str = "") -> dict[str, Any]:
    return {"health_path": path, "upstreams": [{"address": host, "port": port} for host, port in places]}


async def _until(what: Callable[[], bool]) -> None:
    for _ in range(400):
        if what():
            return
        await asyncio.sleep(0.05)
    pytest.fail("not in time")


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "EVERY_S", 0.1)
    monkeypatch.setattr(checking, "_WITHIN_S", 0.5)


@pytest.mark.usefixtures("soon")
def test_names_whose_environments_never_answer_hold_up_no_other(tmp_path: Path) -> None:
    """Fifty behind each of twenty names made a round of 20 s: who fell ill got requests for as long."""
    with ExitStack() as undo:
        silent, well = _listening(undo, "0.0.0.0"), _listening(undo)
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            gone = int(one.getsockname()[1])
        routes = {
            f"bad{number}.example.org": _route(
                *((f"127.0.{number}.{each}", silent) for each in range(1, 51)), path="/healthz"
            )
            for number in range(20)
        }
        routes["mine.example.org"] = _route(("127.0.0.1", well), ("127.0.0.1", gone))
        file = tmp_path / "domains.json"
        file.write_text(json.dumps({"version": 1, "routes": routes}))
        ill = Upstream(address="127.0.0.1", port=gone)  # type: ignore[arg-type]

        async def attack() -> float:
            checks = Checks(Table(file))
            running = asyncio.create_task(checks.run())
            began = time.monotonic()
            await _until(lambda: not checks.is_well("mine.example.org", ill))
            took = time.monotonic() - began
            assert checks.is_well("mine.example.org", Upstream(address="127.0.0.1", port=well))  # type: ignore[arg-type]
            running.cancel()
            await asyncio.wait([running])
            return took

        assert asyncio.run(attack()) < 5


@pytest.mark.usefixtures("soon")
def test_one_that_is_ill_by_one_names_path_is_well_by_anothers(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        writer.write(b"HTTP/1.1 %d x\r\n\r\n" % (200 if b"/good" in line else 500))
        writer.close()

    async def look() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        places = (("127.0.0.1", port), ("127.0.0.2", port))
        routes = {"a.example.org": _route(*places, path="/good"), "b.example.org": _route(*places, path="/bad")}
        file = tmp_path / "domains.json"
        file.write_text(json.dumps({"version": 1, "routes": routes}))
        checks = Checks(Table(file))
        running = asyncio.create_task(checks.run())
        one = Upstream(address="127.0.0.1", port=port)
        await _until(lambda: not checks.is_well("b.example.org", one))
        assert checks.is_well("a.example.org", one)
        file.write_text(json.dumps({"version": 1, "routes": {}}))
        await _until(lambda: checks.is_well("b.example.org", one))  # forgotten with its name
        running.cancel()
        await asyncio.wait([running])
        server.close()

    asyncio.run(look())
