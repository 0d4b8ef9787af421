"""A neighbour's commands while a backup of another environment is made."""

import time
import uuid
from collections.abc import Iterator

from tests.bench.bench import Bench
from tests.bench.client import TENANT
from tests.bench.measure import Goal, Row, Series, Skipped, ms_since

TITLE = "a neighbour's exec, alone and beside a backup, in turn; goal: p99 at most doubles"
_ROUNDS = 3
#: In each round: the p99 of a few is their largest.
_ALONE = 300
_DATA_MB = 192
"""Of what no compression makes smaller: so much is read, encrypted and written each time."""


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    facts = bench.client.call("GET", "/nodes").body["items"][0]["facts"]
    if not facts.get("backup_directory"):
        yield Skipped("exec beside a backup", "the node gives no directory for backups (node.json)")
        return
    neighbour = bench.client.create()
    loud = bench.client.create(limits={"cpu": 1, "memory_mb": 128, "disk_mb": 512})
    # another one each time: what lies there opens with the password that the last one had
    name = f"bench-{uuid.uuid4().hex[:8]}"
    named = bench.client.call("POST", "/backup-targets", {"tenant": TENANT, "name": name})
    assert named.status == 201, named.body
    alone = Series("exec, alone", tails=("p99",))
    beside = Series("exec, beside a backup", tails=("p99",))
    took = Series("the backups", unit="s")
    try:
        for _ in range(_ROUNDS):
            _fill(bench, loud)
            bench.client.rest()
            for _ in range(_ALONE):
                _exec(bench, neighbour, alone)
            began = time.perf_counter()
            backup = _begin(bench, loud, name)
            while _state(bench, loud, backup) == "making":
                _exec(bench, neighbour, beside)
            took.add(ms_since(began) / 1000)
    finally:
        bench.client.call("DELETE", f"/backup-targets/{named.body['id']}")
    yield alone.row()
    yield beside.row()
    yield took.row(f"{_DATA_MB} MiB each, that differ")
    yield Row(
        "p99 grows by", [beside.row().figure("p99") / alone.row().figure("p99")], "×", (Goal("median", 2),)
    )


def _fill(bench: Bench, environment: str) -> None:
    words = f"dd if=/dev/urandom of=/root/data bs=1M count={_DATA_MB} 2>/dev/null && sync"
    bench.client.sh(environment, words)


def _begin(bench: Bench, environment: str, target: str) -> str:
    answer = bench.client.call("POST", f"/environments/{environment}/backups", {"target": target})
    assert answer.status == 202, answer.body
    return str(answer.body["id"])


def _state(bench: Bench, environment: str, backup: str) -> str:
    found = bench.client.call("GET", f"/environments/{environment}/backups/{backup}")
    assert found.status == 200, "the backup has failed: its operation says why"
    return str(found.body["state"])


def _exec(bench: Bench, environment: str, into: Series) -> None:
    path, body = f"/environments/{environment}/exec", {"command": ["/bin/true"]}
    answer = into.time(lambda: bench.client.call("POST", path, body))
    assert answer.status == 200, answer.body
