"""A lost connection to Redis keeps no work from its node; a Redis that hangs holds a request up once."""

import time
from typing import Any

import pytest

from panel import dispatch
from panel.circuit_breaker import QUICK_S, Breaker


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(dispatch, "BROKER", Breaker())
    monkeypatch.setattr(dispatch.app, "send_task", lambda name, **_: names.append(name))
    return names


def test_what_a_cut_connection_of_the_cache_met_keeps_no_spec_back(sent: list[str]) -> None:
    dispatch.BROKER.failed(time.monotonic())
    assert dispatch.BROKER.rests, "pages do without it for a moment"
    assert dispatch.ask_to_survey("node-1")
    assert sent


def test_a_redis_that_hangs_is_not_asked_again_for_a_moment(sent: list[str]) -> None:
    dispatch.BROKER.failed(time.monotonic() - QUICK_S)
    assert not dispatch.ask_to_survey("node-1")
    assert sent == []


def test_a_message_that_hung_is_the_last_for_a_moment(sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(name: str, **_: Any) -> None:
        sent.append(name)
        time.sleep(QUICK_S)
        raise TimeoutError

    monkeypatch.setattr(dispatch.app, "send_task", hang)
    assert [dispatch.ask_to_survey("node-1") for _ in range(3)] == [False] * 3
    assert len(sent) == 1
