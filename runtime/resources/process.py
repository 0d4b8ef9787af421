"""The environment's first process; made in one step and let go in another, so that everything of it is whole
before its first instruction runs."""

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.contract import DesiredState, EnvironmentSpec
from runtime.errors import RuntimeFault, Superseded
from runtime.host.command import run
from runtime.host.memory import available_bytes
from runtime.host.oci import init_pid, monitor_pid
from runtime.host.tty import release_terminal
from runtime.kernels import kernel_of
from runtime.node import Node
from runtime.resources.base import Found, Resource
from runtime.resources.cgroup import Cgroup
from runtime.resources.monitor import Monitor

#: From the kill of init until its last process must be gone.
KILL_DEADLINE_S = 20.0
#: Less than this left on the node, and nothing more is started: its init, or somebody else's process, would be
#: killed for it at once.
LEAST_MEMORY_BYTES = 32 * 2**20


def is_made_only(node: Node, environment_id: UUID) -> bool:
    """Whether its container was made and its init not let go yet: it waits at the OCI runtime's gate."""
    return (node.oci_root / node.container_name(environment_id) / "exec.fifo").exists()


class Process(Resource):
    name = "init process"

    def __init__(self, node: Node):
        super().__init__(node)
        self._monitor = Monitor(node)

    def check(self, spec: EnvironmentSpec) -> None:
        """Nothing is started on a node without memory; what runs already is left to go on."""
        if spec.desired is DesiredState.STOPPED or init_pid(self.node, spec.id) is not None:
            return
        left = available_bytes(self.node.cgroup_name)
        if left < LEAST_MEMORY_BYTES:
            raise RuntimeFault(
                f"the node's memory is full: {left // 2**20} MiB left, to start takes "
                f"{LEAST_MEMORY_BYTES // 2**20} MiB at least",
                code="node_memory",
                next_step="Stop environments on this node, or give it more memory; then try again.",
            )

    def ensure(self, spec: EnvironmentSpec) -> str | None:
        if init_pid(self.node, spec.id) is not None and not self._monitor.is_starting(spec.id):
            return None
        pid = self._monitor.made(spec.id)
        if pid is None:
            raise RuntimeFault("its init ended while it was being made", code="init_gone")
        release_terminal(pid)
        Cgroup(self.node).made_anew(spec)
        self._monitor.has_started(spec.id)
        return "made"

    def stop(
        self, environment_id: UUID, *, timeout_s: float, interrupted: Callable[[], bool] = lambda: False
    ) -> str | None:
        """Asks init to shut down and waits up to `timeout_s`, then kills. A no-op when it doesn't run.

        `interrupted` is asked twice a second; True ends the waiting and nothing is killed: `Superseded`, for
        whoever wants something else of it now. Returns how it ended.
        """
        pid = init_pid(self.node, environment_id)
        if pid is None:
            return None
        with self._watch(pid) as gone:
            if timeout_s > 0 and not is_made_only(self.node, environment_id):
                Cgroup(self.node).freeze(environment_id, False)  # a paused one hears nothing
                with suppress(ProcessLookupError):
                    os.kill(pid, self._stop_signal(environment_id))
                until = time.monotonic() + timeout_s
                while time.monotonic() < until:
                    if gone(min(0.5, max(0.0, until - time.monotonic()))):
                        return "shut down"
                    if interrupted():
                        raise Superseded("a newer change came while it was asked to shut down")
            self.kill(environment_id, pid)
            if not gone(KILL_DEADLINE_S):
                raise RuntimeFault(
                    f"its processes did not end within {KILL_DEADLINE_S:g} s of being killed", code="unkillable"
                )
        return "forced" if timeout_s > 0 else "killed"

    def kill(self, environment_id: UUID, pid: int) -> None:
        """The kernel ends every process of a pid namespace with its init."""
        Cgroup(self.node).freeze(environment_id, False)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    @staticmethod
    @contextlib.contextmanager
    def _watch(pid: int) -> Iterator[Callable[[float], bool]]:
        """Yields a function that waits so many seconds for the process to end, and says whether it did."""
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            yield lambda _: True
            return
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        try:
            yield lambda seconds: bool(poller.poll(seconds * 1000))
        finally:
            os.close(fd)

    def _stop_signal(self, environment_id: UUID) -> int:
        """From the bundle's annotation `org.opencontainers.image.stopSignal`; SIGTERM without one."""
        with suppress(OSError, ValueError, KeyError):
            config = json.loads((self.node.bundle(environment_id) / "config.json").read_text())
            return signal_number(config["annotations"]["org.opencontainers.image.stopSignal"])
        return signal.SIGTERM

    def remove(self, environment_id: UUID) -> str | None:
        self.stop(environment_id, timeout_s=0)
        Cgroup(self.node).kill(environment_id)
        self._monitor.remove(environment_id)
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        pid = init_pid(self.node, environment_id)
        if pid is None:
            return None
        return {
            "pid": pid,
            "monitor": monitor_pid(self.node, environment_id),
            "created_only": is_made_only(self.node, environment_id),
            "namespaces": namespaces(pid),
        }

    def inventory(self) -> Iterable[Found]:
        for entry in self.node.oci_root.iterdir():
            try:
                owner: UUID | None = UUID(hex=entry.name)
            except ValueError:
                owner = None
            yield Found(self.name, owner, f"container {entry.name}")

    def drifted(self, spec: EnvironmentSpec) -> str | None:
        """Not when its monitor alone is gone: nothing brings that back but a new start, which nobody wants for
        a console's sake. `has_monitor` says so."""
        return "its init process is gone" if init_pid(self.node, spec.id) is None else None

    def is_half_made(self, environment_id: UUID) -> bool:
        """Whether a start was cut off, by whatever, before its container was there and ready: it may be of
        another spec, and its init may appear at any moment."""
        return self._monitor.is_starting(environment_id)

    def has_monitor(self, environment_id: UUID) -> bool:
        """Whether its console is kept, and its exit code will be known."""
        return monitor_pid(self.node, environment_id) is not None


