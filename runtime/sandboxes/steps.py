"""The steps of a start that every kernel has: each has the sandbox do one of its verbs.

What stands between them in a kind's list is done while the sandbox makes the first process.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from runtime.contract import DesiredState, EnvironmentSpec
from runtime.contract.said import Said
from runtime.contract.words import advice, drift, refusals, steps
from runtime.errors import HostLacks, RuntimeFault
from runtime.glance import Glance
from runtime.host.memory import available_bytes
from runtime.resources.base import Found, Sandboxed
from runtime.sandboxes.base import Sandbox, Seen

#: Less than this left on the node, and nothing more is started: its init, or somebody else's process, would be
#: killed for it at once.
LEAST_MEMORY_BYTES = 32 * 2**20


def first_process(sandbox: Sandbox, glance: Glance, environment_id: UUID) -> Seen:
    """As the glance has it."""
    return glance.once(("first process", environment_id), lambda: sandbox.look(environment_id))


class _Step(Sandboxed):
    """Goes with the first process, and is looked at with it."""

    def _seen(self, glance: Glance, environment_id: UUID) -> Seen:
        return first_process(self.sandbox, glance, environment_id)

    def remove(self, environment_id: UUID) -> Said | None:
        return None

    def inventory(self) -> Iterable[Found]:
        return ()

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        return None


class Prepare(_Step):
    """What keeps the console is started first: it loads itself while the root is made."""

    name = "monitor"

    def check(self, spec: EnvironmentSpec) -> None:
        """Raises `HostLacks` for a kernel that this node can't offer."""
        reason = self.sandbox.of_kernel(spec.runs_on).refuses(spec)
        if reason:
            why = refusals.kernel_unavailable(spec.runs_on, reason)
            raise HostLacks(why, code="kernel_unavailable")

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        self.sandbox.prepare(spec)
        return None

    def tidy(self, spec: EnvironmentSpec) -> None:
        """What was cut off before it was waited for isn't taken for a later start's."""
        self.sandbox.abandon(spec.id)

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        return {"keeps": "console"} if self.sandbox.has_console(environment_id) else None


class Make(_Step):
    """Everything that the first process is made from is there."""

    name = "container"

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        self.sandbox.make(spec)
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        there = [what for owner, what in self.sandbox.inventory() if owner == environment_id]
        return {"is": ", ".join(there)} if there else None


class Finish(_Step):
    """The first process is there and whole, short of its first instruction."""

    name = "init process"

    def check(self, spec: EnvironmentSpec) -> None:
        """Nothing is started on a node without memory; what runs already is left to go on."""
        if spec.desired is DesiredState.STOPPED or self.sandbox.is_there(spec.id):
            return
        left = available_bytes(self.node.cgroup_name)
        if left < LEAST_MEMORY_BYTES:
            raise RuntimeFault(
                refusals.memory_full(left // 2**20, least=LEAST_MEMORY_BYTES // 2**20),
                code="node_memory",
                next_step=advice.free_memory(),
            )

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        return self.sandbox.finish(spec)

    def remove(self, environment_id: UUID) -> Said | None:
        self.sandbox.take_away(environment_id)
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        return self.sandbox.inspect(environment_id)

    def inventory(self) -> Iterable[Found]:
        return [Found(self.name, owner, what) for owner, what in self.sandbox.inventory()]

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        """Not when what keeps its console alone is gone: nothing brings that back but a new start, which nobody
        wants for a console's sake. `Sandbox.has_console` says so."""
        return None if self._seen(glance, spec.id).is_there else drift.init_gone()


class LetGo(_Step):
    """Its first instruction runs: everything of it is whole by now."""

    name = "start"

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        self.sandbox.let_go(spec)
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        return {"running": True} if self.sandbox.look(environment_id).is_up else None

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        return None if self._seen(glance, spec.id).is_up else drift.gone(steps.named(self.name))


class Open(_Step):
    """In place of a first process: from here on it can be entered, each time by a container of its own."""

    name = "entry"

    def check(self, spec: EnvironmentSpec) -> None:
        """Raises `HostLacks` for a kernel that this node can't offer."""
        reason = self.sandbox.of_kernel(spec.runs_on).refuses(spec)
        if reason:
            raise HostLacks(refusals.kernel_unavailable(spec.runs_on, reason), code="kernel_unavailable")

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        self.sandbox.open(spec.id)
        return None

    def remove(self, environment_id: UUID) -> Said | None:
        self.sandbox.shut(environment_id)
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        return {"open": True} if self.sandbox.is_open(environment_id) else None

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        return None if self.sandbox.is_open(spec.id) else drift.gone(steps.named(self.name))
