"""Two environments of one node, each in a sandbox of its own: everybody finds the one of that environment."""

import ast
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Self

import pytest

from runtime.contract import DesiredState, EnvironmentSpec, Kernel, Limits, ObservedState, Report
from runtime.contract import Kind as KindName
from runtime.engine import Engine
from runtime.kinds import Toolbox
from runtime.node import Node
from runtime.resources.base import Resource
from runtime.sandboxes import Part, Sandbox, Seen
from tests.paper import host
from tests.paper.host import PaperInit, PaperResource, PaperSandbox
from tests.unit.engine.paper import Disk, Ids, Link, Paper, paper_node

RUNTIME = Path(__file__).parents[3] / "runtime"


class _Limits(PaperResource):
    name = "limits"
    handed: Kernel

    @classmethod
    def on(cls, node: Node, sandbox: Sandbox) -> Self:
        made = super().on(node, sandbox)
        made.handed = sandbox.kernel
        return made

    def value(self, spec: EnvironmentSpec) -> object:
        return spec.limits.memory_mb


class GuardedLimits(_Limits):
    name = "guarded limits"


class GuardedInit(PaperInit):
    name = "guarded init"


class Shared(PaperSandbox):
    parts: ClassVar = {Part.LIMITS: _Limits, Part.DESCRIPTION: PaperInit}


class Guarded(PaperSandbox):
    kernel = Kernel.GUARDED
    resource = GuardedInit
    parts: ClassVar = {Part.LIMITS: GuardedLimits, Part.DESCRIPTION: GuardedInit}

    def look(self, environment_id: uuid.UUID) -> Seen:
        seen = super().look(environment_id)
        return Seen(seen.state, 4343) if seen.is_there else seen


class Either(host.PaperKind):
    resources: ClassVar[tuple[type[Resource] | Part, ...]] = (Ids, Disk, Part.LIMITS, Link, Part.DESCRIPTION)


class Bench:
    def __init__(self, node: Node, paper: Paper):
        self.node, self.paper = node, paper
        self.told: list[Report] = []
        self.tools = Toolbox(
            node, kinds={KindName.SYSTEM: Either()}, sandboxes=[Shared(paper, node), Guarded(paper, node)]
        )
        self.engine = Engine(node, self.told.append, tools=self.tools)

    def apply(self, kernel: Kernel, slot: int, **fields: object) -> EnvironmentSpec:
        spec = EnvironmentSpec(
            id=uuid.UUID(int=slot + 1),
            tenant_id=uuid.UUID(int=7),
            node=self.node.name,
            name="paper",
            kernel=kernel,
            image="paper",
            slot=slot,
            limits=Limits(cpu=1, memory_mb=64, disk_mb=64),
            **{"generation": 1, "desired": DesiredState.RUNNING, **fields},  # type: ignore[arg-type]
        )
        self.engine.apply(spec)
        return spec

    def there(self, spec: EnvironmentSpec) -> set[str]:
        return set(self.paper.of(spec.id))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with paper_node(tmp_path) as (node, paper):
        yield Bench(node, paper)


def test_each_is_made_by_its_own(bench: Bench) -> None:
    shared, guarded = bench.apply(Kernel.SHARED, 0), bench.apply(Kernel.GUARDED, 1)
    assert bench.there(shared) == {"ids", "disk", "link", "limits", "init"}
    assert bench.there(guarded) == {"ids", "disk", "link", "guarded limits", "guarded init"}
    told = {one.environment_id: one for one in bench.told}
    assert {one.state for one in told.values()} == {ObservedState.RUNNING}
    assert (told[shared.id].init_pid, told[guarded.id].init_pid) == (4242, 4343)
    sandbox = bench.tools.sandbox
    assert [sandbox.of(one.id).kernel for one in (shared, guarded)] == [Kernel.SHARED, Kernel.GUARDED]
    assert {owner for owner, _what in sandbox.inventory()} == {shared.id, guarded.id}
    assert all(sandbox.usage(one.id).processes == 1 for one in (shared, guarded))
    assert bench.engine.leaks() == []
    assert bench.tools.one(_Limits).handed is Kernel.SHARED
    assert bench.tools.one(GuardedLimits).handed is Kernel.GUARDED


def test_what_is_done_to_one_is_done_in_its_own(bench: Bench) -> None:
    shared, guarded = bench.apply(Kernel.SHARED, 0), bench.apply(Kernel.GUARDED, 1)
    bench.apply(Kernel.GUARDED, 1, generation=2, desired=DesiredState.PAUSED)
    assert bench.told[-1].state is ObservedState.PAUSED
    assert bench.engine.reports.observe(shared.id)[0] is ObservedState.RUNNING
    bench.apply(Kernel.GUARDED, 1, generation=3, desired=DesiredState.STOPPED)
    assert "guarded init" not in bench.there(guarded)
    assert "init" in bench.there(shared)
    assert bench.tools.sandbox.of(guarded.id).kernel is Kernel.GUARDED, "of one that is stopped, by its spec"
    bench.apply(Kernel.GUARDED, 1, generation=4)
    for kernel, slot, generation in ((Kernel.SHARED, 0, 2), (Kernel.GUARDED, 1, 5)):
        bench.apply(kernel, slot, generation=generation, desired=DesiredState.DELETED)
    assert not bench.there(shared) | bench.there(guarded)


def test_drift_and_repair_are_its_own(bench: Bench) -> None:
    guarded = bench.apply(Kernel.GUARDED, 1)
    del bench.paper.objects["guarded init", guarded.id]
    bench.engine.again(guarded.id)
    assert bench.there(guarded) == {"ids", "disk", "link", "guarded limits", "guarded init"}


def test_a_kernel_that_the_node_has_not_is_refused_by_name_and_leaves_nothing(bench: Bench) -> None:
    spec = bench.apply(Kernel.OWN, 2)
    report = bench.told[-1]
    assert (report.code, report.state, bench.there(spec)) == ("kernel_unavailable", ObservedState.FAILED, set())
    assert "own" in str(report.message)


def test_nobody_else_names_the_programs_of_the_shared_kernel() -> None:
    """But for the packages that are installed, what is said of them, and where the node has its places."""
    allowed = {"install/host.py", "contract/words/refusals.py", "node.py"}
    found = set()
    for path in RUNTIME.rglob("*.py"):
        name = path.relative_to(RUNTIME).as_posix()
        if name.startswith("sandboxes/shared/"):
            continue
        tree = ast.parse(path.read_text())
        told = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
        for one in ast.walk(tree):
            if id(one) in told:
                continue
            words = [getattr(one, field, None) for field in ("value", "id", "attr", "name", "arg", "module")]
            if any(isinstance(word, str) and re.search("crun|conmon", word) for word in words):
                found.add(name)
    assert found == allowed
