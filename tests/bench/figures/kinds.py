"""The same system on each kernel that this node has: start, commands, system calls, files, disk."""

import time
from collections.abc import Iterator

from tests.bench.bench import Bench
from tests.bench.measure import Goal, Row, Series, Skipped, ratio

TITLE = "a busybox system by kernel; from POST to the end of its first command, and what it does inside"
LIMITS = {"cpu": 1, "memory_mb": 256, "disk_mb": 512}
KERNELS = ("shared", "guarded", "own")
#: Each says how many of what it did in a second: calls are read(2) and write(2) of one byte.
_INSIDE = {
    "system calls": ("calls/s", "n=500000; dd if=/dev/zero of=/dev/null bs=1 count=$n 2>/dev/null; n=$((n*2))"),
    "fork and exec": ("/s", "n=100; i=0; while [ $i -lt $n ]; do /bin/true; i=$((i+1)); done"),
    "files made and removed": (
        "/s",
        "n=300; i=0; while [ $i -lt $n ]; do : >/f$i; i=$((i+1)); done; rm -f /f*",
    ),
    "written and synced": (
        "MiB/s",
        "n=64; dd if=/dev/zero of=/big bs=1M count=$n conv=fsync 2>/dev/null; rm /big",
    ),
}


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    offered = {one["kernel"] for one in _matrix(bench) if one["kind"] == "system" and one["offered"]}
    starts = {kernel: Series(f"start, {kernel}") for kernel in KERNELS}
    bare = Series("start of bare linux.uml")
    for kernel in KERNELS:
        if kernel not in offered:
            yield Skipped(kernel, "this node doesn't offer it")
            continue
        for _ in range(max(3, bench.runs // 6)):
            made = starts[kernel].time(lambda kernel=kernel: _started(bench, kernel))
            if kernel == "own":
                bare.add(bench.inside.call("uml_floor"))
            bench.client.delete(made)
        yield starts[kernel].row()
        yield from _inside(bench, kernel)
    if bare.values:
        yield bare.row()
        row = ratio("own / bare linux.uml", starts["own"], bare)
        yield Row(row.label, row.values, row.unit, (Goal("median", 1.5),))


def _matrix(bench: Bench) -> list[dict[str, object]]:
    node = bench.client.call("GET", "/nodes").body["items"][0]["id"]
    found: list[dict[str, object]] = bench.client.call("GET", f"/nodes/{node}/matrix").body["items"]
    return found


def _started(bench: Bench, kernel: str) -> str:
    made = bench.client.create(kernel=kernel, limits=LIMITS)
    assert bench.client.sh(made, "echo up") == "up"
    return made


def _inside(bench: Bench, kernel: str) -> Iterator[Row]:
    made = _started(bench, kernel)
    runs = Series(f"command, {kernel}")
    for _ in range(bench.runs):
        runs.time(lambda: bench.client.sh(made, "true"))
    yield runs.row()
    for name, (unit, script) in _INSIDE.items():
        rates = Series(f"{name}, {kernel}", unit=unit)
        for _ in range(3):
            timed = (
                "a=$(cut -d' ' -f1 /proc/uptime); "
                + script
                + "; b=$(cut -d' ' -f1 /proc/uptime); echo $n $a $b"
            )
            count, began, ended = map(float, bench.client.sh(made, timed).split())
            rates.add(count / max(0.01, ended - began))
        yield rates.row()
    yield Row(f"memory, {kernel}", [_memory_bytes(bench, made) / 2**20], "MiB")
    bench.client.delete(made)


def _memory_bytes(bench: Bench, made: str) -> int:
    """The node tells of a new one within seconds."""
    until = time.monotonic() + 30
    while (usage := bench.client.call("GET", f"/environments/{made}").body["usage"]) is None:
        assert time.monotonic() < until, "nothing was told of its memory"
        time.sleep(0.5)
    return int(usage["memory_bytes"])
