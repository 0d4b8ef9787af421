"""From a POST until the environment runs."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from tests.bench.bench import Bench
from tests.bench.measure import Goal, Row, Series, Skipped, ratio
from tests.bench.peers import peers

TITLE = "POST until `running` is seen, busybox, all limits and confinement; panel, queue and database included"


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    client = bench.client
    whole = Series("POST to running (event)", goals=(Goal("median", 60), Goal("p95", 120)))
    polled = Series("POST to running (GET every 5 ms)", tails=("p95",))
    answered = Series("of it, until POST is answered")
    floor = Series("floor: crun run, same tree", tails=("p95",))
    steps: dict[str, Series] = {}
    spent = Series("processor time, create and delete")
    with ExitStack() as stack:
        others = [stack.enter_context(peer) for peer in peers(bench)]
        for turn in range(bench.runs + 3):
            before = bench.cpu_ms()
            made = _timed(bench, whole, answered)
            client.delete(made["id"])
            spent.add(bench.cpu_ms() - before)
            _steps(bench, made, steps)
            client.delete(_polled(bench, polled))
            floor.add(bench.inside.call("run_floor", "busybox"))
            for peer in others:
                peer.turn()
            if turn == 2:  # the first turns warm the pools and caches up
                for series in (whole, polled, answered, floor, spent, *steps.values()):
                    series.values.clear()
        yield whole.row(note="steps on the node: " + ", ".join(
            f"{name} {series.row().figure('median'):.1f}" for name, series in steps.items()
        ))  # fmt: skip
        yield answered.row()
        yield polled.row()
        yield spent.row(note="of all our processes together; others on the machine move it far less")
        yield floor.row()
        yield ratio("POST to running / floor", whole, floor)
        for peer in others:
            if peer.reason:
                yield Skipped(peer.label, peer.reason)
            else:
                yield peer.series.row()
                yield ratio(f"POST to running / {peer.label}", whole, peer.series)


def _timed(bench: Bench, whole: Series, answered: Series) -> dict[str, Any]:
    def act() -> dict[str, Any]:
        made: dict[str, Any] = answered.time(bench.client.post_environment)
        bench.client.until(made["id"], "running")
        return made

    made: dict[str, Any] = whole.time(act)
    assert bench.client.call("GET", f"/environments/{made['id']}").body["state"] == "running"
    return made


def _polled(bench: Bench, polled: Series) -> str:
    def act() -> str:
        made = bench.client.post_environment()["id"]
        bench.client.wait(
            lambda: bench.client.call("GET", f"/environments/{made}").body["state"] == "running", every_s=0.005
        )
        return str(made)

    return str(polled.time(act))


def _steps(bench: Bench, made: dict[str, Any], steps: dict[str, Series]) -> None:
    for step in bench.client.call("GET", f"/operations/{made['operation']['id']}").body["steps"]:
        steps.setdefault(step["name"], Series(step["name"])).add(step["duration_ms"])
