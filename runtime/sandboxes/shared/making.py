"""How a container is made: a conmon, which keeps its console and exit code, has the OCI runtime make it.

It is started first, told to have it made when all that belongs to it is there, and answered for at the end:
what its own start and the container's making don't need is done meanwhile, on the other processor.
"""

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from runtime import views
from runtime.contract import Allow, Base, EnvironmentSpec, Kernel, Rescue
from runtime.contract.said import Said
from runtime.contract.words import refusals, steps
from runtime.errors import RuntimeFault
from runtime.host.command import run
from runtime.host.tty import release_terminal
from runtime.node import Node
from runtime.sandboxes.shared import container, program
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.conmon import START_DEADLINE_S, Launch, launch_monitor


class Makings:
    """The starts of one node. What one of them began is known to it alone; that somebody began one, a file
    says."""

    def __init__(self, node: Node, cgroup: Cgroup):
        self.node = node
        self._cgroup = cgroup
        self._launched: dict[UUID, Launch] = {}
        """Not yet answered for; the lock on an environment leaves one starter at a time."""

    def _starting(self, environment_id: UUID) -> Path:
        """There while a container is being made: whoever finds it comes after one who was killed just then."""
        return self.node.environment(environment_id) / "monitor.starting"

    def is_starting(self, environment_id: UUID) -> bool:
        return self._starting(environment_id).exists()

    def prepare(self, spec: EnvironmentSpec) -> None:
        """Only together with a new init: to one that runs nothing brings a console back."""
        if container.init_pid(self.node, spec.id) is not None:
            return
        self.forget(spec.id)  # before the limits: a dead container's group goes with it
        self._starting(spec.id).touch(mode=0o600)
        if spec.runs_on is not Kernel.SHARED:
            container.kernel_note(self.node, spec.id).write_text(spec.runs_on.value)
        self._launched[spec.id] = launch_monitor(self.node, spec.id, terminal=_has_terminal(spec))

    def go_on(self, environment_id: UUID) -> None:
        if (launch := self._launched.get(environment_id)) is not None:
            launch.go_on()

    def finish(self, spec: EnvironmentSpec) -> Said | None:
        if container.init_pid(self.node, spec.id) is not None and not self.is_starting(spec.id):
            return None
        launch = self._launched.pop(spec.id, None)
        if launch is None:
            raise RuntimeFault(refusals.init_gone_early(), code="init_gone")
        pid = launch.pid()
        if spec.runs_on is Kernel.SHARED:
            views.show(
                self.node,
                pid,
                bare=_shows_bare(spec),
                has_run=not spec.runs_app,
                is_layered=spec.rescue is Rescue.OFF and spec.jail is not None and spec.jail.base is Base.THIN,
            )
        first = container.note_init(self.node, spec.id, pid)
        if not (spec.runs_app or _runs_command(spec)):  # the terminal of an app is for the app
            release_terminal(first)
        self._cgroup.made_anew(spec)
        self._starting(spec.id).unlink(missing_ok=True)
        return steps.made()

    def let_go(self, environment_id: UUID) -> None:
        if not container.gate(self.node, environment_id).exists():
            return
        if Path(program.path(self.node)).name == "crun":
            self._open_gate(environment_id)
        else:
            words = [*program.words(self.node), "start", self.node.container_name(environment_id)]
            run(words, timeout_s=20, environment=program.ENVIRONMENT)

    def _open_gate(self, environment_id: UUID) -> None:
        """What `crun start` does when there are no hooks, without the 4 ms of a process: one byte into the
        fifo that the made process waits at, which is gone from then on."""
        gate = container.gate(self.node, environment_id)
        try:
            fd = os.open(gate, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise RuntimeFault(refusals.made_process_gone(str(error.strerror)), code="init_gone") from error
        try:
            gate.unlink(missing_ok=True)
            os.write(fd, b"\0")
        finally:
            os.close(fd)

    def abandon(self, environment_id: UUID) -> None:
        if (launch := self._launched.pop(environment_id, None)) is not None:
            launch.abandon()

    # what is left of one --------------------------------------------------------------------------

    def remove(self, environment_id: UUID) -> None:
        """The monitor ends by itself after init; it gets two seconds, then a kill. One that is at its start is
        given time to make its container, see `forget`."""
        if not self.is_starting(environment_id):
            self._end(environment_id)
        self.forget(environment_id)

    def _end(self, environment_id: UUID) -> None:
        keeper = container.monitor(self.node, environment_id)
        if keeper is None:
            return
        with suppress(ProcessLookupError), keeper.held() as held:
            if not held.ends_within(2):
                held.send(signal.SIGKILL)
                held.ends_within(2)

    def forget(self, environment_id: UUID) -> None:
        """Takes away what a dead container left: the OCI runtime's state, pid files, sockets."""
        self.abandon(environment_id)
        self._end_orphans(environment_id)
        self._delete_container(environment_id)
        for file in (
            container.init_note,
            container.init_pid_file,
            container.monitor_pid_file,
            container.kernel_note,
        ):
            file(self.node, environment_id).unlink(missing_ok=True)
        container.exit_file(self.node, environment_id).unlink(missing_ok=True)

    def _end_orphans(self, environment_id: UUID) -> None:
        """A monitor whose starter was killed, or failed meanwhile, goes on alone: it is given time to make its
        container, so that the OCI runtime can take it away again, then it is ended."""
        if not self.is_starting(environment_id):
            return
        until = time.monotonic() + START_DEADLINE_S
        while alive := container.monitors(self.node, environment_id):
            if container.init_pid(self.node, environment_id) is not None or time.monotonic() > until:
                break
            time.sleep(0.01)
        self._delete_container(environment_id)
        for one in alive:
            one.send(signal.SIGKILL)
        while container.monitors(self.node, environment_id) and time.monotonic() < until:
            time.sleep(0.01)
        self._starting(environment_id).unlink(missing_ok=True)

    def _delete_container(self, environment_id: UUID) -> None:
        """What the OCI runtime's own `delete --force` does, which takes a process of 4 ms, and minutes for
        groups as deep as root inside may dig them: it goes down by recursion."""
        state = container.state_directory(self.node, environment_id)
        if not state.exists():
            return
        with suppress(RuntimeFault):  # still busy: whoever removes it in earnest says so
            self._cgroup.remove(environment_id)
        with suppress(FileNotFoundError):
            shutil.rmtree(state)


def _has_terminal(spec: EnvironmentSpec) -> bool:
    return not spec.runs_app or (spec.app is not None and spec.app.tty)


def _runs_command(spec: EnvironmentSpec) -> bool:
    return spec.rescue is Rescue.OFF and spec.jail is not None and spec.jail.command is not None


def _shows_bare(spec: EnvironmentSpec) -> bool:
    """Whether the kernel's own /proc is in sight, without which nobody inside mounts another."""
    jail = spec.jail
    return spec.security.nesting or (
        jail is not None and (jail.children_max > 0 or Allow.MOUNT_PROC in jail.allow)
    )
