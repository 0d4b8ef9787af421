"""A kernel: what an environment's processes make their system calls to."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from runtime.contract import Kernel as KernelName
from runtime.contract.said import Said
from runtime.node import Node


class Kernel(ABC):
    """One file each; chosen by `kernel` of a spec, apart from its kind."""

    name: ClassVar[KernelName]

    @abstractmethod
    def unavailable(self) -> Said | None:
        """Why this host can't offer it, with the remedy; None when it can."""

    @abstractmethod
    def runtime(self, node: Node) -> str:
        """Path of the OCI runtime. Raises `HostLacks` without one."""

    def runtime_arguments(self, node: Node) -> list[str]:
        """Options of the OCI runtime before its verb."""
        return [f"--root={node.oci_root}"]

    def fill(self, config: dict[str, Any]) -> None:  # noqa: B027 (the shared kernel adds nothing)
        """Changes a kind's OCI config to what this kernel needs."""
