"""All environments of a tenant together never hold more than its envelope, whatever each may hold by itself.

What one environment may hold is tried in `tests/host/isolation/test_exhaustion_*.py`.
"""

from uuid import UUID, uuid4

import pytest

from runtime.contract import (
    EnvironmentSpec,
    HeldTenant,
    HoldTenants,
    JobOutcome,
    JobReport,
    JobSpec,
    Limits,
    ObservedState,
    Subject,
    SubjectType,
    Suspension,
    TenantEnvelope,
)
from runtime.engine import Engine
from runtime.host.cgroup import groups
from runtime.jobs.kinds import KINDS
from runtime.jobs.runner import Jobs
from runtime.node import Node
from runtime.resources.volume import RootVolume
from tests.host.conftest import Make
from tests.host.support.inside import attempt, sh
from tests.host.support.node import Specs

MIB = 2**20
LIMITS = Limits(cpu=1, memory_mb=128, swap_mb=32, disk_mb=128, processes=64)
#: Room for one and a half of them.
ENVELOPE = TenantEnvelope(cpu=1, memory_mb=192, swap_mb=48, processes=96, disk_mb=160)


@pytest.fixture
def tenant() -> UUID:
    return uuid4()


@pytest.fixture
def pair(make: Make, tenant: UUID) -> list[EnvironmentSpec]:
    """Two environments of one tenant; what both may hold by themselves is more than their envelope."""
    return [make(tenant_id=tenant, limits=LIMITS, envelope=ENVELOPE) for _ in range(2)]


def group_of(node: Node, tenant: UUID) -> str:
    return f"{node.cgroup_name}/{tenant}"


def test_memory_in_files(node: Node, pair: list[EnvironmentSpec], tenant: UUID) -> None:
    for spec in pair:
        attempt(node, spec, "dd if=/dev/zero of=/dev/shm/fill bs=1M count=120; sync", timeout_s=60)
    held = groups().usage(group_of(node, tenant))
    assert held.memory_max_bytes <= ENVELOPE.memory_mb * MIB  # type: ignore[operator]
    assert held.memory_max_bytes > 128 * MIB, "together they came further than one alone could"
    for spec in pair:
        sh(node, spec, "rm -f /dev/shm/fill", timeout_s=60)


def test_tasks(node: Node, pair: list[EnvironmentSpec], tenant: UUID) -> None:
    bomb = "i=0; while [ $i -lt 60 ]; do sleep 300 & i=$((i+1)); done 2>/dev/null; true"
    for spec in pair:
        attempt(node, spec, bomb, timeout_s=60)
        held = groups().usage(group_of(node, tenant)).processes
        assert held <= 96
    assert held > 64, "together they came further than one alone could"
    for spec in pair:
        attempt(node, spec, "kill $(pidof sleep)", timeout_s=60)


def test_disk_with_sparse_files_subvolumes_and_many_small_files(
    node: Node, pair: list[EnvironmentSpec], tenant: UUID
) -> None:
    from runtime.host import btrfs

    volume = RootVolume(node)
    first, second = pair
    before = volume.quotas.used_bytes(2, volume.number(tenant)) or 0
    sh(node, first, "truncate -s 10G /root/sparse; sync")
    assert (volume.quotas.used_bytes(2, volume.number(tenant)) or 0) < before + MIB, "a hole holds nothing"
    btrfs.create_subvolume(node.root_volume(first.id) / "nested")
    attempt(node, first, "dd if=/dev/zero of=/nested/fill bs=1M count=100; sync", timeout_s=60)
    small = "mkdir -p /root/s; i=0; while [ $i -lt 3000 ]; do echo $i > /root/s/$i || break; i=$((i+1)); done"
    attempt(node, second, small + "; dd if=/dev/zero of=/root/fill bs=1M count=120; sync", timeout_s=60)
    held = volume.quotas.used_bytes(2, volume.number(tenant)) or 0
    assert 128 * MIB < held <= (ENVELOPE.disk_mb or 0) * MIB * 1.01
    for spec in pair:
        assert volume.used_bytes(spec.id) <= LIMITS.disk_mb * MIB * 1.01
    sh(node, second, "rm -r /root/fill /root/s; sync; echo again > /root/again", timeout_s=60)
    sh(node, first, "rm /nested/fill; sync; echo again > /root/again", timeout_s=60)


def test_processor_time_is_capped_for_the_tenant(node: Node, pair: list[EnvironmentSpec], tenant: UUID) -> None:
    """As the kernel was told: a quota of one processor's time for both together."""
    seen = groups().limits(group_of(node, tenant))
    quota = seen["cpu.max"].split()[0] if groups().version == 2 else seen["cpu.cfs_quota_us"]
    assert int(quota) == 100_000, "microseconds in each period of 100 ms"


