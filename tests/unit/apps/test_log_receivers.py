"""Receivers of logs that lie, talk without end and change their mind: what they cost the node and the panel."""

import http.client
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from runtime.agent import log_shipping
from runtime.agent.log_shipping import LogShippingWatch, _Shipped
from runtime.contract import Destination, LogShipping, LogsSeen
from runtime.contract.words import shipping
from runtime.errors import RuntimeFault
from runtime.node import Node, default_settings
from runtime.sandboxes import SandboxState
from runtime.shipping import sending
from runtime.shipping.reading import Reader

LINE = b"2026-11-30T21:00:00.000000000+00:00 stdout F x\n"


@pytest.mark.parametrize(
    "piece",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n",
        b"HTTP/1.1 500 x\r\n\r\n" + b"x" * 999,
    ],
    ids=["continue", "early", "body"],
)
def test_an_answer_without_end_is_not_read_for_as_long_as_it_comes(piece: bytes) -> None:
    """One that only said to go on kept a thread of the agent computing for 15 s, and all others waiting."""
    ours, theirs = socket.socketpair()

    def talk() -> None:
        try:
            while True:
                theirs.sendall(piece * 500)
        except OSError:
            theirs.close()

    talker = threading.Thread(target=talk, daemon=True)
    talker.start()
    watchdog = threading.Timer(10, lambda: ours.shutdown(socket.SHUT_RDWR))
    watchdog.start()
    began = time.thread_time()
    with ours, pytest.raises((http.client.HTTPException, RuntimeFault)):
        sending._push(ours, Destination.parse("loki+http://127.0.0.1"), b"{}")
    watchdog.cancel()
    assert time.thread_time() - began < 1
    talker.join(10)


def _watch(
    home: Path, monkeypatch: pytest.MonkeyPatch, send: Any
) -> tuple[LogShippingWatch, _Shipped, list[LogsSeen]]:
    engine = SimpleNamespace(
        sandbox=SimpleNamespace(look=lambda _: SimpleNamespace(state=SandboxState.RUNNING)), reports=None
    )
    node = Node(home, default_settings(home))
    watch = LogShippingWatch(node, lambda: engine, send)  # type: ignore[arg-type, return-value]
    spec = SimpleNamespace(id=uuid4(), tenant_id=uuid4(), name="n", app=SimpleNamespace(hosts={}))
    node.environment(spec.id).mkdir(parents=True)
    console = home / "console"
    console.mkdir()
    one = _Shipped(
        tenant_id=spec.tenant_id,
        due=0,
        spec=spec,  # type: ignore[arg-type]
        shipping=LogShipping(to="loki+http://127.0.0.1"),
        reader=Reader(console),
        seen=(first := log_shipping.noted.Note(to="x").seen),
        told=first,
    )
    with watch._turns.lock:
        watch._turns.put(spec.id, one)
    told: list[LogsSeen] = []
    monkeypatch.setattr(log_shipping, "note_logs", lambda *_: told.append(one.seen))
    monkeypatch.setattr(log_shipping, "Records", lambda *_: None)
    return watch, one, told


def test_one_that_takes_and_refuses_in_turn_is_told_of_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each change of its mind was a report, and a row of the panel's: one a second, for each of any number."""
    tries: list[int] = []

    def send(*_: object) -> None:
        tries.append(len(tries))
        if len(tries) % 2:
            raise RuntimeFault(shipping.refused("h", 500, f"reason {len(tries)}"), code="logs_not_sent")

    clock = [1000.0]
    monkeypatch.setattr(log_shipping, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    watch, one, told = _watch(tmp_path, monkeypatch, send)
    log = tmp_path / "console/log"
    for _ in range(60):
        with log.open("ab") as file:
            file.write(LINE)
        watch._do(one)
        clock[0] += 1
    assert len(tries) == 60
    assert 6 <= len(told) <= 13
    clock[0] += 10
    assert log_shipping._rests(one) is None or not one.is_untold
    watch._do(one)
    assert (told[-1].state, told[-1].message) == (one.seen.state, one.seen.message), "what it is in the end"
