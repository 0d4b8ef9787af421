"""Processor time that the installation takes while its environments do nothing."""

import time
from collections.abc import Iterator

from tests.bench.bench import Bench
from tests.bench.measure import Row, Skipped

TITLE = "processor time per second beside idle busybox environments (--count), nobody looking"
#: Two rounds of the reconciler's clean-up, the rarest of what goes on by itself.
SPAN_S = 60.0
#: What the makings left to do is done by then.
_SETTLE_S = 20.0


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    made = [bench.client.create() for _ in range(bench.count)]
    bench.client.rest()
    time.sleep(_SETTLE_S)
    before, began = bench.cpu_ms_of_roles(), time.monotonic()
    time.sleep(SPAN_S)
    after, took = bench.cpu_ms_of_roles(), time.monotonic() - began
    for role in sorted(after, key=lambda role: before.get(role, 0) - after[role]):
        spent = (after[role] - before.get(role, 0)) / took
        if spent >= 1:
            yield Row(role, [spent], "ms/s", (), f"{len(made)} environments, {took:.0f} s")
    bench.client.delete(*made)
