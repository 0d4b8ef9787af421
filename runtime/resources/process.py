"""The environment's first process; made in one step and let go in another, so that everything of it is whole
before its first instruction runs."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime import views
from runtime.contract import DesiredState, EnvironmentSpec
from runtime.contract.said import Said
from runtime.contract.words import advice, changes, drift, refusals, steps
from runtime.errors import RuntimeFault, Superseded
from runtime.host import fuse
from runtime.host.command import run
from runtime.host.memory import available_bytes
from runtime.host.oci import init, init_pid, monitor_pid, note_init
from runtime.host.processes import Held, Identity
from runtime.host.tty import release_terminal
from runtime.kernels import kernel_of
from runtime.node import Node
from runtime.resources.base import Found, Resource
from runtime.resources.cgroup import Cgroup
from runtime.resources.halting import Halt
from runtime.resources.ids import IdRange
from runtime.resources.monitor import Monitor

#: From the kill of init until its last process must be gone.
KILL_DEADLINE_S = 20.0
#: A process that was killed ends within this, as a rule, however much it held.
_DYING_S = 0.2
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
                refusals.memory_full(left // 2**20, least=LEAST_MEMORY_BYTES // 2**20),
                code="node_memory",
                next_step=advice.free_memory(),
            )

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        if init_pid(self.node, spec.id) is not None and not self._monitor.is_starting(spec.id):
            return None
        pid = self._monitor.made(spec.id)
        if pid is None:
            raise RuntimeFault(refusals.init_gone_early(), code="init_gone")
        views.show(self.node, pid, bare=spec.security.nesting)
        release_terminal(note_init(self.node, spec.id, pid))
        Cgroup(self.node).made_anew(spec)
        self._monitor.has_started(spec.id)
        return steps.made()

    def stop(
        self,
        environment_id: UUID,
        *,
        timeout_s: float,
        interrupted: Callable[[], bool] = lambda: False,
        kill_within_s: float = KILL_DEADLINE_S,
    ) -> Said | None:
        """Asks init to shut down and waits up to `timeout_s`, then kills. A no-op when it doesn't run.

        `interrupted` is asked twice a second; True ends the waiting and nothing is killed: `Superseded`, for
        whoever wants something else of it now. Returns how it ended.
        """
        runs = init(self.node, environment_id)
        if runs is None:
            return None
        try:
            with runs.held() as held:
                asked = timeout_s > 0 and not is_made_only(self.node, environment_id)
                halt = Halt(self.node, environment_id, runs, held)
                if asked and self._ask(environment_id, held, halt, timeout_s, interrupted):
                    return steps.shut_down()
                self._kill(environment_id, held, kill_within_s)
        except ProcessLookupError:
            return None  # in this moment, by itself
        return steps.forced() if timeout_s > 0 else steps.killed()

    def _ask(
        self, environment_id: UUID, init: Held, halt: Halt, timeout_s: float, interrupted: Callable[[], bool]
    ) -> bool:
        """Whether it shut down in time."""
        Cgroup(self.node).freeze(environment_id, False)  # a paused one hears nothing
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            halt.ask()
            if init.ends_within(min(0.5, until - time.monotonic())):
                return True
            if interrupted():
                raise Superseded(changes.superseded_while_stopping())
        return False

    def _kill(self, environment_id: UUID, init: Held, within_s: float) -> None:
        """The kernel ends every process of a pid namespace with its init."""
        Cgroup(self.node).freeze(environment_id, False)
        init.send(signal.SIGKILL)
        until = time.monotonic() + within_s
        while not init.ends_within(_DYING_S):
            self._end_own_file_systems(environment_id)
            if time.monotonic() > until:
                raise RuntimeFault(refusals.unkillable(within_s), code="unkillable")

    def _end_own_file_systems(self, environment_id: UUID) -> None:
        """Some of its processes wait for one that they should answer for themselves, and wouldn't end."""
        for first in IdRange(self.node).first_uids(environment_id):
            fuse.abort(self.node, first)

    def remove(self, environment_id: UUID) -> Said | None:
        self.stop(environment_id, timeout_s=0)
        Cgroup(self.node).kill(environment_id)
        if Cgroup(self.node).usage(environment_id).processes:  # of an init that is gone, or was never told
            self._end_own_file_systems(environment_id)
        self._monitor.remove(environment_id)
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        runs = init(self.node, environment_id)
        if runs is None:
            return None
        return {
            "pid": runs.pid,
            "monitor": monitor_pid(self.node, environment_id),
            "created_only": is_made_only(self.node, environment_id),
            "namespaces": namespaces(runs),
        }

    def inventory(self) -> Iterable[Found]:
        for entry in self.node.oci_root.iterdir():
            try:
                owner: UUID | None = UUID(hex=entry.name)
            except ValueError:
                owner = None
            yield Found(self.name, owner, f"container {entry.name}")

    def drifted(self, spec: EnvironmentSpec) -> Said | None:
        """Not when its monitor alone is gone: nothing brings that back but a new start, which nobody wants for
        a console's sake. `has_monitor` says so."""
        return drift.init_gone() if init_pid(self.node, spec.id) is None else None

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

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
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
            raise RuntimeFault(refusals.made_process_gone(str(error.strerror)), code="init_gone") from error
        try:
            gate.unlink(missing_ok=True)
            os.write(fd, b"\0")
        finally:
            os.close(fd)

    def remove(self, environment_id: UUID) -> Said | None:
        return None  # it ends with the process

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        if init_pid(self.node, environment_id) is None or self._gate(environment_id).exists():
            return None
        return {"running": True}

    def inventory(self) -> Iterable[Found]:
        return ()


def namespaces(process: Identity) -> dict[str, int]:
    """Inode number of each namespace of a process: equal numbers mean the same namespace."""
    found = {}
    with suppress(ProcessLookupError), process.directory() as directory:
        for name in ("user", "pid", "net", "mnt", "uts", "ipc", "cgroup"):
            with suppress(OSError):
                found[name] = os.stat(f"ns/{name}", dir_fd=directory).st_ino
    return found
