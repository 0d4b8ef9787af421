"""A kind: which resources an environment is made of, and what its first process is."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from runtime.contract import EnvironmentSpec
from runtime.contract import Kind as KindName
from runtime.node import Node
from runtime.resources.base import Resource


class Kind(ABC):
    """One file each. From its list of resources follow create, delete, live change and repair."""

    name: ClassVar[KindName]
    resources: ClassVar[tuple[type[Resource], ...]]
    """In the order of `ensure`; `remove` goes backwards."""

    @abstractmethod
    def config(self, node: Node, spec: EnvironmentSpec) -> dict[str, Any]:
        """The OCI runtime configuration (runtime-spec 1.0.2)."""
