"""The node's wall clock is set: an end stays an end, and what is kept for a time is kept for as long."""

import time
import uuid
from pathlib import Path

import pytest
import time_machine

from runtime.builds import places
from runtime.contract import DesiredState, EnvironmentSpec, Limits
from runtime.contract import Kind as KindName
from runtime.engine import Engine
from runtime.kinds import Toolbox
from runtime.sandboxes import Part
from tests.paper.host import PaperInit, PaperKind, PaperSandbox
from tests.unit.engine.paper import paper_node

DAY_S = 86_400.0
there_and_back = pytest.mark.parametrize("step", [-DAY_S, DAY_S, 365 * DAY_S])
SPEC = EnvironmentSpec(
    id=uuid.UUID(int=1),
    tenant_id=uuid.UUID(int=7),
    node="paper",
    name="paper",
    image="paper",
    slot=0,
    limits=Limits(cpu=1, memory_mb=64, disk_mb=64),
    generation=1,
    desired=DesiredState.RUNNING,
)


class Alone(PaperKind):
    resources = (Part.DESCRIPTION,)


class Stays(PaperSandbox):
    parts = {Part.DESCRIPTION: PaperInit}


@there_and_back
@pytest.mark.parametrize("is_another_boot", [False, True])
def test_an_init_that_ended_by_itself_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: float, is_another_boot: bool
) -> None:
    with paper_node(tmp_path) as (node, paper):
        tools = Toolbox(node, kinds={KindName.SYSTEM: Alone()}, sandboxes=[Stays(paper, node)])
        engine = Engine(node, lambda _report: None, tools=tools)
        engine.apply(SPEC)
        paper.objects.pop((PaperInit.name, SPEC.id))
        ended: list[uuid.UUID] = []
        again: list[uuid.UUID] = []
        if is_another_boot:
            monkeypatch.setattr("runtime.reconciler.boot_id", lambda: "another")
        with time_machine.travel(time.time() + step):
            engine.reconciler.mend(SPEC.id, lambda one, _why: again.append(one), ended.append)
    assert (again, ended) == (([SPEC.id], []) if is_another_boot else ([], [SPEC.id]))


@there_and_back
def test_kept_layers_stay_for_as_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    dropped: list[uuid.UUID] = []
    monkeypatch.setattr(places.BuildPlaces, "drop", lambda one: dropped.append(one.source_id))
    source = uuid.uuid4()
    with paper_node(tmp_path) as (node, _paper):
        notes = node.root / "builds" / str(source)
        notes.mkdir(parents=True)
        places.sweep(node)  # as one of before, it counts from now on
        with time_machine.travel(time.time() + step):
            assert places.sweep(node) == 0
        later = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + int((places.KEPT_S + 60) * 1e9)
        monkeypatch.setattr(time, "clock_gettime_ns", lambda _clock: later)
        assert places.sweep(node) == 1
    assert dropped == [source]