def swap_of(node: Node, tenant: UUID) -> tuple[str, str]:
    """The kernel's own two figures for a tenant's group: memory, and swap with it (v1) or beside it (v2)."""
    seen = groups().limits(group_of(node, tenant))
    if groups().version == 2:
        return seen["memory.max"], seen["memory.swap.max"]
    return seen["memory.limit_in_bytes"], seen["memory.memsw.limit_in_bytes"]


def told(memory_mb: int, swap_mb: int) -> tuple[str, str]:
    """v1 counts swap together with memory (memory.rst, section 2.4), v2 by itself."""
    return str(memory_mb * MIB), str((swap_mb if groups().version == 2 else memory_mb + swap_mb) * MIB)


def test_swap_is_capped_for_the_tenant_through_every_change_of_it(
    node: Node, pair: list[EnvironmentSpec], tenant: UUID, engine: Engine, specs: Specs
) -> None:
    """Up and down, alone and with memory: v1 refuses them in the wrong order."""
    assert swap_of(node, tenant) == told(192, 48)
    spec = pair[0]
    for memory, swap in ((192, 0), (256, 0), (256, 64), (200, 300), (192, 16)):
        spec = specs.change(spec, envelope=ENVELOPE.model_copy(update={"memory_mb": memory, "swap_mb": swap}))
        report = engine.apply(spec)
        assert report is not None
        assert not report.code, report.message
        assert swap_of(node, tenant) == told(memory, swap)
    engine.apply(specs.change(spec, envelope=TenantEnvelope()))
    lifted = swap_of(node, tenant)[1]
    assert lifted == "max" or int(lifted) >= 2**62


def test_a_new_envelope_counts_for_all_at_once(
    node: Node, pair: list[EnvironmentSpec], tenant: UUID, engine: Engine, specs: Specs
) -> None:
    wider = ENVELOPE.model_copy(update={"memory_mb": 256, "disk_mb": 300, "processes": 200})
    report = engine.apply(specs.change(pair[0], envelope=wider))
    assert report is not None
    assert not report.code, report.message
    attempt(node, pair[0], "dd if=/dev/zero of=/root/fill bs=1M count=110; sync", timeout_s=60)
    code, said = attempt(node, pair[1], "dd if=/dev/zero of=/root/fill bs=1M count=110 && sync", timeout_s=60)
    assert code == 0, said
    for spec in pair:
        sh(node, spec, "rm /root/fill", timeout_s=60)


def hold(node: Node, tenant: UUID, envelope: TenantEnvelope, *, halts: bool = False) -> JobReport:
    """One message about the tenant, as the panel sends it."""
    work = HoldTenants(tenants=(HeldTenant(id=tenant, envelope=envelope),), halts=halts)
    about = Subject(type=SubjectType.TENANT, id=str(tenant))
    report = Jobs(node, KINDS).do(JobSpec(node=node.name, id=uuid4(), about=about, work=work))
    assert report is not None
    return report


def test_one_message_holds_all_of_them(node: Node, pair: list[EnvironmentSpec], tenant: UUID) -> None:
    """Less processor time than one may use by itself too, which v1 refuses in the wrong order."""
    least = TenantEnvelope(revision=1, cpu=0.25, memory_mb=200, swap_mb=16, processes=100, disk_mb=200)
    report = hold(node, tenant, least)
    assert report.outcome is JobOutcome.SUCCEEDED, report.message
    assert swap_of(node, tenant) == told(200, 16)
    seen = groups().limits(group_of(node, tenant))
    quota = seen["cpu.max"].split()[0] if groups().version == 2 else seen["cpu.cfs_quota_us"]
    assert int(quota) == 25_000
    volume = RootVolume(node)
    assert volume.quotas.limit_bytes(2, volume.number(tenant)) == 200 * MIB
    assert Engine(node).reconcile() == {}, "and it stays so"
    report = hold(node, tenant, ENVELOPE.model_copy(update={"revision": 2}))
    assert report.outcome is JobOutcome.SUCCEEDED, report.message


@pytest.mark.parametrize("how", Suspension)
def test_one_message_stops_or_freezes_all_of_them_and_lets_them_run_again(
    node: Node, pair: list[EnvironmentSpec], tenant: UUID, how: Suspension
) -> None:
    engine = Engine(node)
    report = hold(node, tenant, ENVELOPE.model_copy(update={"revision": 1, "suspended": how}), halts=True)
    assert report.outcome is JobOutcome.SUCCEEDED, report.message
    there = ObservedState.PAUSED if how is Suspension.FREEZE else ObservedState.STOPPED
    assert [engine.observe(spec.id)[0] for spec in pair] == [there] * 2
    report = hold(node, tenant, ENVELOPE.model_copy(update={"revision": 2}), halts=True)
    assert report.outcome is JobOutcome.SUCCEEDED, report.message
    assert [engine.observe(spec.id)[0] for spec in pair] == [ObservedState.RUNNING] * 2
