"""The kind of environment that `./wadah dev` shows: the real kind's steps by name, each an entry on paper.

What happens goes by the environment's name: one that begins with `slow-` takes four minutes to make, one with
`fails-` can't be made. Everything else takes a second.
"""

import time
from typing import ClassVar
from uuid import UUID

from runtime.contract import EnvironmentSpec, Usage
from runtime.contract.words import advice, changes, refusals, steps
from runtime.errors import RuntimeFault, Superseded
from runtime.kinds import resources_of
from runtime.kinds.system import System
from runtime.node import Node
from runtime.resources.base import Resource
from runtime.sandboxes.base import FREEZE_DEADLINE_S
from runtime.state import Records
from tests.paper import usage
from tests.paper.consoles import PaperInside
from tests.paper.host import Paper, PaperInit, PaperKind, PaperResource, PaperSandbox

#: Of each step of something new; of the slow one's root volume.
STEP_S, SLOW_S = 0.05, 240.0


class Host(Paper):
    """With what answers inside its environments."""

    inside: PaperInside


class Step(PaperResource):
    """Takes its time where something new is asked for, none where it is brought back."""

    def make(self, spec: EnvironmentSpec) -> str | None:
        if self.inspect(spec.id) is None and _is_new(self, spec):
            time.sleep(STEP_S)
        return super().make(spec)


def _is_new(resource: Resource, spec: EnvironmentSpec) -> bool:
    return Records(resource.node, spec.id).state().applied < spec.generation


class Volume(Step):
    name = "root volume"
    lifetime = "environment"
    paper: Host

    def value(self, spec: EnvironmentSpec) -> object:
        return spec.installs

    def make(self, spec: EnvironmentSpec) -> str | None:
        if spec.name.startswith("fails-"):
            raise RuntimeFault(
                changes.at(steps.named(self.name), refusals.node_full((refusals.free_in_pool(12),))),
                code="node_full",
                next_step=advice.give_the_node_disk(),
            )
        if spec.name.startswith("slow-") and self.inspect(spec.id) is None:
            self._linger(spec)
        return super().make(spec)

    def remove(self, environment_id: UUID) -> str | None:
        self.paper.inside.forget(environment_id)
        return super().remove(environment_id)

    def _linger(self, spec: EnvironmentSpec) -> None:
        records, until = Records(self.node, spec.id), time.monotonic() + SLOW_S
        while time.monotonic() < until:
            if records.newest_generation() > spec.generation:
                raise Superseded(changes.superseded())
            time.sleep(0.2)


class Limits(Step):
    name = "limits (cgroup)"

    def value(self, spec: EnvironmentSpec) -> object:
        return spec.limits


class Addresses(Step):
    name = "addresses and routes"

    def value(self, spec: EnvironmentSpec) -> object:
        return spec.network


class Init(PaperInit):
    """Has a console as soon as it runs."""

    name = "init process"
    paper: Host

    def make(self, spec: EnvironmentSpec) -> str | None:
        if self.inspect(spec.id) is None:
            super().make(spec)
            self.paper.inside.boot(spec.id, spec.name)
        return None

    def remove(self, environment_id: UUID) -> str | None:
        self.paper.inside.halt(environment_id)
        return super().remove(environment_id)


_OWN: dict[str, type[PaperResource]] = {one.name: one for one in (Volume, Limits, Addresses, Init)}


def _on_paper(real: type[Resource]) -> type[Resource]:
    plain = {"name": real.name, "lifetime": real.lifetime}
    return _OWN.get(real.name) or type(f"Paper{real.__name__}", (Step,), plain)


class DevKind(PaperKind):
    resources: ClassVar[tuple[type[Resource], ...]] = tuple(_on_paper(real) for real in resources_of(System()))


class DevSandbox(PaperSandbox):
    resource = Init
    paper: Host

    def __init__(self, paper: Host, node: Node):
        super().__init__(paper, node)
        self._frozen_at: dict[UUID, float] = {}
        self._behind: dict[UUID, float] = {}

    def stop(self, environment_id: UUID, **how: object) -> str | None:  # type: ignore[override]
        said = super().stop(environment_id, **how)  # type: ignore[arg-type]
        self.paper.inside.halt(environment_id)
        return said

    def freeze(self, environment_id: UUID, frozen: bool, *, within_s: float = FREEZE_DEADLINE_S) -> None:
        super().freeze(environment_id, frozen, within_s=within_s)
        if frozen:
            self._frozen_at.setdefault(environment_id, time.time())
        elif began := self._frozen_at.pop(environment_id, None):
            self._behind[environment_id] = self._behind.get(environment_id, 0.0) + time.time() - began

    def usage(self, environment_id: UUID) -> Usage:
        """Its clock stands still while it is frozen."""
        limits = self.paper.objects.get((Limits.name, environment_id))
        now = self._frozen_at.get(environment_id) or time.time()
        at = now - self._behind.get(environment_id, 0.0)
        return usage.of(environment_id, limits, runs=self._running(environment_id) is not None, at=at)
