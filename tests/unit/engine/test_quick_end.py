"""A first process that ends while it is looked at: its console went with it, and nobody killed its monitor."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from runtime.contract import DesiredState, EnvironmentSpec, Limits, Report
from runtime.contract import Kind as KindName
from runtime.engine import Engine
from runtime.events import note_lost_monitor
from runtime.kinds import Toolbox
from runtime.node import Node
from runtime.resources.base import Resource
from runtime.sandboxes import Part, Seen
from runtime.state import Records
from tests.paper.host import PaperInit, PaperKind, PaperSandbox
from tests.unit.engine.paper import Paper, paper_node

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


class Ends(PaperSandbox):
    """The first look at its console finds it gone, and its first process too."""

    parts: ClassVar = {Part.DESCRIPTION: PaperInit}
    is_ending = True

    def look(self, environment_id: uuid.UUID) -> Seen:
        seen = super().look(environment_id)
        return Seen(seen.state, seen.pid, "the only one") if seen.is_there else seen

    def has_console(self, environment_id: uuid.UUID) -> bool:
        if self.is_ending:
            self.paper.objects.pop((PaperInit.name, environment_id), None)
        return False


class Alone(PaperKind):
    resources: ClassVar[tuple[type[Resource] | Part, ...]] = (Part.DESCRIPTION,)


class Bench:
    def __init__(self, node: Node, paper: Paper):
        self.node, self.paper = node, paper
        self.told: list[Report] = []
        self.sandbox = Ends(self.paper, self.node)
        tools = Toolbox(self.node, kinds={KindName.SYSTEM: Alone()}, sandboxes=[self.sandbox])
        self.engine = Engine(self.node, self.told.append, tools=tools)

    @property
    def starts(self) -> int:
        return self.paper.calls.count((SPEC.id, "ensure", PaperInit.name))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with paper_node(tmp_path) as (node, paper):
        yield Bench(node, paper)


def test_it_is_neither_started_twice_nor_told_as_lost(bench: Bench) -> None:
    report = bench.engine.apply(SPEC)
    assert (bench.starts, report and report.code) == (1, "")
    assert not [event for report in bench.told for event in report.events]


def test_a_look_that_is_old_by_now_tells_nothing(bench: Bench) -> None:
    bench.sandbox.is_ending = False
    bench.engine.apply(SPEC)
    bench.sandbox.is_ending = True
    records = Records(bench.node, SPEC.id)
    assert not note_lost_monitor(records, bench.engine.reports)


def test_one_that_goes_on_without_its_console_is_started_once_more_and_told(bench: Bench) -> None:
    bench.sandbox.is_ending = False
    report = bench.engine.apply(SPEC)
    assert (bench.starts, report and report.code) == (2, "console_lost")
