"""What the kernel shows of the confinement of an environment's first process."""

import os
from pathlib import Path

from runtime.contract.capabilities import CAPABILITIES
from runtime.host.processes import Identity
from runtime.sandboxes.base import Walls

#: As /proc/PID/ns has them (namespaces(7)), by the names that people know.
_NAMESPACES = {
    "user": "user",
    "pid": "pid",
    "net": "network",
    "mnt": "mount",
    "uts": "uts",
    "ipc": "ipc",
    "cgroup": "cgroup",
    "time": "time",
}


def walls_of(first: Identity) -> Walls | None:
    """None when it has ended."""
    try:
        with first.directory() as directory:
            status = dict(line.split(":", 1) for line in _read("status", directory).splitlines() if ":" in line)
            held = int(status["CapBnd"], 16)
            return Walls(
                kernel=os.uname().release,
                namespaces=_own_namespaces(directory),
                ids=sum(int(line.split()[2]) for line in _read("uid_map", directory).splitlines()),
                capabilities=tuple(name for name, bit in CAPABILITIES.items() if held >> bit & 1),
                filters=int(status.get("Seccomp_filters", status.get("Seccomp", "0"))),
                no_new_privileges=status.get("NoNewPrivs", "0").strip() == "1",
            )
    except (OSError, KeyError, ValueError):
        return None


def _own_namespaces(directory: int) -> dict[str, int]:
    found = {}
    for file, name in _NAMESPACES.items():
        try:
            number = os.stat(f"ns/{file}", dir_fd=directory).st_ino
            if number != Path(f"/proc/self/ns/{file}").stat().st_ino:
                found[name] = number
        except FileNotFoundError:
            continue  # a kernel without them
    return found


def _read(name: str, directory: int) -> str:
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)) as file:
        return file.read()
