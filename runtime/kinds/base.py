"""A kind: which resources an environment is made of, and what its first process is."""

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import Any, ClassVar

from runtime.contract import EnvironmentSpec
from runtime.contract import Kind as KindName
from runtime.node import Node
from runtime.resources.base import Resource


class Ending(StrEnum):
    """What the end of an environment's first process means."""

    REBOOT = "reboot"
    """It asked for a restart from inside: at once, whatever the policy says."""
    POWER_OFF = "power off"
    """It was switched off from inside: stays so."""
    ENDED = "ended"
    """Anything else: the restart policy says what follows."""


class Kind(ABC):
    """One file each. From its list of resources follow create, delete, live change and repair."""

    name: ClassVar[KindName]
    resources: ClassVar[tuple[type[Resource], ...]]
    """In the order of `ensure`; `remove` goes backwards."""

    def ending_of(self, exit_code: int | None) -> Ending:
        """What this exit code says; None is one that nobody knows."""
        return Ending.ENDED

    @abstractmethod
    def config(self, node: Node, spec: EnvironmentSpec) -> dict[str, Any]:
        """The OCI runtime configuration (runtime-spec 1.0.2)."""
