"""F08, B18: a console that prints without end, a viewer that doesn't read, and one that only pings."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.e2e.support import Installation

MIB = 2**20


@contextmanager
def _terminal(wadah: Installation, environment: str, name: str) -> Iterator[ClientConnection]:
    address = f"{wadah.url.replace('http', 'ws', 1)}/ws/environments/{environment}/terminals/{name}"
    headers = {"Authorization": f"Bearer {wadah.token}"}
    with connect(
        address, additional_headers=headers, compression=None, open_timeout=30, close_timeout=0.5
    ) as made:
        made.send(json.dumps({"type": "resume", "offset": -1}))
        yield made


def _answers(terminal: ClientConnection, number: int) -> None:
    """What is typed is run, and its answer comes."""
    terminal.send(f"echo $(({number}+1))\n".encode())
    wanted, seen, until = str(number + 1).encode(), b"", time.monotonic() + 30
    while wanted not in seen:
        assert time.monotonic() < until, seen[-200:]
        message = terminal.recv(timeout=30)
        seen += message if isinstance(message, bytes) else b""


def _memory(wadah: Installation) -> dict[str, int]:
    """Bytes that each role holds alone, its children included (proc(5), `smaps_rollup`)."""
    told = json.loads(wadah.wadah("status", "--json").stdout)["processes"]
    pids = {one["role"]: one["pid"] for one in told if one["role"] in ("agent", "ws", "front")}
    assert len(pids) == 3
    return {role: sum(_private(one) for one in _family(pid)) for role, pid in pids.items()}


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _private(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


@pytest.fixture
def other(wadah: Installation) -> Iterator[str]:
    made = wadah.create()
    yield made
    wadah.delete(made)


def test_f08_a_viewer_that_does_not_read_costs_no_memory_and_holds_up_nobody(
    wadah: Installation, environment: str, other: str
) -> None:
    with _terminal(wadah, environment, "loud") as loud, _terminal(wadah, other, "quiet") as quiet:
        _answers(loud, 100)
        _answers(quiet, 200)
        before = _memory(wadah)
        loud.send(b"yes without-end\n")
        for number in range(300, 306):
            _answers(quiet, number)
            time.sleep(0.2)
        grown = {role: now - before[role] for role, now in _memory(wadah).items()}
        assert max(grown.values()) < 50 * MIB, grown
        _answers(quiet, 400)
    wadah.call("DELETE", f"/environments/{environment}/terminals/loud")


def test_f08_twenty_thousand_pings_are_no_load_for_others(
    wadah: Installation, environment: str, other: str
) -> None:
    with _terminal(wadah, environment, "pings") as pings, _terminal(wadah, other, "quiet") as quiet:
        _answers(quiet, 100)
        before = _memory(wadah)
        for number in range(20_000):
            pings.ping(b"%d" % number)
            if number % 5000 == 0:
                _answers(quiet, 200 + number)
        grown = {role: now - before[role] for role, now in _memory(wadah).items()}
        assert max(grown.values()) < 50 * MIB, grown
        _answers(pings, 300)
        _answers(quiet, 400)
