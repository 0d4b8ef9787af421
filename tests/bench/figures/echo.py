"""From a keystroke to its echo."""

import time
from collections.abc import Iterator
from contextlib import closing

from tests.bench.bench import Bench
from tests.bench.measure import Goal, Row, Series, Skipped

TITLE = "keystroke to echo at the WebSocket, a root shell in busybox"
#: The panel takes at most 100 messages a second from one browser; a person types slower.
_PAUSE_S = 0.013


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    made = bench.client.create()
    echo = Series("keystroke to echo", goals=(Goal("p99", 5),), tails=("p95",))
    try:
        with closing(bench.client.socket(f"/ws/environments/{made}/terminals/bench")) as socket:
            socket.send('{"type":"resume","offset":0}')
            _quiet(socket)
            for turn in range(max(500, bench.runs * 10)):
                began = time.perf_counter()
                socket.send(b"x")
                while not isinstance(socket.recv(timeout=10), bytes):
                    pass
                echo.add((time.perf_counter() - began) * 1000)
                time.sleep(_PAUSE_S)
                if turn % 60 == 59:
                    socket.send(b"\x15")  # kills the line, so that the shell never wraps it
                    _quiet(socket)
    finally:
        bench.client.delete(made)
    yield echo.row()


def _quiet(socket: object) -> None:
    """Until nothing came for a while: the prompt is there."""
    while True:
        try:
            socket.recv(timeout=0.3)  # type: ignore[attr-defined]
        except TimeoutError:
            return
