"""Pools of processors: whoever is in one runs on its processors, and nobody else does."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from runtime.contract import CpuPool, CpuPools, EnvironmentSpec, Limits
from runtime.contract.processors import listed
from runtime.engine import Engine
from runtime.host.cgroup import groups
from runtime.node import Node
from runtime.pooling import hold
from runtime.sandboxes.shared.cgroup import Cgroup
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs

LAST = (os.cpu_count() or 1) - 1
LIMITS = Limits(cpu=1, memory_mb=128, disk_mb=256)
EVERYWHERE = Limits(cpu=LAST + 1, memory_mb=128, disk_mb=256)
_revisions = count(1)

pytestmark = pytest.mark.skipif(LAST == 0, reason="one processor can't be kept from anybody")
Pool = Callable[..., CpuPools]


@pytest.fixture
def pool(node: Node) -> Iterator[Pool]:
    """Has the node hold one pool of these processors, called `db`; of none, no pool."""

    def make(*processors: int) -> CpuPools:
        pools = (CpuPool(name="db", processors=processors),) if processors else ()
        made = CpuPools(revision=next(_revisions), pools=pools)
        hold(node, made)
        return made

    yield make
    make()


def may_run_on(node: Node, spec: EnvironmentSpec) -> str:
    """As the kernel has it, seen from inside."""
    return sh(node, spec, "grep Cpus_allowed_list /proc/self/status").split()[1]


def _group(node: Node, spec: EnvironmentSpec) -> Path:
    control = groups()
    return control.root / ("cpuset" if control.version == 1 else "") / Cgroup(node).path(spec) / "cpuset.cpus"


def test_solaris_zone_a_pool_is_nobody_elses(
    make: Make, node: Node, engine: Engine, specs: Specs, pool: Pool
) -> None:
    other, mine = make(limits=EVERYWHERE), make(limits=LIMITS)
    assert may_run_on(node, other) == f"0-{LAST}"
    pool(LAST)
    assert may_run_on(node, other) == listed(range(LAST)), "it was moved while it runs"
    report = engine.apply(specs.change(mine, cpu_pool="db"))
    assert report is not None and not report.code, report.message
    assert may_run_on(node, mine) == str(LAST)
    assert _group(node, specs.change(mine)).read_text().strip() == str(LAST), "as the host has it"
    assert sh(node, mine, "nproc").strip() == "1"


def test_it_is_let_go_when_it_leaves_or_the_pool_is_gone(
    make: Make, node: Node, engine: Engine, specs: Specs, pool: Pool
) -> None:
    old = pool(LAST)
    spec = make(limits=EVERYWHERE, cpu_pool="db")
    assert may_run_on(node, spec) == str(LAST)
    spec = specs.change(spec, cpu_pool="")
    engine.apply(spec)
    assert may_run_on(node, spec) == listed(range(LAST))
    pool()
    assert may_run_on(node, spec) == f"0-{LAST}"
    hold(node, old)
    assert may_run_on(node, spec) == f"0-{LAST}", "older pools than those that are known change nothing"


def test_a_pool_that_is_not_there_is_refused_and_nothing_is_made(
    node: Node, engine: Engine, specs: Specs, busybox: str
) -> None:
    spec = specs.new(limits=LIMITS, cpu_pool="none")
    report = engine.apply(spec)
    assert report is not None
    assert report.code == "no_such_pool"
    assert "none" in str(report.message)
    assert not _group(node, spec).exists()


def test_what_somebody_moved_is_moved_back(make: Make, node: Node, engine: Engine, pool: Pool) -> None:
    pool(LAST)
    spec = make(limits=LIMITS, cpu_pool="db")
    _group(node, spec).write_text("0")
    assert may_run_on(node, spec) == "0"
    assert engine.reconciler.mend(spec.id, engine.again) is not None
    assert may_run_on(node, spec) == str(LAST)
