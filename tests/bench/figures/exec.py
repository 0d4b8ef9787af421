"""One command through the API."""

from collections.abc import Iterator

from tests.bench.bench import Bench
from tests.bench.measure import Goal, Row, Series, Skipped, ratio

TITLE = "`true` by POST …/exec in a busybox environment, on a kept connection"


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    made = bench.client.create()
    whole = Series("exec through the API", goals=(Goal("median", 20),), tails=("p95",))
    inner = Series("of it, on the node")
    floor = Series("floor: crun exec", tails=("p95",))
    try:
        for turn in range(bench.runs * 3 + 3):
            answer = whole.time(
                lambda: bench.client.call("POST", f"/environments/{made}/exec", {"command": ["/bin/true"]})
            )
            assert answer.status == 200 and answer.body["exit_code"] == 0, answer.body
            inner.add(answer.body["duration_ms"])
            floor.add(bench.inside.call("exec_floor", made))
            if turn == 2:
                for series in (whole, inner, floor):
                    series.values.clear()
    finally:
        bench.client.delete(made)
    yield whole.row()
    yield inner.row()
    yield floor.row()
    yield ratio("exec through the API / floor", whole, floor)
