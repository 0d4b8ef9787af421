"""The running container of an environment, as conmon and the OCI runtime know it."""

from pathlib import Path
from uuid import UUID

from runtime.node import Node


def init_pid_file(node: Node, environment_id: UUID) -> Path:
    """conmon writes the host pid of the VE's init here."""
    return node.environment(environment_id) / "init.pid"


def monitor_pid_file(node: Node, environment_id: UUID) -> Path:
    """Host pid of the environment's conmon."""
    return node.environment(environment_id) / "monitor.pid"


def init_pid(node: Node, environment_id: UUID) -> int | None:
    """Host pid of the VE's init process; None when it doesn't run (a zombie doesn't)."""
    try:
        pid = int(init_pid_file(node, environment_id).read_text())
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError, IndexError):
        return None
    return None if state in "ZX" else pid
