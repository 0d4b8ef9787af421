"""Many environments, one after another and two at a time: made, and started."""

import threading
import time
from collections.abc import Callable, Iterator

from tests.bench.bench import Bench
from tests.bench.client import Client
from tests.bench.measure import Goal, Row, Skipped

TITLE = "environments per second, nothing failed; the next one is asked for when the last one runs"
_LANES = ((1, "one after another"), (2, "two at a time"))
_GOAL = (Goal("median", 20, at_least=True),)


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    bench.client.rest()
    for lanes, label in _LANES:
        made: list[str] = []
        number, took, refusals = _in_lanes(
            bench, lanes, bench.count // lanes, lambda client, _, made=made: made.append(client.create())
        )
        gone = time.monotonic()
        _delete(bench, made)
        note = _note("made", number, refusals)
        note += f"; all deleted at {number / (time.monotonic() - gone):.0f} per second"
        yield Row(f"made {label}", [number / took], "/s", (), note)
    resting = [bench.client.post_environment(is_started=False)["id"] for _ in range(bench.count)]
    bench.client.wait(lambda: _count(bench.client, "stopped") >= len(resting))
    bench.client.rest()
    for lanes, label in _LANES:
        share = len(resting) // lanes
        number, took, refusals = _in_lanes(bench, lanes, share, lambda client, at: client.start(resting[at]))
        yield Row(f"started {label}", [number / took], "/s", _GOAL, _note("started", number, refusals))
        for one in resting:
            bench.client.call("POST", f"/environments/{one}/stop", {"timeout_s": 0})
        bench.client.wait(lambda: _count(bench.client, "stopped") >= len(resting))
    _delete(bench, resting)


def _in_lanes(
    bench: Bench, lanes: int, share: int, act: Callable[[Client, int], object]
) -> tuple[int, float, list[str]]:
    """How often `act` succeeded, within how many seconds, and what was refused; a client for each lane."""
    clients = [Client(bench.installation) for _ in range(lanes)]
    done: list[int] = []
    refusals: list[str] = []

    def run(client: Client, first: int) -> None:
        for at in range(first, first + share):
            try:
                act(client, at)
                done.append(at)
            except (AssertionError, OSError, TimeoutError) as failed:
                refusals.append(str(failed))

    for client in clients:
        _ = client.events  # connected before the clock runs
    threads = [threading.Thread(target=run, args=(client, lane * share)) for lane, client in enumerate(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    for client in clients:
        client.close()
    return len(done), took, refusals


def _note(word: str, number: int, refusals: list[str]) -> str:
    return f"{number} {word}, {len(refusals)} failed {'; '.join(sorted(set(refusals)))[:200]}".strip()


def _delete(bench: Bench, environments: list[str]) -> None:
    for one in environments:
        bench.client.call("DELETE", f"/environments/{one}")
    bench.client.wait(lambda: not _count(bench.client, "deleting"))


def _count(client: Client, state: str) -> int:
    found = client.call("GET", f"/environments?tenant=bench&state={state}&limit=1").body
    return int(found["count"])
