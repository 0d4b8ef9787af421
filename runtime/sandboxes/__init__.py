"""The sandboxes that this version offers: what keeps an environment's first process, one file or package per
kernel."""

from runtime.contract import Kernel as KernelName
from runtime.contract.words import refusals
from runtime.errors import HostLacks
from runtime.node import Node
from runtime.sandboxes.base import Config, Part, Sandbox, SandboxState, Seen, no_config
from runtime.sandboxes.shared import SharedSandbox

__all__ = ["Part", "Sandbox", "SandboxState", "Seen", "available", "sandbox_of"]

_SANDBOXES: dict[KernelName, type[Sandbox]] = {one.kernel: one for one in (SharedSandbox,)}


def sandbox_of(node: Node, kernel: KernelName = KernelName.SHARED, *, config: Config = no_config) -> Sandbox:
    """That of one kernel. `config` tells it what to make; without one it is of use for all but a start.

    Raises `HostLacks` for a kernel that this version doesn't have."""
    made = _SANDBOXES.get(kernel)
    if made is None:
        raise HostLacks(refusals.kernel_not_offered(kernel), code="kernel_unavailable", retryable=False)
    return made(node, config)


def available(node: Node) -> list[KernelName]:
    return [kernel for kernel in _SANDBOXES if sandbox_of(node, kernel).unavailable() is None]
