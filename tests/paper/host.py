"""The host on paper: resources and a sandbox whose objects are entries of a dictionary. Engine and records that
work with them are the real ones."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from runtime.contract import EnvironmentSpec, Usage
from runtime.contract import Kernel as KernelName
from runtime.contract import Kind as KindName
from runtime.contract.said import plain
from runtime.contract.words import changes, steps
from runtime.errors import RuntimeFault, Superseded
from runtime.glance import Glance
from runtime.host.processes import Identity
from runtime.kinds.base import Ending, FirstCommand, Kind
from runtime.node import Node
from runtime.resources.base import Found, Resource
from runtime.sandboxes import Part, Sandbox, SandboxState, Seen
from runtime.sandboxes.base import FREEZE_DEADLINE_S, KILL_DEADLINE_S, Console, Inner, Kept, Shell


@dataclass
class Paper:
    """What is there."""

    objects: dict[tuple[str, UUID], object] = field(default_factory=dict)
    """By resource and environment: what it was made with."""
    doubled: list[str] = field(default_factory=list)
    """What was made while it was there already."""

    def asked(self, environment_id: UUID, verb: str, name: str) -> None:
        """A resource was asked to do something."""

    def make(self, name: str, environment_id: UUID, value: object) -> None:
        if self.objects.get((name, environment_id)) is not None:
            self.doubled.append(f"{name} of {environment_id}")
        self.objects[name, environment_id] = value

    def of(self, environment_id: UUID) -> dict[str, object]:
        return {name: value for (name, owner), value in list(self.objects.items()) if owner == environment_id}


#: By HOME: what a resource class, of which the engine makes its own, finds its host by.
papers: dict[Path, Paper] = {}


class PaperResource(Resource):
    """Makes one entry, of what `value` takes from the spec; exchanges it where that changed."""

    def __init__(self, node: Node):
        super().__init__(node)
        self.paper = papers[node.home]

    def value(self, spec: EnvironmentSpec) -> object:
        return True

    def ensure(self, spec: EnvironmentSpec) -> str | None:
        self.paper.asked(spec.id, "ensure", self.name)
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
        self.paper.asked(environment_id, "remove", self.name)
        self.paper.objects.pop((self.name, environment_id), None)
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        value = self.paper.objects.get((self.name, environment_id))
        return None if value is None else {"value": value}

    def inventory(self) -> Iterable[Found]:
        there = list(self.paper.objects)
        return [Found(self.name, owner, str(owner)) for name, owner in there if name == self.name]

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> str | None:
        there = self.paper.objects.get((self.name, spec.id))
        return None if there == self.value(spec) else f"{self.name} is {there}, not {self.value(spec)}"


@dataclass
class Running:
    boots: int
    installs: int
    frozen: bool = False
    has_console: bool = True


class PaperInit(PaperResource):
    """Runs by the counters that it was started for; needs the others."""

    name = "init"
    needs: ClassVar[tuple[str, ...]] = ()

    def make(self, spec: EnvironmentSpec) -> str | None:
        missing = [name for name in self.needs if name not in self.paper.of(spec.id)]
        if missing:
            raise RuntimeFault(plain(f"{', '.join(missing)} missing"), code="paper_missing")
        if self.paper.objects.get((self.name, spec.id)) is None:
            self.paper.make(self.name, spec.id, Running(spec.boots, spec.installs))
        return None

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> str | None:
        return None if self.inspect(spec.id) else "init is gone"


class PaperKind(Kind):
    name = KindName.SYSTEM

    def ending_of(self, exit_code: int | None) -> Ending:
        return {129: Ending.REBOOT, 130: Ending.POWER_OFF}.get(exit_code or 0, Ending.ENDED)

    def command(self, node: Node, spec: EnvironmentSpec) -> FirstCommand:
        return FirstCommand(["paper"], "SIGTERM")

    def config(self, node: Node, spec: EnvironmentSpec) -> dict[str, Any]:
        raise NotImplementedError("no OCI runtime reads paper")


class PaperSandbox(Sandbox):
    """Its first process is an entry, which `PaperInit` makes in one step."""

    kernel = KernelName.SHARED
    resource: ClassVar[type[Resource]] = PaperInit
    parts: ClassVar[Mapping[Part, type[Resource]]] = {}

    def __init__(self, paper: Paper, node: Node):
        super().__init__(node)
        self.paper = paper

    def prepare(self, spec: EnvironmentSpec) -> None:
        pass

    def make(self, spec: EnvironmentSpec) -> None:
        pass

    def finish(self, spec: EnvironmentSpec) -> str | None:
        return None

    def let_go(self, spec: EnvironmentSpec) -> None:
        pass

    def abandon(self, environment_id: UUID) -> None:
        pass

    def _running(self, environment_id: UUID) -> Running | None:
        found = self.paper.objects.get((self.resource.name, environment_id))
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
            raise Superseded(changes.superseded_while_stopping())
        self.paper.objects.pop((self.resource.name, environment_id))
        return steps.shut_down()

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

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        return None if self._running(environment_id) is None else {"pid": 4242}

    def inventory(self) -> Iterable[tuple[UUID | None, str]]:
        return [(owner, self.resource.name) for name, owner in self.paper.objects if name == self.resource.name]

    def watched(self, environment_id: UUID) -> frozenset[Identity]:
        return frozenset()

    def holds_processes(self, environment_id: UUID) -> bool:
        return self._running(environment_id) is not None

    def members(self, environment_id: UUID) -> list[int]:
        return []

    def open_namespace(self, environment_id: UUID, name: str) -> int:
        raise RuntimeFault("paper has no namespaces", code="init_gone")

    @property
    def ends(self) -> tuple[Path, ...]:
        return (self.node.exits,)

    def owner_of_end(self, name: str) -> UUID | None:
        return None

    def exit_code(self, environment_id: UUID) -> int | None:
        return None

    def signal(self, environment_id: UUID, number: int) -> bool:
        return self._running(environment_id) is not None

    def take_away(self, environment_id: UUID) -> None:
        self.paper.objects.pop((self.resource.name, environment_id), None)

    def inner(self, environment_id: UUID, command: Sequence[str], **how: object) -> Inner:
        raise RuntimeFault("nothing runs on paper", code="not_running")

    def console(self, environment_id: UUID) -> Console:
        return Console(self.node.console(environment_id), self.node.bundle(environment_id))

    def start_terminal(self, environment_id: UUID, directory: Path, shell: Shell) -> None:
        raise RuntimeFault("nothing runs on paper", code="not_running")

    def look_at_terminal(self, environment_id: UUID, directory: Path) -> Kept | None:
        return None
