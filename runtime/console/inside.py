"""What people do inside an environment: commands and terminals."""

from collections.abc import Sequence
from uuid import UUID

from runtime.console import terminals
from runtime.console.exec import Outcome, Stop, run_command
from runtime.console.terminals import Terminal
from runtime.node import Node
from runtime.sandboxes import sandbox_of
from runtime.sandboxes.base import Console


class Inside:
    """As the node's kernel has them. Every verb raises `RuntimeFault` for what can't be done."""

    def __init__(self, node: Node):
        self.node = node

    def run(
        self, environment_id: UUID, command: Sequence[str], *, timeout_s: float, stdin: bytes, stop: Stop
    ) -> Outcome:
        return run_command(self.node, environment_id, command, timeout_s=timeout_s, stdin=stdin, stop=stop)

    def console(self, environment_id: UUID) -> Console:
        """Where the environment's own is."""
        return sandbox_of(self.node).console(environment_id)

    def terminals(self, environment_id: UUID) -> list[Terminal]:
        return terminals.list_terminals(self.node, environment_id)

    def find_terminal(self, environment_id: UUID, name: str) -> Terminal | None:
        return terminals.find(self.node, environment_id, name)

    def open_terminal(self, environment_id: UUID, name: str) -> Terminal:
        return terminals.open_terminal(self.node, environment_id, name)

    def close_terminal(self, environment_id: UUID, name: str) -> bool:
        """False when there is none of that name."""
        return terminals.close_terminal(self.node, environment_id, name)
