"""The environment's conmon, which keeps its console and exit code, and has the OCI runtime make its container.

It is started first, told in the step of the container to have it made, and answered for in the one of the init
process: what its own start and the container's making don't need is done meanwhile, on the other processor.
"""

import shutil
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.console.monitor import START_DEADLINE_S, Launch, launch_monitor
from runtime.contract import EnvironmentSpec
from runtime.contract.said import Said
from runtime.errors import RuntimeFault
from runtime.host.oci import (
    init_note,
    init_pid,
    init_pid_file,
    monitor,
    monitor_pid,
    monitor_pid_file,
    monitors,
)
from runtime.kernels import kernel_of
from runtime.resources.base import Found, Resource
from runtime.resources.cgroup import Cgroup

#: Started by this process and not yet answered for; the lock on an environment leaves one starter at a time.
_launched: dict[UUID, Launch] = {}


class Monitor(Resource):
    name = "monitor"

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        """Only together with a new init: to one that runs nothing brings a console back."""
        if init_pid(self.node, spec.id) is not None:
            return None
        self.forget(spec.id)  # before the limits: a dead container's group goes with it
        kernel = kernel_of(spec.kernel)
        self._starting(spec.id).touch(mode=0o600)
        _launched[spec.id] = launch_monitor(
            *(self.node, spec.id),
            runtime=kernel.runtime(self.node),
            runtime_arguments=kernel.runtime_arguments(self.node),
        )
        return None

    @staticmethod
    def go_on(environment_id: UUID) -> None:
        """Has the container made by the monitor that this process started; a no-op when it started none."""
        if (launch := _launched.get(environment_id)) is not None:
            launch.go_on()

    def _starting(self, environment_id: UUID) -> Path:
        """There while a container is being made: whoever finds it comes after one who was killed just then."""
        return self.node.environment(environment_id) / "monitor.starting"

    def is_starting(self, environment_id: UUID) -> bool:
        return self._starting(environment_id).exists()

    def has_started(self, environment_id: UUID) -> None:
        """Everything that belongs to the start is done."""
        self._starting(environment_id).unlink(missing_ok=True)

    def made(self, environment_id: UUID) -> int | None:
        """Host pid of the init that it was started with, waited for; None when it is not this process that
        started it. Raises as `Launch.pid`."""
        launch = _launched.pop(environment_id, None)
        return launch.pid() if launch else None

    def _end_orphans(self, environment_id: UUID) -> bool:
        """A monitor whose starter was killed, or failed meanwhile, goes on alone: it is given time to make its
        container, so that the OCI runtime can take it away again, then it is ended."""
        if not self.is_starting(environment_id):
            return False
        until = time.monotonic() + START_DEADLINE_S
        while alive := monitors(self.node, environment_id):
            if init_pid(self.node, environment_id) is not None or time.monotonic() > until:
                break
            time.sleep(0.01)
        there = self._delete_container(environment_id)
        for one in alive:
            one.send(signal.SIGKILL)
        while monitors(self.node, environment_id) and time.monotonic() < until:
            time.sleep(0.01)
        self.has_started(environment_id)
        return there

    def forget(self, environment_id: UUID) -> bool:
        """Takes away what a dead container left: the OCI runtime's state, pid files, sockets. Whether there was
        a container."""
        self._abandon(environment_id)
        there = self._end_orphans(environment_id)
        there |= self._delete_container(environment_id)
        for file in (init_note, init_pid_file, monitor_pid_file):
            file(self.node, environment_id).unlink(missing_ok=True)
        (self.node.exits / self.node.container_name(environment_id)).unlink(missing_ok=True)
        return there

    @staticmethod
    def _abandon(environment_id: UUID) -> None:
        if (launch := _launched.pop(environment_id, None)) is not None:
            launch.abandon()

    def tidy(self, spec: EnvironmentSpec) -> None:
        """What was cut off before its init was waited for isn't taken for a later start's."""
        self._abandon(spec.id)

    def _delete_container(self, environment_id: UUID) -> bool:
        """What the OCI runtime's own `delete --force` does, which takes a process of 4 ms, and minutes for
        groups as deep as root inside may dig them: it goes down by recursion."""
        state = self.node.oci_root / self.node.container_name(environment_id)
        if not state.exists():
            return False
        with suppress(RuntimeFault):  # still busy: whoever removes it in earnest says so
            Cgroup(self.node).remove(environment_id)
        with suppress(FileNotFoundError):
            shutil.rmtree(state)
        return True

    def remove(self, environment_id: UUID) -> Said | None:
        """It ends by itself after init; it gets two seconds, then a kill. One that is at its start is given
        time to make its container, see `forget`."""
        if not self.is_starting(environment_id):
            self._end(environment_id)
        self.forget(environment_id)
        return None

    def _end(self, environment_id: UUID) -> None:
        keeper = monitor(self.node, environment_id)
        if keeper is None:
            return
        with suppress(ProcessLookupError), keeper.held() as held:
            if not held.ends_within(2):
                held.send(signal.SIGKILL)
                held.ends_within(2)

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        pid = monitor_pid(self.node, environment_id)
        return None if pid is None else {"pid": pid}

    def inventory(self) -> Iterable[Found]:
        return ()  # found with its container: see the init process

    def drifted(self, spec: EnvironmentSpec) -> Said | None:
        """Never: nothing brings it back but a new start, which nobody wants for a console's sake."""
        return None


class Container(Resource):
    """Everything that the OCI runtime needs is there: it begins to make the container."""

    name = "container"

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        Monitor.go_on(spec.id)
        return None

    def remove(self, environment_id: UUID) -> Said | None:
        return None  # it goes with the init process

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        there = (self.node.oci_root / self.node.container_name(environment_id)).exists()
        return {"name": self.node.container_name(environment_id)} if there else None

    def inventory(self) -> Iterable[Found]:
        return ()  # found as the init process

    def drifted(self, spec: EnvironmentSpec) -> Said | None:
        return None  # its init process says so
