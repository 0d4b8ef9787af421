"""One tenant's list and commands, alone and beside a tenant who does his worst on every endpoint at once."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from runtime.install.layout import CHECKOUT
from tests.bench.bench import Bench
from tests.bench.client import Client
from tests.bench.measure import Goal, Row, Series, Skipped
from tests.e2e.support import Installation

TITLE = "a neighbour's list and exec, alone and beside the worst tenant, in turn; goal: p99 at most doubles"
_ROUNDS = 3
_ROWS = 60
"""Environments of the worst tenant, which are never started."""


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    worst, victim = _tenant(bench, "worst"), bench.client.create()
    loud = bench.client.create(tenant="worst")
    snapshot = _filled(bench, loud)
    for _ in range(_ROWS):
        bench.client.post_environment(tenant="worst", is_started=False)
    neighbour = Client(_with_token(bench, _tenant(bench, "bench")))
    asks: dict[str, Callable[[], Any]] = {
        "list of the API": lambda: neighbour.call("GET", "/environments?limit=100"),
        "exec through the API": lambda: neighbour.call(
            "POST", f"/environments/{victim}/exec", {"command": ["/bin/true"]}
        ),
    }
    alone = {label: Series(f"{label}, alone", tails=("p99",)) for label in asks}
    beside = {label: Series(f"{label}, beside", tails=("p99",)) for label in asks}
    bench.client.rest()
    try:
        for _ in range(_ROUNDS):
            _time(asks, alone, bench.runs)
            with _doing_his_worst(bench, worst, loud, snapshot):
                _time(asks, beside, bench.runs)
    finally:
        neighbour.close()
        bench.client.rest()
    for label in asks:
        yield alone[label].row()
        yield beside[label].row()
        grown = beside[label].row().figure("p99") / alone[label].row().figure("p99")
        yield Row(f"{label}: p99 grows by", [grown], "×", (Goal("median", 2),))


def _filled(bench: Bench, environment: str) -> str:
    """Id of a snapshot with what takes long to list and to read; and its console has said much."""
    bench.client.sh(
        environment,
        "mkdir /root/many /root/links; cd /root/many; seq 20000 | xargs touch;"
        "dd if=/dev/null of=/root/huge bs=1M seek=1000000;"
        "long=$(head -c 4000 /dev/zero | tr '\\0' x); cd ../links;"
        "for n in $(seq 1000); do ln -s $long $n; done;"
        "seq 400000 >/dev/console",
    )
    taken = bench.client.call("POST", f"/environments/{environment}/snapshots")
    assert taken.status == 202, taken.body
    path = f"/environments/{environment}/snapshots/{taken.body['id']}"
    bench.client.wait(lambda: bench.client.call("GET", path).body["state"] == "ready")
    return str(taken.body["id"])


def _time(asks: dict[str, Callable[[], Any]], into: dict[str, Series], runs: int) -> None:
    for _ in range(runs):
        for label, ask in asks.items():
            answer = into[label].time(ask)
            assert answer.status == 200, answer.body


def _tenant(bench: Bench, slug: str) -> str:
    """A token of that tenant's owner; the tenant is made when it isn't there."""
    bench.client.call("POST", "/tenants", {"name": slug.title(), "slug": slug})
    answer = bench.client.call("POST", "/tokens", {"name": slug, "tenant": slug, "role": "owner"})
    assert answer.status == 201, answer.body
    return str(answer.body["token"])


def _with_token(bench: Bench, token: str) -> Installation:
    used = bench.installation
    return Installation(used.home, used.url, used.username, used.password, token)


@contextmanager
def _doing_his_worst(bench: Bench, token: str, environment: str, snapshot: str) -> Iterator[None]:
    """From a process that stands back for the panel, as one on another machine would."""
    command = [sys.executable, "-m", "tests.bench.worst", bench.installation.url, token, environment, snapshot]
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"at it\n"
        yield
        assert process.poll() is None, "he gave up"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
