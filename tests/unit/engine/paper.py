"""A node on paper: kinds, resources and a sandbox whose objects are entries of a dictionary.

`Paper` is the host. Its resources do what they are told to: fail before or after they act, be killed before or
after, hang, or find that a newer spec came meanwhile. Engine and records are the real ones.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from runtime import faults, reconciler, work
from runtime.contract import EnvironmentSpec, Report, Usage
from runtime.contract import Kind as KindName
from runtime.engine import Engine
from runtime.errors import RuntimeFault, Superseded
from runtime.kinds import Toolbox
from runtime.kinds.base import Ending, Kind
from runtime.node import Node, default_settings
from runtime.resources.base import Found, Resource
from runtime.sandboxes import Sandbox, SandboxState, Seen
from runtime.sandboxes.base import FREEZE_DEADLINE_S, KILL_DEADLINE_S
from runtime.state import Records


class Killed(BaseException):
    """The process at work is gone, as after SIGKILL: nothing of the engine's runs any more."""


@dataclass
class Paper:
    """The host: what is there, and what is to go wrong next."""

    objects: dict[tuple[str, UUID], object] = field(default_factory=dict)
    """By resource and environment: what it was made with."""
    doubled: list[str] = field(default_factory=list)
    """What was made while it was there already."""
    plan: dict[tuple[str, str, str], Callable[[], object]] = field(default_factory=dict)
    """By verb, when (`before`, `after`) and name: happens once."""
    calls: list[tuple[UUID, str, str]] = field(default_factory=list)
    """Environment, verb and resource of everything that resources were asked to do, as it came."""
    begun: dict[UUID, int] = field(default_factory=dict)
    """How many calls there were when an environment's journal was begun anew."""
    on_hang: Callable[[], object] | None = None
    """What a watchdog would do about the step at work."""

    def at(self, verb: str, when: str, name: str) -> None:
        act = self.plan.pop((verb, when, name), None)
        if act is not None:
            act()

    def make(self, name: str, environment_id: UUID, value: object) -> None:
        if self.objects.get((name, environment_id)) is not None:
            self.doubled.append(f"{name} of {environment_id}")
        self.objects[name, environment_id] = value

    def of(self, environment_id: UUID) -> dict[str, object]:
        return {name: value for (name, owner), value in self.objects.items() if owner == environment_id}

    def hang(self) -> None:
        """A step that never comes back: the watchdog writes the reason down and ends the process."""
        assert self.on_hang is not None, "nobody watches"
        self.on_hang()
        raise Killed


class PaperResource(Resource):
    """Makes one entry, of what `value` takes from the spec; exchanges it where that changed."""

    def __init__(self, node: Node):
        super().__init__(node)
        self.paper: Paper = papers[node.home]

    def value(self, spec: EnvironmentSpec) -> object:
        return True

    def ensure(self, spec: EnvironmentSpec) -> str | None:
        self.paper.calls.append((spec.id, "ensure", self.name))
        return self.make(spec)

    def make(self, spec: EnvironmentSpec) -> str | None:
        wanted, there = self.value(spec), self.paper.objects.get((self.name, spec.id))
        if there == wanted:
            return None
        if there is not None:
            del self.paper.objects[self.name, spec.id]
        self.paper.make(self.name, spec.id, wanted)
        return "changed" if there is not None else "made"

    def remove(self, environment_id: UUID) -> str | None:
        self.paper.calls.append((environment_id, "remove", self.name))
        self.paper.objects.pop((self.name, environment_id), None)
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        value = self.paper.objects.get((self.name, environment_id))
        return None if value is None else {"value": value}

    def inventory(self) -> Iterable[Found]:
        return [Found(self.name, owner, str(owner)) for name, owner in self.paper.objects if name == self.name]

    def drifted(self, spec: EnvironmentSpec) -> str | None:
        there = self.paper.objects.get((self.name, spec.id))
        return None if there == self.value(spec) else f"{self.name} is {there}, not {self.value(spec)}"


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

    def drifted(self, spec: EnvironmentSpec) -> str | None:
        if ("kept disk", spec.id) in self.paper.objects:
            return "an old disk was left"
        return super().drifted(spec)

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


class Init(PaperResource):
    """Runs by the counters that it was started for; needs the others."""

    name = "init"

    def make(self, spec: EnvironmentSpec) -> str | None:
        missing = [name for name in ("ids", "disk", "limits", "link") if name not in self.paper.of(spec.id)]
        if missing:
            raise RuntimeFault(f"{', '.join(missing)} missing", code="paper_missing")
        if self.paper.objects.get((self.name, spec.id)) is None:
            self.paper.make(self.name, spec.id, Running(spec.boots, spec.installs))
        return None

    def drifted(self, spec: EnvironmentSpec) -> str | None:
        return None if self.inspect(spec.id) else "init is gone"


@dataclass
class Running:
    boots: int
    installs: int
    frozen: bool = False
    has_console: bool = True


class PaperKind(Kind):
    name = KindName.SYSTEM
    resources: ClassVar[tuple[type[Resource], ...]] = (Ids, Disk, Limits, Link, Init)

    def ending_of(self, exit_code: int | None) -> Ending:
        return {129: Ending.REBOOT, 130: Ending.POWER_OFF}.get(exit_code or 0, Ending.ENDED)

    def config(self, node: Node, spec: EnvironmentSpec) -> dict[str, Any]:
        raise NotImplementedError("no OCI runtime reads paper")


class PaperSandbox(Sandbox):
    resource = Init

    def __init__(self, paper: Paper):
        self.paper = paper

    def _running(self, environment_id: UUID) -> Running | None:
        found = self.paper.objects.get(("init", environment_id))
        return found if isinstance(found, Running) else None

    def look(self, environment_id: UUID) -> Seen:
        running = self._running(environment_id)
        if running is None:
            return Seen(SandboxState.GONE)
        return Seen(SandboxState.FROZEN if running.frozen else SandboxState.RUNNING, 4242)

    def is_half_made(self, environment_id: UUID) -> bool:
        return False

    def made_for(self, environment_id: UUID) -> tuple[int, int] | None:
        running = self._running(environment_id)
        return None if running is None else (running.boots, running.installs)

    def stop(
        self,
        environment_id: UUID,
        *,
        timeout_s: float,
        interrupted: Callable[[], bool] = lambda: False,
        kill_within_s: float = KILL_DEADLINE_S,
    ) -> str | None:
        if self._running(environment_id) is None:
            return None
        if interrupted():
            raise Superseded("a newer change came while it was asked to shut down")
        self.paper.objects.pop(("init", environment_id))
        return "shut down"

    def freeze(self, environment_id: UUID, frozen: bool, *, within_s: float = FREEZE_DEADLINE_S) -> None:
        if (running := self._running(environment_id)) is not None:
            running.frozen = frozen

    def has_console(self, environment_id: UUID) -> bool:
        running = self._running(environment_id)
        return running is not None and running.has_console

    def usage(self, environment_id: UUID) -> Usage:
        there = self._running(environment_id) is not None
        return Usage(environment_id=environment_id, processes=int(there))

    def was_first(self, environment_id: UUID, pid: int) -> bool:
        return pid == 4242


#: By HOME: what a resource class, of which the engine makes its own, finds its host by.
papers: dict[Path, Paper] = {}


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
    tools = Toolbox(node, kinds={KindName.SYSTEM: PaperKind()}, sandbox=PaperSandbox(paper))
    return Engine(node, told, tools=tools)
