"""The sandboxes that this version offers: what keeps an environment's first process, one file or package per
kernel."""

from runtime.contract import Kernel as KernelName
from runtime.node import Node
from runtime.sandboxes.base import Config, Part, Sandbox, SandboxState, Seen, no_config
from runtime.sandboxes.each import Sandboxes
from runtime.sandboxes.guarded import GuardedSandbox
from runtime.sandboxes.own import OwnSandbox
from runtime.sandboxes.shared import SharedSandbox

__all__ = ["Part", "Sandbox", "SandboxState", "Sandboxes", "Seen", "available", "sandbox_of"]

_SANDBOXES: dict[KernelName, type[Sandbox]] = {
    one.kernel: one for one in (SharedSandbox, GuardedSandbox, OwnSandbox)
}


def sandbox_of(node: Node, *, config: Config = no_config) -> Sandboxes:
    """That of each environment of the node, whatever its kernel. `config` tells what to make; without one it is
    of use for all but a start."""
    return Sandboxes(node, [made(node, config) for made in _SANDBOXES.values()])


def available(node: Node) -> list[KernelName]:
    """Kernels that this host can offer."""
    return [one.kernel for one in sandbox_of(node).each if one.unavailable() is None]
