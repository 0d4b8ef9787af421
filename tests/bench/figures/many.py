"""Many environments, one after another and two at a time."""

import threading
import time
from collections.abc import Iterator

from tests.bench.bench import Bench
from tests.bench.client import Client
from tests.bench.measure import Goal, Row, Skipped

TITLE = "environments made per second, nothing failed; a next one is asked for when the last one runs"


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    bench.client.rest()
    for lanes, label in ((1, "one after another"), (2, "two at a time")):
        clients = [Client(bench.installation) for _ in range(lanes)]
        made: list[list[str]] = [[] for _ in clients]
        began = time.monotonic()
        refusals: list[str] = []
        threads = [
            threading.Thread(target=_make, args=(client, mine, bench.count // lanes, refusals))
            for client, mine in zip(clients, made, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        number = sum(len(mine) for mine in made)
        gone = time.monotonic()
        for mine in made:
            for one in mine:
                bench.client.call("DELETE", f"/environments/{one}")
        bench.client.wait(lambda: not _deleting(bench.client))
        gone_s = time.monotonic() - gone
        for client in clients:
            client.close()
        note = f"{number} made, {len(refusals)} failed {'; '.join(sorted(set(refusals)))[:200]}".strip()
        note += f"; all deleted at {number / gone_s:.0f} per second"
        yield Row(label, [number / took], "/s", (Goal("median", 20, at_least=True),), note)


def _make(client: Client, mine: list[str], number: int, refusals: list[str]) -> None:
    for _ in range(number):
        try:
            mine.append(client.create())
        except (AssertionError, OSError, TimeoutError) as failed:
            refusals.append(str(failed))


def _deleting(client: Client) -> bool:
    return bool(client.call("GET", "/environments?tenant=bench&state=deleting&limit=1").body["items"])
