"""A node on paper on which anything goes wrong that is planned: resources fail before or after they act, are
killed before or after, hang, or find that a newer spec came meanwhile. Engine and records are the real ones.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from runtime import faults, reconciler, work
from runtime.contract import EnvironmentSpec, Report
from runtime.contract import Kind as KindName
from runtime.engine import Engine
from runtime.glance import Glance
from runtime.kinds import Toolbox
from runtime.node import Node, default_settings
from runtime.resources.base import Resource
from runtime.state import Records
from tests.paper import host
from tests.paper.host import PaperInit, PaperResource, PaperSandbox, papers


class Killed(BaseException):
    """The process at work is gone, as after SIGKILL: nothing of the engine's runs any more."""


@dataclass
class Paper(host.Paper):
    """The host: what is there, and what is to go wrong next."""

    plan: dict[tuple[str, str, str], Callable[[], object]] = field(default_factory=dict)
    """By verb, when (`before`, `after`) and name: happens once."""
    calls: list[tuple[UUID, str, str]] = field(default_factory=list)
    """Environment, verb and resource of everything that resources were asked to do, as it came."""
    begun: dict[UUID, int] = field(default_factory=dict)
    """How many calls there were when an environment's journal was begun anew."""
    on_hang: Callable[[], object] | None = None
    """What a watchdog would do about the step at work."""

    def asked(self, environment_id: UUID, verb: str, name: str) -> None:
        self.calls.append((environment_id, verb, name))

    def at(self, verb: str, when: str, name: str) -> None:
        act = self.plan.pop((verb, when, name), None)
        if act is not None:
            act()

    def hang(self) -> None:
        """A step that never comes back: the watchdog writes the reason down and ends the process."""
        assert self.on_hang is not None, "nobody watches"
        self.on_hang()
        raise Killed


class Ids(PaperResource):
    name = "ids"
    lifetime = "environment"

    def value(self, spec: EnvironmentSpec) -> object:
        return spec.slot, spec.tenant_id


class Disk(PaperResource):
    """What a failed reinstall goes back to is kept until the whole spec was brought about."""

    name = "disk"
    lifetime = "environment"

    def value(self, spec: EnvironmentSpec) -> object:
        return spec.installs

    def make(self, spec: EnvironmentSpec) -> str | None:
        kept, there = ("kept disk", spec.id), self.paper.objects.get((self.name, spec.id))
        if there is not None and there != spec.installs:
            if self.paper.objects.get(kept) == spec.installs:
                self.paper.objects[self.name, spec.id] = self.paper.objects.pop(kept)
                return "back"
            self.paper.objects.setdefault(kept, there)
        return super().make(spec)

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> str | None:
        if ("kept disk", spec.id) in self.paper.objects:
            return "an old disk was left"
        return super().drifted(spec, glance)

    def settle(self, spec: EnvironmentSpec) -> str | None:
        self.paper.objects.pop(("kept disk", spec.id), None)
        return None

    def remove(self, environment_id: UUID) -> str | None:
        self.paper.objects.pop(("kept disk", environment_id), None)
        return super().remove(environment_id)


class Limits(PaperResource):
    name = "limits"

    def value(self, spec: EnvironmentSpec) -> object:
        return spec.limits.memory_mb


class Link(PaperResource):
    name = "link"


class Init(PaperInit):
    needs = ("ids", "disk", "limits", "link")


class PaperKind(host.PaperKind):
    resources: ClassVar[tuple[type[Resource], ...]] = (Ids, Disk, Limits, Link, Init)


@contextmanager
def paper_node(home: Path) -> Iterator[tuple[Node, Paper]]:
    """A node whose host is a dictionary; its fault points and its watchdog are the paper's."""
    node, paper = Node(home, default_settings(home)), Paper()
    for directory in (node.root / "environments", node.root / "tombstones", node.run):
        directory.mkdir(parents=True)
    papers[home] = paper
    before = faults.point, work.watchdog, reconciler._LEAVING_S, reconciler._PATIENCE_S
    begin = Records.begin

    def point(_: Node, verb: str, when: str, name: str) -> None:
        paper.at(verb, when, name)

    def begin_anew(records: Records, spec: EnvironmentSpec) -> tuple[int, str]:
        paper.begun[records.id] = len(paper.calls)
        return begin(records, spec)

    class Watch:
        @contextmanager
        def watch(self, until: float, on_late: Callable[[], object], _: object = None) -> Iterator[None]:
            paper.on_hang = on_late
            yield

    faults.point, work.watchdog = point, Watch()  # type: ignore[assignment]
    Records.begin = begin_anew  # type: ignore[method-assign]
    reconciler._LEAVING_S = reconciler._PATIENCE_S = 0.0  # nothing on paper is on its way out
    try:
        yield node, paper
    finally:
        Records.begin = begin  # type: ignore[method-assign]
        faults.point, work.watchdog, reconciler._LEAVING_S, reconciler._PATIENCE_S = before
        del papers[home]


def engine(node: Node, paper: Paper, told: Callable[[Report], object]) -> Engine:
    """What a new process of the node begins with."""
    tools = Toolbox(node, kinds={KindName.SYSTEM: PaperKind()}, sandboxes=[PaperSandbox(paper, node)])
    return Engine(node, told, tools=tools)
