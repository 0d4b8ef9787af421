"""The running container of an environment, as conmon and the OCI runtime know it."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from runtime.contract import Kernel
from runtime.contract.words import refusals
from runtime.errors import RuntimeFault
from runtime.host import processes
from runtime.host.processes import Identity
from runtime.node import Node

#: By bundle, what was found to be its conmon: no other process ever is, and it asks less whether it lives.
_monitors: dict[Path, Identity] = {}
_MOST_KNOWN = 10_000


def init_pid_file(node: Node, environment_id: UUID) -> Path:
    """conmon writes the host pid of the VE's init here."""
    return node.environment(environment_id) / "init.pid"


def init_note(node: Node, environment_id: UUID) -> Path:
    """Which process init is, written by whoever had it made, while its monitor held it."""
    return node.environment(environment_id) / "init"


def kernel_note(node: Node, environment_id: UUID) -> Path:
    """Which kernel it was begun with last, where that isn't the host's."""
    return node.environment(environment_id) / "kernel"


def made_with(node: Node, environment_id: UUID) -> Kernel:
    """The kernel of what was begun last."""
    with suppress(OSError, ValueError):
        return Kernel(kernel_note(node, environment_id).read_text())
    return Kernel.SHARED


def monitor_pid_file(node: Node, environment_id: UUID) -> Path:
    """Host pid of the environment's conmon."""
    return node.environment(environment_id) / "monitor.pid"


def init(node: Node, environment_id: UUID) -> Identity | None:
    """The VE's init process; None when it doesn't run (a zombie doesn't).

    Both files outlive it, and its number is given out again, to another environment's processes too. Before it
    is noted down, its monitor's child is it.
    """
    try:
        noted = Identity.parse(init_note(node, environment_id).read_text())
        return noted if noted is not None and noted.lives else None
    except FileNotFoundError:
        pass
    except OSError:
        return None
    parent = monitor(node, environment_id)
    number = _number(init_pid_file(node, environment_id))
    return None if parent is None or number is None else processes.child(number, parent)


def init_pid(node: Node, environment_id: UUID) -> int | None:
    """Host pid of the VE's init process, for looking and telling; None when it doesn't run."""
    found = init(node, environment_id)
    return None if found is None else found.pid


def note_init(node: Node, environment_id: UUID, pid: int) -> Identity:
    """Notes down which process this is, that the monitor has just had made. Raises `RuntimeFault` when nobody
    can tell: its monitor, or itself, is gone already."""
    parent = monitor(node, environment_id)
    if parent is None:
        raise RuntimeFault(refusals.monitor_killed(), code="monitor_failed")
    made = processes.child(pid, parent)
    if made is None:
        raise RuntimeFault(refusals.init_gone_early(), code="init_gone")
    init_note(node, environment_id).write_text(str(made))
    return made


def was_init(node: Node, environment_id: UUID, pid: int) -> bool:
    """Whether its last init had this number, be it gone or not."""
    try:
        noted = Identity.parse(init_note(node, environment_id).read_text())
    except OSError:
        return False
    return noted is not None and noted.pid == pid


def monitor(node: Node, environment_id: UUID) -> Identity | None:
    """The environment's conmon; None when it is gone."""
    return monitor_in(monitor_pid_file(node, environment_id), node.bundle(environment_id))


def monitor_in(pid_file: Path, bundle: Path) -> Identity | None:
    """The conmon that wrote its number there, of this bundle directory; None when it is gone."""
    number = _number(pid_file)
    if number is None:
        return None
    known = _monitors.get(bundle)
    if known is None or known.pid != number or not known.lives:
        known = processes.roots(number, "conmon", "--bundle", str(bundle))
        if len(_monitors) > _MOST_KNOWN:
            _monitors.clear()  # most of them are gone by then
        if known is None:
            _monitors.pop(bundle, None)
        else:
            _monitors[bundle] = known
    return known


def monitor_pid(node: Node, environment_id: UUID) -> int | None:
    """Host pid of the environment's conmon, for looking and telling; None when it is gone."""
    found = monitor(node, environment_id)
    return None if found is None else found.pid


def monitors(node: Node, environment_id: UUID) -> list[Identity]:
    """Every conmon of the environment's container; looks at all of /proc."""
    return processes.every_root("conmon", "--bundle", str(node.bundle(environment_id)))


def state_directory(node: Node, environment_id: UUID) -> Path:
    """What the OCI runtime keeps of its container."""
    return node.oci_root / node.container_name(environment_id)


def gate(node: Node, environment_id: UUID) -> Path:
    """The fifo that the made process waits at; gone once it was let go."""
    return state_directory(node, environment_id) / "exec.fifo"


def exit_file(node: Node, environment_id: UUID) -> Path:
    """conmon writes the exit code here."""
    return node.exits / node.container_name(environment_id)


def open_namespace(process: Identity, name: str) -> int:
    """Opened through its own directory in /proc, which never becomes another process's. Raises
    ProcessLookupError or FileNotFoundError when it has ended."""
    with process.directory() as directory:
        return os.open(f"ns/{name}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)


def namespaces(process: Identity) -> dict[str, int]:
    """Inode number of each namespace of a process: equal numbers mean the same namespace."""
    found = {}
    with suppress(ProcessLookupError), process.directory() as directory:
        for name in ("user", "pid", "net", "mnt", "uts", "ipc", "cgroup"):
            with suppress(OSError):
                found[name] = os.stat(f"ns/{name}", dir_fd=directory).st_ino
    return found


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
