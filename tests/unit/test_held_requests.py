"""Requests for a name that is being replaced: they wait, so long and so many."""

import asyncio
import json
from pathlib import Path

import pytest

from runtime.router import serving
from runtime.router.serving import Router
from runtime.router.table import Table

HELD = {"https": False, "is_held": True, "closed": "It doesn't run."}
THERE = {"https": False, "upstreams": [{"address": "127.0.0.2", "port": 80}]}
ASKED = {"host": "shop.example.org", "x-wadah-scheme": "http"}


def say(file: Path, route: dict[str, object]) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps({"version": 1, "routes": {"shop.example.org": route}}))
    fresh.replace(file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    say(tmp_path / "domains.json", HELD)
    return tmp_path / "domains.json"


def test_it_goes_on_once_something_is_there(file: Path) -> None:
    router = Router(Table(file), lambda *_: True, None)

    async def ask() -> int:
        asking = asyncio.ensure_future(router.answer("/", ASKED))
        await asyncio.sleep(0)
        assert not asking.done()
        say(file, THERE)
        return (await asking).status

    assert asyncio.run(ask()) == 204


def test_not_for_ever_and_not_everybody(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    router = Router(Table(file), lambda *_: True, None)
    monkeypatch.setattr(serving, "MOST_HELD", 1)

    async def ask() -> tuple[int, int]:
        first = asyncio.ensure_future(router.answer("/", ASKED))
        await asyncio.sleep(0)
        second = (await router.answer("/", ASKED)).status
        assert not first.done()
        monkeypatch.setattr(serving, "HELD_S", 0.0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return second, (await router.answer("/", ASKED)).status

    assert asyncio.run(ask()) == (503, 503)
