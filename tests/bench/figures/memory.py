"""Memory that an idle environment takes beyond its own processes."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import UUID

from runtime.sandboxes.shared.container import monitor_pid_file
from tests.bench.bench import Bench
from tests.bench.measure import Goal, Row, Skipped

TITLE = "memory per idle busybox environment beyond its own processes (proportional set size)"
_MIB = 2**20


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    before = _ours(bench)
    made = [bench.client.create() for _ in range(bench.count)]
    after = _ours(bench)
    monitors = [
        proportional_bytes([int(monitor_pid_file(bench.node, UUID(one)).read_text())]) / _MIB for one in made
    ]
    grown = sum(max(0, after[role] - before.get(role, 0)) for role in after) / len(made) / _MIB
    most = max(after, key=lambda role: after[role] - before.get(role, 0))
    yield Row("its conmon", monitors, "MiB")
    yield Row(
        "conmon + growth of our processes",
        [one + grown for one in monitors],
        "MiB",
        (Goal("median", 1.3 * 1e6 / _MIB),),
        f"{len(made)} environments; our processes grew by {grown * 1024:.0f} KiB for each, {most} most",
    )
    bench.client.delete(*made)


def _ours(bench: Bench) -> dict[str, int]:
    return {role: proportional_bytes(pids) for role, pids in bench.processes().items()}


def proportional_bytes(pids: Iterable[int]) -> int:
    """Bytes, shared pages counted by their share: proc_pid_smaps(5)."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)
    return total
