"""The sandbox of each environment: every verb goes to the one that keeps that environment.

Who holds this one as his sandbox need not know that a node may have several. An environment is with the sandbox
that has something of it; else with that of the kernel which its spec names.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec, Usage
from runtime.contract import Kernel as KernelName
from runtime.contract.said import Said
from runtime.contract.words import refusals
from runtime.errors import HostLacks
from runtime.host.cgroup.base import Counter
from runtime.host.cgroup.device_program import Rules
from runtime.host.processes import Identity
from runtime.node import Node
from runtime.sandboxes.base import (
    FREEZE_DEADLINE_S,
    KILL_DEADLINE_S,
    Apart,
    Console,
    Inner,
    Kept,
    Sandbox,
    Seen,
    Shell,
    Walls,
)
from runtime.state import Records


class Sandboxes(Sandbox):
    """Those of one node, by their kernels; the first is who does the node's own work."""

    def __init__(self, node: Node, each: Sequence[Sandbox]):
        super().__init__(node)
        self._by_kernel = {one.kernel: one for one in each}
        self._first = each[0]

    @property
    def each(self) -> list[Sandbox]:
        return list(self._by_kernel.values())

    def of_kernel(self, kernel: KernelName) -> Sandbox:
        found = self._by_kernel.get(kernel)
        if found is None:
            raise HostLacks(refusals.kernel_not_offered(kernel), code="kernel_unavailable", retryable=False)
        return found

    def of(self, environment_id: UUID) -> Sandbox:
        """Nothing is read where there is but one."""
        if len(self._by_kernel) == 1:
            return self._first
        for one in self._by_kernel.values():
            if one.keeps(environment_id):
                return one
        spec = Records(self.node, environment_id).wanted()
        return self._by_kernel.get(spec.runs_on, self._first) if spec is not None else self._first

    # the host ------------------------------------------------------------------------------------

    def unavailable(self) -> Said | None:
        reasons = [one.unavailable() for one in self.each]
        return None if None in reasons else reasons[0]

    def prepare_host(self) -> list[str]:
        return [changed for one in self.each for changed in one.prepare_host()]

    def keep_ready(self) -> Callable[[], None]:
        each = [one.keep_ready() for one in self.each]

        def comes() -> None:
            for one in each:
                one()

        return comes

    def making(self, spec: EnvironmentSpec) -> AbstractContextManager[object]:
        return self.of_kernel(spec.runs_on).making(spec)

    # making --------------------------------------------------------------------------------------

    def prepare(self, spec: EnvironmentSpec) -> None:
        self.of_kernel(spec.runs_on).prepare(spec)

    def make(self, spec: EnvironmentSpec) -> None:
        self.of_kernel(spec.runs_on).make(spec)

    def finish(self, spec: EnvironmentSpec) -> Said | None:
        return self.of_kernel(spec.runs_on).finish(spec)

    def let_go(self, spec: EnvironmentSpec) -> None:
        self.of_kernel(spec.runs_on).let_go(spec)

    def abandon(self, environment_id: UUID) -> None:
        for one in self.each:
            one.abandon(environment_id)

    def is_half_made(self, environment_id: UUID) -> bool:
        return any(one.is_half_made(environment_id) for one in self.each)

    def made_for(self, environment_id: UUID) -> tuple[int, int] | None:
        return self.of(environment_id).made_for(environment_id)

    # looking -------------------------------------------------------------------------------------

    def look(self, environment_id: UUID) -> Seen:
        return self.of(environment_id).look(environment_id)

    def is_there(self, environment_id: UUID) -> bool:
        return any(one.is_there(environment_id) for one in self.each)

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        return self.of(environment_id).inspect(environment_id)

    def inventory(self) -> Iterable[tuple[UUID | None, str]]:
        return [found for one in self.each for found in one.inventory()]

    def watched(self, environment_id: UUID) -> frozenset[Identity]:
        return self.of(environment_id).watched(environment_id)

    def has_console(self, environment_id: UUID) -> bool:
        return self.of(environment_id).has_console(environment_id)

    def usage(self, environment_id: UUID) -> Usage:
        return self.of(environment_id).usage(environment_id)

    def oom_kills(self, environment_id: UUID) -> int:
        return self.of(environment_id).oom_kills(environment_id)

    def counters(self, environment_id: UUID) -> Mapping[str, Counter]:
        return self.of(environment_id).counters(environment_id)

    def allow_devices(self, environment_id: UUID, allowed: Rules) -> None:
        self.of(environment_id).allow_devices(environment_id, allowed)

    def allows_devices(self, environment_id: UUID, allowed: Rules) -> bool:
        return self.of(environment_id).allows_devices(environment_id, allowed)

    def last_words(self, environment_id: UUID) -> str:
        return self.of(environment_id).last_words(environment_id)

    def tell_inside(self, spec: EnvironmentSpec) -> None:
        self.of(spec.id).tell_inside(spec)

    def walls(self, environment_id: UUID) -> Walls | None:
        return self.of(environment_id).walls(environment_id)

    def was_first(self, environment_id: UUID, pid: int) -> bool:
        return any(one.was_first(environment_id, pid) for one in self.each)

    def holds_processes(self, environment_id: UUID) -> bool:
        return any(one.holds_processes(environment_id) for one in self.each)

    def members(self, environment_id: UUID) -> list[int]:
        return self.of(environment_id).members(environment_id)

    def open_namespace(self, environment_id: UUID, name: str) -> int:
        return self.of(environment_id).open_namespace(environment_id, name)

    # how it ended --------------------------------------------------------------------------------

    @property
    def ends(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(place for one in self.each for place in one.ends))

    def owner_of_end(self, name: str) -> UUID | None:
        return next((owner for one in self.each if (owner := one.owner_of_end(name)) is not None), None)

    def exit_code(self, environment_id: UUID) -> int | None:
        return self.of(environment_id).exit_code(environment_id)

    # changing ------------------------------------------------------------------------------------

    def signal(self, environment_id: UUID, number: int) -> bool:
        return self.of(environment_id).signal(environment_id, number)

    def stop(
        self,
        environment_id: UUID,
        *,
        timeout_s: float,
        interrupted: Callable[[], bool] = lambda: False,
        kill_within_s: float = KILL_DEADLINE_S,
    ) -> Said | None:
        return self.of(environment_id).stop(
            environment_id, timeout_s=timeout_s, interrupted=interrupted, kill_within_s=kill_within_s
        )

    def freeze(self, environment_id: UUID, frozen: bool, *, within_s: float = FREEZE_DEADLINE_S) -> None:
        self.of(environment_id).freeze(environment_id, frozen, within_s=within_s)

    def is_open(self, environment_id: UUID) -> bool:
        return any(one.is_open(environment_id) for one in self.each)

    def open(self, environment_id: UUID) -> None:
        self.of(environment_id).open(environment_id)

    def shut(self, environment_id: UUID) -> None:
        for one in self.each:
            one.shut(environment_id)

    def take_away(self, environment_id: UUID) -> None:
        for one in self.each:
            one.take_away(environment_id)

    # what people do inside -----------------------------------------------------------------------

    def inner(
        self,
        environment_id: UUID,
        command: Sequence[str],
        *,
        terminal: bool = False,
        environment: Mapping[str, str] | None = None,
        pid_file: Path | None = None,
    ) -> Inner:
        return self.of(environment_id).inner(
            environment_id, command, terminal=terminal, environment=environment, pid_file=pid_file
        )

    def beside(self, spec: EnvironmentSpec, tools: Path, words: Sequence[str], *, pid_file: Path) -> Inner:
        return self._first.beside(spec, tools, words, pid_file=pid_file)

    def console(self, environment_id: UUID) -> Console:
        return self.of(environment_id).console(environment_id)

    def start_terminal(self, environment_id: UUID, directory: Path, shell: Shell) -> None:
        self.of(environment_id).start_terminal(environment_id, directory, shell)

    def look_at_terminal(self, environment_id: UUID, directory: Path) -> Kept | None:
        return self.of(environment_id).look_at_terminal(environment_id, directory)

    # work of the node's own ----------------------------------------------------------------------

    def apart(self, place: Path, config: Mapping[str, Any], **how: Any) -> AbstractContextManager[Apart]:
        return self._first.apart(place, config, **how)

    def end_apart(self, name: str) -> None:
        self._first.end_apart(name)
