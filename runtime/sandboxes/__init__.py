"""The sandboxes that this version offers: what keeps an environment's first process, one file per kernel."""

from runtime.sandboxes.base import Sandbox, SandboxState, Seen

__all__ = ["Sandbox", "SandboxState", "Seen"]