class Start(Resource):
    """Lets the made process go: its init runs from here on."""

    name = "start"

    def _gate(self, environment_id: UUID) -> Path:
        return self.node.oci_root / self.node.container_name(environment_id) / "exec.fifo"

    def ensure(self, spec: EnvironmentSpec) -> str | None:
        if not self._gate(spec.id).exists():
            return None
        kernel = kernel_of(spec.kernel)
        if Path(kernel.runtime(self.node)).name == "crun":
            self._open_gate(spec.id)
        else:
            name = self.node.container_name(spec.id)
            run([kernel.runtime(self.node), *kernel.runtime_arguments(self.node), "start", name], timeout_s=20)
        return None

    def _open_gate(self, environment_id: UUID) -> None:
        """What `crun start` does when there are no hooks, without the 4 ms of a process: one byte into the
        fifo that the made process waits at, which is gone from then on."""
        gate = self._gate(environment_id)
        try:
            fd = os.open(gate, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise RuntimeFault(f"its made process is gone: {error.strerror}", code="init_gone") from error
        try:
            gate.unlink(missing_ok=True)
            os.write(fd, b"\0")
        finally:
            os.close(fd)

    def remove(self, environment_id: UUID) -> str | None:
        return None  # it ends with the process

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        if init_pid(self.node, environment_id) is None or self._gate(environment_id).exists():
            return None
        return {"running": True}

    def inventory(self) -> Iterable[Found]:
        return ()


def namespaces(pid: int) -> dict[str, int]:
    """Inode number of each namespace of a process: equal numbers mean the same namespace."""
    found = {}
    for name in ("user", "pid", "net", "mnt", "uts", "ipc", "cgroup"):
        with suppress(OSError):
            found[name] = Path(f"/proc/{pid}/ns/{name}").stat().st_ino
    return found


def signal_number(name: str) -> int:
    """`SIGTERM`, `TERM`, `SIGRTMIN+3` or a number; ValueError for anything else."""
    text = name.strip().upper().removeprefix("SIG")
    if text.isdigit():
        return int(text)
    if text.startswith("RTMIN"):
        return int(signal.SIGRTMIN) + int(text[5:] or 0)
    try:
        return int(signal.Signals[f"SIG{text}"])
    except KeyError as unknown:
        raise ValueError(f"{name} is no signal") from unknown
