"""One tenant's list and commands, alone and beside an environment in which all that the kernel gives is fought
for: a hundred shells that do nothing but fork, and memory asked for until the kernel kills who asked."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.bench.bench import Bench
from tests.bench.client import Client
from tests.bench.figures.neighbours import _tenant, _time, _with_token
from tests.bench.measure import Goal, Row, Series, Skipped

TITLE = "a neighbour's list and exec, alone and beside a fork bomb, in turn; goal: p99 at most doubles"
_ROUNDS = 3
#: Held by the environment's limits: its processes, its memory, its share of a processor.
_BOMB = """
for n in $(seq 100); do (while :; do (:) & (:) & wait; done) & done
for n in 1 2 3; do (while :; do head -c 200000000 /dev/zero | tail; done) & done
"""


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    token, victim = _tenant(bench, "bench"), bench.client.create()
    _tenant(bench, "worst")
    limits = {"cpu": 2, "memory_mb": 128, "disk_mb": 128, "processes": 500}
    bomb = bench.client.create(tenant="worst", limits=limits)
    neighbour = Client(_with_token(bench, token))
    asks: dict[str, Callable[[], Any]] = {
        "list of the API": lambda: neighbour.call("GET", "/environments?limit=100"),
        "exec through the API": lambda: neighbour.call(
            "POST", f"/environments/{victim}/exec", {"command": ["/bin/true"]}
        ),
    }
    alone = {label: Series(f"{label}, alone", tails=("p99",)) for label in asks}
    beside = {label: Series(f"{label}, beside", tails=("p99",)) for label in asks}
    try:
        for _ in range(_ROUNDS):
            _time(asks, alone, bench.runs)
            bench.client.sh(bomb, f"({_BOMB}) </dev/null >/dev/null 2>&1 &")
            _time(asks, beside, bench.runs)
            answer = bench.client.call("POST", f"/environments/{bomb}/stop", {"timeout_s": 0})
            assert answer.status == 202, answer.body
            bench.client.until(bomb, "stopped")
            bench.client.start(bomb)
    finally:
        neighbour.close()
        bench.client.rest()
    for label in asks:
        yield alone[label].row()
        yield beside[label].row()
        grown = beside[label].row().figure("p99") / alone[label].row().figure("p99")
        yield Row(f"{label}: p99 grows by", [grown], "×", (Goal("median", 2),))
