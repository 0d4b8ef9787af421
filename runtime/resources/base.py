"""The four verbs that everything an environment owns on a host has."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.contract.said import Said
from runtime.contract.words import drift, steps
from runtime.glance import Glance
from runtime.node import Node

if TYPE_CHECKING:
    from runtime.sandboxes import Sandbox

#: `environment`: kept while the environment is stopped (its disk, its ids); `boot`: only while it runs.
Lifetime = Literal["environment", "boot"]


@dataclass(frozen=True, slots=True)
class Found:
    """An object on this node that carries our mark, and whose it is (None: it can't be told)."""

    resource: str
    environment_id: UUID | None
    what: str


class Resource(ABC):
    """One kind of host object, owned by one environment.

    `ensure` and `remove` are safe to run twice, late, and after being killed in their own middle;
    everything is found again by names derived from the environment's id, so no verb needs a record
    of ours. They raise `RuntimeFault`. `ensure` may return a short detail for the step that a person
    watches.
    """

    name: ClassVar[str]
    """The step's name for people, such as "root volume"."""
    lifetime: ClassVar[Lifetime] = "boot"

    def __init__(self, node: Node):
        self.node = node

    @classmethod
    def on(cls, node: Node, sandbox: "Sandbox") -> Self:
        """One for this node, whose first processes this sandbox keeps."""
        return cls(node)

    @abstractmethod
    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        """Make it so; a no-op when it is so already."""

    @abstractmethod
    def remove(self, environment_id: UUID) -> Said | None:
        """Make it gone; a no-op when it is gone."""

    @abstractmethod
    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        """What is really there, read from the kernel; None when nothing is."""

    @abstractmethod
    def inventory(self) -> Iterable[Found]:
        """Every such object on this node that carries our mark."""

    def discard(self, found: Found) -> None:
        """Takes away an object of the inventory that nobody wants; a no-op when nobody can tell whose it was.
        What may hold somebody's data is put aside, never deleted."""
        if found.environment_id is not None:
            self.remove(found.environment_id)

    def check(self, spec: EnvironmentSpec) -> None:  # noqa: B027 (most have nothing to refuse)
        """Raises `RuntimeFault` when `ensure` would have to refuse. Asked of all before any acts."""

    def waits(self, spec: EnvironmentSpec) -> bool:
        """Whether `ensure` waits for what an environment has still to do, at its pace: that isn't done where
        others wait behind it."""
        return False

    def hold(self, specs: Sequence[EnvironmentSpec]) -> None:  # noqa: B027 (most share nothing)
        """What the environments of one tenant share is brought to what their specs (all of them, at least one)
        say of it. A no-op where nothing of it is there."""

    def settle(self, spec: EnvironmentSpec) -> Said | None:  # noqa: B027 (most keep nothing)
        """The whole spec was brought about: what was kept to go back to what stood before is let go. Asked of
        all, in order, after each apply that succeeded; a no-op when nothing was kept."""

    def tidy(self, spec: EnvironmentSpec) -> None:  # noqa: B027 (most leave nothing)
        """What nobody has to wait for, after the report and still under the environment's lock; a no-op when
        nothing is left. What a crash leaves of it, `drifted` tells."""

    def sweep(self) -> int:
        """Takes away what was kept for a time and whose time is over; how much it was. Asked once in each round
        of the reconciler."""
        return 0

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        """Why `ensure` would have work to do, for the reconciler; None when all is as the spec says. What the
        kernel tells of all environments at once is asked of the `glance`, so that many cost little more than
        one.
        """
        return None if self.inspect(spec.id) is not None else drift.gone(steps.named(self.name))


class Sandboxed(Resource):
    """A resource that asks the sandbox: of its first process, or what it makes depends on whether there is
    one."""

    def __init__(self, node: Node, sandbox: "Sandbox"):
        super().__init__(node)
        self.sandbox = sandbox

    @classmethod
    def on(cls, node: Node, sandbox: "Sandbox") -> Self:
        return cls(node, sandbox)


def names_in(glance: Glance, directory: Path) -> frozenset[str]:
    """What is in a directory of the node; nothing where there is none."""

    def look() -> frozenset[str]:
        with suppress(FileNotFoundError), os.scandir(directory) as entries:
            return frozenset(entry.name for entry in entries)
        return frozenset()

    return glance.once(directory, look)
