"""A whole Debian until multi-user."""

import time
from collections.abc import Iterator

from tests.bench.bench import Bench
from tests.bench.measure import Goal, Row, Series, Skipped

TITLE = "POST until systemd of debian-12 says that multi-user is reached"
#: Whoever asks during the boot slows it down; it is asked afterwards, and systemd's own clock counts.
_LEAVE_ALONE_S = 0.8
_LIMITS = {"cpu": 2, "memory_mb": 512, "disk_mb": 2048}


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    whole = Series("POST to multi-user", goals=(Goal("median", 300),), tails=("p95",))
    started = Series("of it, until init runs")
    booted = Series("of it, systemd itself")
    blame: dict[str, Series] = {}
    for turn in range(bench.runs // 2 + 1):
        began = time.monotonic()
        made = bench.client.post_environment("debian-12", limits=_LIMITS)["id"]
        time.sleep(_LEAVE_ALONE_S)
        first, last = bench.client.wait(lambda made=made: _times(bench, made))
        if turn:
            whole.add((last - began) * 1000)
            started.add((first - began) * 1000)
            booted.add((last - first) * 1000)
            for line in bench.client.sh(made, "systemd-analyze blame --no-pager | head -8").splitlines():
                took, _, unit = line.strip().rpartition(" ")
                blame.setdefault(unit, Series(unit)).add(_ms(took))
        bench.client.delete(made)
    longest = sorted(blame.values(), key=lambda one: -one.row().figure("median"))[:5]
    note = ", ".join(f"{one.label} {one.row().figure('median'):.0f}" for one in longest)
    yield whole.row()
    yield started.row()
    yield booted.row(note=f"longest units: {note}")


def _times(bench: Bench, made: str) -> tuple[float, float] | None:
    """When systemd started and when it reached multi-user, in seconds of the host's monotonic clock; that of an
    environment began with it (time_namespaces(7))."""
    script = (
        "systemctl show -P UserspaceTimestampMonotonic;"
        "systemctl show -P ActiveEnterTimestampMonotonic multi-user.target; cat /proc/self/timens_offsets"
    )
    answer = bench.client.call("POST", f"/environments/{made}/exec", {"command": ["/bin/sh", "-c", script]})
    lines = answer.body.get("stdout", "").splitlines() if answer.status == 200 else []
    if len(lines) < 2 or not all(line.isdigit() and int(line) for line in lines[:2]):
        return None
    offsets = {words[0]: int(words[1]) + int(words[2]) / 1e9 for words in map(str.split, lines[2:])}
    began = offsets.get("monotonic", 0.0)
    return int(lines[0]) / 1e6 - began, int(lines[1]) / 1e6 - began


def _ms(text: str) -> float:
    """systemd's way to write a span, such as `1.203s` or `1min 3.4s` or `240ms`."""
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0, "min": 60_000.0}
    total = 0.0
    for word in text.split():
        unit = word.lstrip("0123456789.")
        total += float(word.removesuffix(unit)) * units[unit]
    return total
