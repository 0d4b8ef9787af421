"""What an environment on paper uses: waves of processor, memory and traffic, the same at every start."""

import math
from uuid import UUID

from runtime.contract import InterfaceUse, Limits, Usage


def of(environment_id: UUID, limits: object, *, runs: bool, at: float) -> Usage:
    """`at`: seconds since 1970. Counters grow with it."""
    if not runs or not isinstance(limits, Limits):
        return Usage(environment_id=environment_id, disk_bytes=_disk(environment_id, limits))
    seed = environment_id.int % 997 / 997
    busy = 0.1 + 0.7 * seed  # of its limit, on average
    memory = int(limits.memory_mb * 2**20 * (0.25 + 0.4 * seed + 0.1 * math.sin(at / 90 + 9 * seed)))
    return Usage(
        environment_id=environment_id,
        cpu_ns=int(1e9 * limits.cpu * busy * _worked(at, 150, seed) / 2),
        memory_bytes=memory,
        memory_max_bytes=int(memory * 1.2),
        processes=12 + int(40 * seed),
        disk_bytes=_disk(environment_id, limits),
        interfaces=(
            InterfaceUse(
                link=1,
                in_bytes=int(2e5 * (0.2 + seed) * _worked(at, 70, seed)),
                out_bytes=int(8e5 * (0.2 + seed) * _worked(at, 110, 1 - seed)),
            ),
        ),
    )


def _worked(now: float, period_s: float, phase: float) -> float:
    """Seconds of work since the first of the year 2026, at a rate that swings around one."""
    since, turn = now - 1_767_225_600, 2 * math.pi / period_s
    return since - 0.9 / turn * math.cos(turn * since + 6 * phase)


def _disk(environment_id: UUID, limits: object) -> int:
    part = 0.1 + environment_id.int % 89 / 120
    return int(limits.disk_mb * 2**20 * part) if isinstance(limits, Limits) else 0
