"""The pools of processors of this node: one file, by which every environment's processors are told.

So a change of a pool is said once, and no spec has to be sent again for it.
"""

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from runtime.contract import CpuPools, EnvironmentSpec
from runtime.contract.processors import listed
from runtime.files import exclusive, replace_file
from runtime.node import Node


def _file(node: Node) -> Path:
    return node.root / "cpu-pools.json"


def known(node: Node) -> CpuPools:
    """None at all where nobody has said, or what was said is damaged: it is said again then."""
    try:
        return _read(_file(node).read_bytes())
    except OSError:
        return CpuPools()


@lru_cache(maxsize=4)
def _read(text: bytes) -> CpuPools:
    with suppress(ValidationError):
        return CpuPools.model_validate_json(text)
    return CpuPools()


def note(node: Node, pools: CpuPools) -> bool:
    """Keeps them as what holds from now on; False when these or newer ones are known. `OSError` on a full
    disk."""
    with exclusive(node, "cpu-pools"):
        before = known(node)
        if before == pools or before.revision > pools.revision:
            return False
        replace_file(_file(node), pools.model_dump_json())
    return True


def processors_of(node: Node, spec: EnvironmentSpec, cpu: float) -> str:
    """Those that an environment with this cap may run on, as cpuset(7) writes them: all of its pool, or of
    those that are in none as many as the cap needs whole ones."""
    pools = known(node)
    there = range(os.cpu_count() or 1)
    if spec.cpu_pool:
        mine = [number for number in pools.of(spec.cpu_pool) if number in there]
        return listed(mine or pools.others(there) or list(there))
    return spread(cpu, spec.slot, pools.others(there) or list(there))


def spread(cpu: float, slot: int, offered: Sequence[int]) -> str:
    """As many of them as the cap needs whole ones, by slot, so that `nproc` inside says what was sold. All of
    them when the cap is as large."""
    wanted = min(len(offered), max(1, math.ceil(cpu)))
    first = 0 if wanted == len(offered) else slot * wanted % len(offered)
    return listed(sorted(offered[(first + step) % len(offered)] for step in range(wanted)))
