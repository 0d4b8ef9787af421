"""From a DELETE until nothing is left for the user."""

from collections.abc import Iterator

from tests.bench.bench import Bench
from tests.bench.measure import Goal, Row, Series, Skipped

TITLE = "DELETE of a running busybox environment until it is gone from the panel and the node"


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    client = bench.client
    whole = Series("DELETE to gone (event)", goals=(Goal("median", 60),), tails=("p95",))
    answered = Series("of it, until DELETE is answered")
    for turn in range(bench.runs + 2):
        made = client.create()

        def act(made: str = made) -> None:
            answered.time(lambda: client.call("DELETE", f"/environments/{made}"))
            client.until(made, "deleted")
            client.made.discard(made)

        whole.time(act)
        assert client.call("GET", f"/environments/{made}").status == 404
        if turn == 1:
            whole.values.clear()
            answered.values.clear()
    yield whole.row()
    yield answered.row()
