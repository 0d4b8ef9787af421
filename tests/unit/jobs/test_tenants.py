"""What a tenant is held to is said once, and holds for every environment that it has on the node."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from runtime import tenants
from runtime.contract import (
    DesiredState,
    Device,
    EnvironmentSpec,
    HeldTenant,
    HoldTenants,
    JobOutcome,
    JobReport,
    JobSpec,
    Limits,
    Report,
    Subject,
    SubjectType,
    Suspension,
    TenantEnvelope,
)
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.jobs.runner import Jobs
from runtime.jobs.tenants import Hold
from runtime.node import Node
from runtime.state import Records
from tests.paper.host import Running
from tests.unit.engine.paper import Limits as LimitsOnPaper
from tests.unit.engine.paper import Paper, engine, paper_node

TENANT, OTHER = uuid.UUID(int=7), uuid.UUID(int=8)
RUN, STOP, FREEZE = None, Suspension.STOP, Suspension.FREEZE


class Bench:
    def __init__(self, node: Node, paper: Paper):
        self.node, self.paper = node, paper
        self.told: list[Report] = []
        self.slots = iter(range(100))

    @property
    def engine(self) -> Engine:
        return engine(self.node, self.paper, self.told.append)

    def make(self, tenant: uuid.UUID = TENANT, **changes: Any) -> EnvironmentSpec:
        spec = EnvironmentSpec(
            id=uuid.uuid4(),
            tenant_id=tenant,
            node=self.node.name,
            name="paper",
            generation=1,
            image="paper",
            desired=DesiredState.RUNNING,
            slot=next(self.slots),
            limits=Limits(cpu=1, memory_mb=64, disk_mb=64),
        ).model_copy(update=changes)
        assert self.engine.apply(spec) is not None
        return spec

    def hold(self, revision: int, suspended: Suspension | None = None, *, halts: bool = True) -> JobReport:
        envelope = TenantEnvelope(revision=revision, suspended=suspended, memory_mb=16 + revision)
        work = HoldTenants(tenants=(HeldTenant(id=TENANT, envelope=envelope),), halts=halts)
        about = Subject(type=SubjectType.TENANT, id=str(TENANT))
        spec = JobSpec(node=self.node.name, id=uuid.uuid4(), about=about, work=work)
        kinds = {"hold_tenants": Hold(lambda _: self.engine.tools)}
        report = Jobs(self.node, kinds, of_environment=self.told.append).do(spec)
        assert report is not None
        return report

    def state(self, spec: EnvironmentSpec) -> str:
        running = self.paper.of(spec.id).get("init")
        return "stopped" if not isinstance(running, Running) else "frozen" if running.frozen else "running"

    def wanted(self, spec: EnvironmentSpec) -> EnvironmentSpec:
        found = Records(self.node, spec.id).wanted()
        assert found is not None
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with paper_node(tmp_path / "home") as (node, paper):
        yield Bench(node, paper)


@pytest.mark.parametrize(("how", "there"), [(STOP, "stopped"), (FREEZE, "frozen")])
def test_all_of_it_are_stopped_or_frozen_and_run_again_as_was_wanted(
    bench: Bench, how: Suspension, there: str
) -> None:
    runs = [bench.make() for _ in range(3)]
    rests, other = bench.make(desired=DesiredState.STOPPED), bench.make(OTHER)
    fuse = bench.make(devices=(Device.FUSE,))
    bench.told.clear()
    report = bench.hold(2, how)
    assert report.outcome is JobOutcome.SUCCEEDED, report.message
    assert [one.name for one in report.steps] == ["tenant limits", "tenant environments"]
    assert [bench.state(one) for one in runs] == [there] * 3
    assert [bench.state(one) for one in (rests, fuse, other)] == ["stopped", "stopped", "running"]
    assert bench.wanted(runs[0]).network.closed
    heard = {one.environment_id for one in bench.told if one.final}
    assert heard == {one.id for one in (*runs, rests, fuse)}, "the panel hears of each"
    bench.hold(3, RUN)
    assert [bench.state(one) for one in (*runs, rests, fuse)] == [*["running"] * 3, "stopped", "running"]
    assert not bench.wanted(runs[0]).network.closed
    assert bench.engine.reconcile() == {}


def test_an_older_message_changes_nothing_whichever_way_it_comes(bench: Bench) -> None:
    row = bench.make()
    bench.hold(5, STOP)
    bench.hold(4, RUN)
    assert bench.state(row) == "stopped"
    late = row.model_copy(update={"generation": 2, "envelope": TenantEnvelope(revision=3)})
    bench.engine.apply(late)
    assert bench.state(row) == "stopped"
    newer = late.model_copy(update={"generation": 3, "envelope": TenantEnvelope(revision=6)})
    bench.engine.apply(newer)
    assert bench.state(row) == "running", "a spec tells of its tenant as well"


def test_one_that_is_made_or_changed_meanwhile_is_held_too(bench: Bench) -> None:
    bench.make()
    bench.hold(5, STOP)
    new = bench.make()
    assert bench.state(new) == "stopped"
    bench.engine.again(new.id)
    assert bench.state(new) == "stopped"
    bench.hold(6, RUN)
    assert bench.state(new) == "running"


def test_a_change_that_fails_goes_back_to_what_was_sent_not_to_what_was_held(bench: Bench) -> None:
    row = bench.make()
    bench.hold(2, STOP)
    bench.engine.apply(row.model_copy(update={"generation": 2}))
    assert Records(bench.node, row.id).state().applied == 2
    bench.hold(3, RUN)
    applied = Records(bench.node, row.id).applied()
    assert applied is not None
    assert applied.desired is DesiredState.RUNNING


def test_a_deleted_one_is_deleted_whatever_it_is_held_to(bench: Bench) -> None:
    row = bench.make()
    bench.hold(2, FREEZE)
    bench.engine.apply(row.model_copy(update={"generation": 2, "desired": DesiredState.DELETED}))
    assert bench.paper.of(row.id) == {}
    bench.engine.reconciler.forget_tenants()
    assert tenants.text_of(bench.node, TENANT) == b"", "nothing of the tenant is left either"


def test_limits_alone_leave_environments_in_peace(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [bench.make() for _ in range(3)]
    held: list[Sequence[EnvironmentSpec]] = []
    monkeypatch.setattr(LimitsOnPaper, "hold", lambda _, specs: held.append(specs))
    bench.paper.calls.clear()
    assert bench.hold(9, halts=False).outcome is JobOutcome.SUCCEEDED
    assert bench.paper.calls == []
    (specs,) = held
    assert {one.id for one in specs} == {one.id for one in rows}
    assert {one.envelope.memory_mb for one in specs} == {25}


def test_one_that_somebody_is_at_work_on_has_its_turn_after_him(bench: Bench) -> None:
    row, met = bench.make(), []

    def meanwhile() -> None:
        met.append(1)

    with Records(bench.node, row.id).try_lock() as mine:
        assert mine
        assert bench.hold(2, halts=False).outcome is JobOutcome.SUCCEEDED, "limits wait for nobody"
    bench.paper.plan["remove", "before", "init"] = meanwhile
    assert bench.hold(3, STOP).outcome is JobOutcome.SUCCEEDED
    assert bench.state(row) == "stopped"


def test_what_is_not_as_it_should_be_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = bench.make(), bench.make()
    stop = type(bench.engine.sandbox).stop

    def refuse(sandbox: Any, environment_id: uuid.UUID, **more: Any) -> Any:
        if environment_id == bad.id:
            raise RuntimeFault("It won't end.", code="unkillable")  # type: ignore[arg-type]
        return stop(sandbox, environment_id, **more)

    monkeypatch.setattr(type(bench.engine.sandbox), "stop", refuse)
    report = bench.hold(2, STOP)
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "environments_failed")
    assert "It won't end." in report.message
    assert (bench.state(good), bench.state(bad)) == ("stopped", "running")


def _damage(text: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(text)


@pytest.mark.parametrize("damage", [_damage(""), _damage("{"), _damage('{"revision": -1}'), Path.unlink])
def test_with_its_file_lost_each_spec_says_it_for_itself(
    bench: Bench, damage: Callable[[Path], object]
) -> None:
    row = bench.make(envelope=TenantEnvelope(revision=1, suspended=STOP))
    assert bench.state(row) == "stopped"
    damage(bench.node.root / "tenants" / f"{TENANT}.json")
    assert bench.wanted(row).desired is DesiredState.STOPPED
    bench.hold(2, RUN)
    assert bench.state(row) == "running"
