"""A kind: which resources an environment is made of, what its first process is, and what it means that it runs
or ended."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from runtime.backups import fetched
from runtime.contract import AppSeen, EnvironmentSpec, HealthCheck
from runtime.contract import Kind as KindName
from runtime.contract.said import NOTHING, Said
from runtime.host.safetree import SafeTree
from runtime.images.waiter import Waiter
from runtime.node import Node
from runtime.resources.base import Resource
from runtime.sandboxes import Part, Seen


class Ending(StrEnum):
    """What the end of an environment's first process means."""

    REBOOT = "reboot"
    """It asked for a restart from inside: at once, whatever the policy says."""
    POWER_OFF = "power off"
    """It was switched off from inside: stays so."""
    ENDED = "ended"
    """Anything else: the restart policy says what follows."""


@dataclass(frozen=True, slots=True)
class FirstCommand:
    """What the first process runs."""

    words: list[str]
    stop_signal: str
    """Asks it to shut down: `SIGTERM`, `SIGRTMIN+3`, …"""


class Kind(ABC):
    """One file each. From its list of resources follow create, delete, live change and repair."""

    name: ClassVar[KindName]
    resources: ClassVar[tuple[type[Resource] | Part, ...]]
    """In the order of `ensure`; `remove` goes backwards. A part is the resource that its kernel has for it."""

    def is_up(self, seen: Seen) -> bool:
        """Whether an environment of which the kernel shows this is up: as a rule, when its first process was
        let go and has not ended."""
        return seen.is_up

    def ending_of(self, exit_code: int | None) -> Ending:
        """What this exit code says; None is one that nobody knows."""
        return Ending.ENDED

    def check_image(self, tree: SafeTree) -> Said:
        """What is to be told of a tree as an image of this kind: a kind may take any. Raises `RuntimeFault` for
        one that no environment of this kind can be made from."""
        return NOTHING

    def unavailable(self) -> Said | None:
        """Why this host can't offer it; None when it can."""
        return None

    def is_ready(self, node: Node, spec: EnvironmentSpec) -> bool:
        """Whether all that such an environment is made from is on the node: as a rule its image is asked for
        apart, and only a backup comes from elsewhere."""
        return fetched.is_there(node, spec)

    def get_ready(self, node: Node, spec: EnvironmentSpec, waiter: Waiter) -> Said | None:
        """Brings what isn't there yet, which may take long. Raises `RuntimeFault`; `Superseded` when it was
        interrupted."""
        return fetched.fetch(node, spec, waiter)

    def seen(self, node: Node, spec: EnvironmentSpec) -> AppSeen | None:
        """What reports tell of its image; None where there is nothing to tell."""
        return None

    def health(self, node: Node, spec: EnvironmentSpec) -> HealthCheck | None:
        """How it is asked how it is; None: nobody says how."""
        return None

    @abstractmethod
    def command(self, node: Node, spec: EnvironmentSpec) -> FirstCommand:
        """What its first process runs. Raises `RuntimeFault` while what says so isn't there."""

    @abstractmethod
    def config(self, node: Node, spec: EnvironmentSpec) -> dict[str, Any]:
        """The OCI runtime configuration (runtime-spec 1.0.2) that runs it."""
