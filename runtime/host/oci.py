"""The running container of an environment, as conmon and the OCI runtime know it."""

import os
from contextlib import suppress
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
    """Host pid of the VE's init process; None when it doesn't run (a zombie doesn't).

    The file outlives its process, and after a reboot another may have the number: only a process in the
    environment's own control group counts.
    """
    try:
        pid = int(init_pid_file(node, environment_id).read_text())
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state in "ZX" or str(environment_id) not in Path(f"/proc/{pid}/cgroup").read_text():
            return None
    except (OSError, ValueError, IndexError):
        return None
    return pid


def monitor_pid(node: Node, environment_id: UUID) -> int | None:
    """Host pid of the environment's conmon; None when it is gone, or the number is another's by now."""
    try:
        pid = int(monitor_pid_file(node, environment_id).read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if _is_monitor_of(words, node, environment_id) else None


def monitors(node: Node, environment_id: UUID) -> list[int]:
    """Every conmon of the environment's container, by their command lines; reads all of /proc."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                words = Path(entry.path, "cmdline").read_bytes().split(b"\0")
                if _is_monitor_of(words, node, environment_id):
                    found.append(int(entry.name))
    return found


def _is_monitor_of(words: list[bytes], node: Node, environment_id: UUID) -> bool:
    bundle = os.fsencode(node.bundle(environment_id))
    return words[0].endswith(b"conmon") and b"--bundle" in words and bundle in words
