"""The sandbox of the host's own kernel: an OCI runtime under conmon, and control groups."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import UUID

from runtime.contract import Usage
from runtime.contract.said import Said
from runtime.host.cgroup.warm import quick_attach
from runtime.host.oci import init, monitor_pid, was_init
from runtime.node import Node
from runtime.resources.bundle import booted
from runtime.resources.cgroup import FREEZE_DEADLINE_S, Cgroup
from runtime.resources.process import KILL_DEADLINE_S, Process, is_made_only
from runtime.sandboxes.base import Sandbox, SandboxState, Seen


class SharedSandbox(Sandbox):
    resource = Process

    def __init__(self, node: Node):
        self._node = node
        self._process = Process(node)
        self._cgroup = Cgroup(node)

    def look(self, environment_id: UUID) -> Seen:
        first = init(self._node, environment_id)
        if first is None:
            return Seen(SandboxState.GONE)
        if is_made_only(self._node, environment_id):
            state = SandboxState.MADE
        else:
            frozen = self._cgroup.frozen(environment_id)
            state = SandboxState.FROZEN if frozen else SandboxState.RUNNING
        return Seen(state, first.pid, str(first))

    def is_half_made(self, environment_id: UUID) -> bool:
        return self._process.is_half_made(environment_id)

    def made_for(self, environment_id: UUID) -> tuple[int, int] | None:
        return booted(self._node, environment_id)

    def making(self) -> AbstractContextManager[object]:
        return quick_attach()

    def stop(
        self,
        environment_id: UUID,
        *,
        timeout_s: float,
        interrupted: Callable[[], bool] = lambda: False,
        kill_within_s: float = KILL_DEADLINE_S,
    ) -> Said | None:
        return self._process.stop(
            environment_id, timeout_s=timeout_s, interrupted=interrupted, kill_within_s=kill_within_s
        )

    def freeze(self, environment_id: UUID, frozen: bool, *, within_s: float = FREEZE_DEADLINE_S) -> None:
        self._cgroup.freeze(environment_id, frozen, within_s=within_s)

    def has_console(self, environment_id: UUID) -> bool:
        return monitor_pid(self._node, environment_id) is not None

    def usage(self, environment_id: UUID) -> Usage:
        return self._cgroup.usage(environment_id)

    def was_first(self, environment_id: UUID, pid: int) -> bool:
        return was_init(self._node, environment_id, pid)
