"""The driver for cgroup v2 keeps to the kernel's rules; cgroup2.py says what that shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.contract import CpuPool, CpuPools
from runtime.contract.processors import listed
from runtime.cpu_pools import spread
from runtime.host.cgroup.base import MOST_DEPTH, Counter, GroupLimits
from runtime.host.cgroup.unified import UnifiedGroups
from tests.unit.cgroup2 import PAGE, PROCESSORS, Cgroup2, cgroup2

PATH = "wadah/tenant/environment"
LIMITS = GroupLimits(
    cpu=0.5,
    cpu_weight=200,
    memory_bytes=64 * 2**20,
    swap_bytes=0,
    processes=100,
    cpus="0",
    device="8:0",
    write_bytes_s=1_000_000,
    groups=20,
)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Cgroup2]:
    with cgroup2(tmp_path) as one:
        yield one


def _read(tree: Cgroup2, path: str) -> str:
    return (tree.root / path).read_text().strip()


def test_a_group_is_made_with_its_controllers_down_to_the_processes(tree: Cgroup2) -> None:
    groups = UnifiedGroups(tree.root)
    assert groups.create(PATH)
    assert not groups.create(PATH)
    payload = groups.payload(PATH)
    assert set(_read(tree, f"{payload}/cgroup.controllers").split()) == {
        "cpu",
        "cpuset",
        "memory",
        "pids",
        "io",
    }
    assert groups.children("wadah/tenant") == ["environment"]


def test_a_process_can_join_where_the_oci_runtime_puts_it(tree: Cgroup2) -> None:
    """And nowhere above: a group whose controllers are handed on takes no process."""
    groups = UnifiedGroups(tree.root)
    groups.create(PATH)
    tree.write(tree.root / groups.payload(PATH) / "cgroup.procs", "4242")
    assert groups.processes(PATH) == [4242]
    with pytest.raises(OSError, match="busy"):
        tree.write(tree.root / PATH / "cgroup.procs", "4243")
    assert not groups.create(PATH)  # with processes in it nothing is handed on anew, so nothing is refused


def test_limits_stand_where_the_environment_cannot_change_them(tree: Cgroup2) -> None:
    groups = UnifiedGroups(tree.root)
    groups.create(PATH)
    groups.limit(PATH, LIMITS)
    groups.delegate(PATH, 70_000)
    assert groups.limits(PATH) == {
        "cpu.max": "50000 100000",
        "cpu.weight": "200",
        "memory.max": str(64 * 2**20),
        "memory.swap.max": "0",
        "pids.max": "100",
        "io.max": "8:0 rbps=max wbps=1000000 riops=max wiops=max",
    }
    payload = tree.root / groups.payload(PATH)
    assert {path.parent for path in tree.owners if path != payload} == {payload}
    assert {path.name for path in tree.owners} == {
        "payload", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control",
    }  # fmt: skip
    # what looks for limits inside finds them at the top of what it sees
    assert _read(tree, f"{groups.payload(PATH)}/memory.max") == str(64 * 2**20)
    assert _read(tree, f"{groups.payload(PATH)}/cpu.max") == "50000 100000"


@pytest.mark.parametrize(
    ("cpu", "written"), [(None, "max 100000"), (0.001, "1000 100000"), (2, "200000 100000")]
)
def test_no_cap_is_too_small_for_the_kernel(tree: Cgroup2, cpu: float | None, written: str) -> None:
    groups = UnifiedGroups(tree.root)
    groups.create(PATH)
    groups.limit(PATH, GroupLimits(cpu=cpu, memory_bytes=None, swap_bytes=None, processes=None))
    assert groups.limits(PATH)["cpu.max"] == written


def test_a_pool_of_processors_is_its_environments_alone(tree: Cgroup2) -> None:
    """And follows a change of the pool while they run; what somebody moved is told by what is promised."""
    groups = UnifiedGroups(tree.root)
    inside, outside = "wadah/tenant/inside", "wadah/other/outside"

    def hold(*processors: int) -> tuple[frozenset[int], frozenset[int]]:
        pools = CpuPools(pools=(CpuPool(name="db", processors=processors),) if processors else ())
        others = pools.others(range(PROCESSORS))
        for path, cpus in (
            (inside, listed(pools.of("db") or others)),
            (outside, spread(PROCESSORS, 0, others)),
        ):
            groups.limit(path, GroupLimits(cpus=cpus))
        return tuple(tree.runs_on(tree.root / groups.payload(one)) for one in (inside, outside))  # type: ignore[return-value]

    for path in (inside, outside):
        groups.create(path)
    assert hold(6, 7) == ({6, 7}, {0, 1, 2, 3, 4, 5})
    assert groups.promised(inside)["cpuset.cpus"] == "6-7"
    assert hold(1, 2, 5) == ({1, 2, 5}, {0, 3, 4, 6, 7})
    tree.write(tree.root / inside / "cpuset.cpus", "0")
    assert groups.promised(inside)["cpuset.cpus"] != "1-2,5", "the reconciler sees that it was moved"
    everywhere = frozenset(range(PROCESSORS))
    assert hold() == (everywhere, everywhere)
    with pytest.raises(OSError, match="out of range"):
        groups.limit(inside, GroupLimits(cpus=f"{PROCESSORS}"))


def test_a_limit_of_disk_io_is_taken_away_again(tree: Cgroup2) -> None:
    groups = UnifiedGroups(tree.root)
    groups.create(PATH)
    groups.limit(PATH, LIMITS)
    groups.limit(PATH, GroupLimits(cpu=None, memory_bytes=None, swap_bytes=None, processes=None, device="8:0"))
    assert groups.limits(PATH)["io.max"] == ""


def test_root_inside_can_divide_it_so_far_and_no_further(tree: Cgroup2) -> None:
    groups = UnifiedGroups(tree.root)
    groups.create(PATH)
    groups.limit(PATH, LIMITS)
    payload = tree.root / groups.payload(PATH)
    made = 0
    with pytest.raises(BlockingIOError):
        while made < 100:
            tree.mkdir(payload / f"g{made}")
            made += 1
    assert made <= 20
    assert _read(tree, f"{PATH}/cgroup.max.depth") == str(MOST_DEPTH)


def test_frozen_thawed_killed_and_taken_away(tree: Cgroup2) -> None:
    groups = UnifiedGroups(tree.root)
    groups.create(PATH)
    payload = tree.root / groups.payload(PATH)
    tree.mkdir(payload / "init.scope")
    tree.write(payload / "init.scope" / "cgroup.procs", "4242")
    groups.freeze(PATH, True, 1)
    assert groups.frozen(PATH)
    groups.freeze(PATH, False, 1)
    assert not groups.frozen(PATH)
    with pytest.raises(OSError, match="busy"):
        groups.remove(PATH)
    groups.kill(PATH)
    assert groups.processes(PATH) == []
    assert groups.remove(PATH)
    assert not groups.remove(PATH)
    assert groups.children("wadah/tenant") == []


def test_all_environments_together_are_bounded_from_the_top(tree: Cgroup2) -> None:
    groups = UnifiedGroups(tree.root)
    assert groups.bound_tasks("wadah", 28_000)
    assert not groups.bound_tasks("wadah", 28_000)
    assert _read(tree, "wadah/pids.max") == "28000"


def test_what_is_counted_has_openvz_names_and_the_kernels_numbers(tree: Cgroup2) -> None:
    groups = UnifiedGroups(tree.root)
    assert groups.counters(PATH) == {}
    groups.create(PATH)
    groups.limit(PATH, LIMITS)
    for name, text in {
        "pids.current": "7",
        "pids.peak": "12",
        "pids.events": "max 3",
        "memory.current": str(5 * PAGE),
        "memory.peak": str(9 * PAGE),
        "memory.events": "low 0\nhigh 0\nmax 4\noom 0\noom_kill 0",
        "memory.stat": "anon 1\nkernel 8192\nsock 4096",
        "memory.swap.current": "0",
    }.items():
        (tree.root / PATH / name).write_text(f"{text}\n")
    found = groups.counters(PATH)
    assert found["numproc"] == Counter("tasks", held=7, maxheld=12, limit=100, failcnt=3)
    assert found["physpages"] == Counter("pages", held=5, maxheld=9, limit=64 * 2**20 // PAGE, failcnt=4)
    assert found["swappages"] == Counter("pages", held=0, limit=0)
    assert (found["kmemsize"].held, found["tcpbuf"].held) == (8192, 4096)


def test_usage_of_what_is_gone_is_nothing(tree: Cgroup2) -> None:
    usage = UnifiedGroups(tree.root).usage(PATH)
    assert (usage.memory_bytes, usage.processes, usage.cpu_ns) == (0, 0, 0)
