"""The sandbox of the host's own kernel: an OCI runtime under conmon, namespaces and control groups.

Nothing outside of this package knows them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec, Usage
from runtime.contract import Kernel as KernelName
from runtime.contract.said import Said
from runtime.contract.words import devices as device_words
from runtime.contract.words import refusals
from runtime.errors import RuntimeFault
from runtime.host.cgroup import warm
from runtime.host.cgroup.base import Counter
from runtime.host.cgroup.device_program import Rules
from runtime.host.processes import Identity
from runtime.node import Node
from runtime.sandboxes.base import (
    FREEZE_DEADLINE_S,
    KILL_DEADLINE_S,
    Apart,
    Config,
    Console,
    Inner,
    Kept,
    Part,
    Payer,
    Sandbox,
    SandboxState,
    Seen,
    Shell,
    Walls,
    no_config,
)
from runtime.sandboxes.shared import container, ending, entering, inner, program
from runtime.sandboxes.shared.apart import apart, end_apart
from runtime.sandboxes.shared.beside import beside
from runtime.sandboxes.shared.bundle import Bundle, booted
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.making import Makings
from runtime.sandboxes.shared.walls import walls_of
from runtime.sandboxes.steps import Finish


class SharedSandbox(Sandbox):
    kernel = KernelName.SHARED
    resource = Finish
    parts = {Part.LIMITS: Cgroup, Part.DESCRIPTION: Bundle}

    def __init__(self, node: Node, config: Config = no_config):
        super().__init__(node, config)
        self._cgroup = Cgroup(node)
        self._makings = Makings(node, self._cgroup)

    # the host ------------------------------------------------------------------------------------

    def unavailable(self) -> Said | None:
        return program.unavailable()

    def prepare_host(self) -> list[str]:
        return ["read-only view of crun"] if program.show(self.node) else []

    def keep_ready(self) -> Callable[[], None]:
        return warm.for_children()

    def making(self, spec: EnvironmentSpec) -> AbstractContextManager[object]:
        return warm.quick_attach()

    # making --------------------------------------------------------------------------------------

    def prepare(self, spec: EnvironmentSpec) -> None:
        self._makings.prepare(spec)

    def make(self, spec: EnvironmentSpec) -> None:
        self._makings.go_on(spec.id)

    def finish(self, spec: EnvironmentSpec) -> Said | None:
        return self._makings.finish(spec)

    def let_go(self, spec: EnvironmentSpec) -> None:
        self._makings.let_go(spec.id)

    def abandon(self, environment_id: UUID) -> None:
        self._makings.abandon(environment_id)

    def is_half_made(self, environment_id: UUID) -> bool:
        return self._makings.is_starting(environment_id)

    def made_for(self, environment_id: UUID) -> tuple[int, int] | None:
        return booted(self.node, environment_id)

    # looking -------------------------------------------------------------------------------------

    def look(self, environment_id: UUID) -> Seen:
        first = container.init(self.node, environment_id)
        if first is None:
            return self._look_at_open(environment_id)
        if container.gate(self.node, environment_id).exists():
            state = SandboxState.MADE
        else:
            state = SandboxState.FROZEN if self._cgroup.frozen(environment_id) else SandboxState.RUNNING
        return Seen(state, first.pid, str(first))

    def _look_at_open(self, environment_id: UUID) -> Seen:
        """Without a first process."""
        if not self.is_open(environment_id):
            return Seen(SandboxState.GONE)
        is_frozen = self._cgroup.frozen(environment_id)
        return Seen(SandboxState.FROZEN if is_frozen else SandboxState.RUNNING)

    def is_open(self, environment_id: UUID) -> bool:
        is_open = entering.is_open(self.node, environment_id)
        return is_open and self._cgroup.find(environment_id) is not None

    def is_there(self, environment_id: UUID) -> bool:
        return container.init(self.node, environment_id) is not None or self.is_open(environment_id)

    def keeps(self, environment_id: UUID) -> bool:
        """By a note alone: a start asks often, and what never ran is with whoever is asked first."""
        return container.made_with(self.node, environment_id) is self.kernel

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        runs = container.init(self.node, environment_id)
        if runs is None:
            return None
        return {
            "pid": runs.pid,
            "monitor": container.monitor_pid(self.node, environment_id),
            "created_only": container.gate(self.node, environment_id).exists(),
            "namespaces": container.namespaces(runs),
        }

    def inventory(self) -> Iterable[tuple[UUID | None, str]]:
        for entry in self.node.oci_root.iterdir():
            owner: UUID | None = None
            with suppress(ValueError):
                owner = UUID(hex=entry.name)
            yield owner, f"container {entry.name}"

    def watched(self, environment_id: UUID) -> frozenset[Identity]:
        both = container.init(self.node, environment_id), container.monitor(self.node, environment_id)
        return frozenset(one for one in both if one is not None)

    def has_console(self, environment_id: UUID) -> bool:
        return container.monitor(self.node, environment_id) is not None or self.is_open(environment_id)

    def usage(self, environment_id: UUID) -> Usage:
        return self._cgroup.usage(environment_id)

    def counters(self, environment_id: UUID) -> Mapping[str, Counter]:
        path = self._cgroup.find(environment_id)
        return {} if path is None else self._cgroup.groups.counters(path)

    def walls(self, environment_id: UUID) -> Walls | None:
        first = container.init(self.node, environment_id)
        return None if first is None else walls_of(first)

    def oom_kills(self, environment_id: UUID) -> int:
        path = self._cgroup.find(environment_id)
        return 0 if path is None else self._cgroup.groups.oom_kills(path)

    def was_first(self, environment_id: UUID, pid: int) -> bool:
        return container.was_init(self.node, environment_id, pid)

    def holds_processes(self, environment_id: UUID) -> bool:
        return self._cgroup.find(environment_id) is not None

    def members(self, environment_id: UUID) -> list[int]:
        path = self._cgroup.find(environment_id)
        return [] if path is None else self._cgroup.groups.processes(path)

    def allow_devices(self, environment_id: UUID, allowed: Rules) -> None:
        path = self._cgroup.find(environment_id)
        if path is None:
            return
        try:
            self._cgroup.groups.allow_devices(path, allowed)
        except OSError as error:
            why = error.strerror or ""
            raise RuntimeFault(device_words.no_rules(why), code="device_failed") from error

    def allows_devices(self, environment_id: UUID, allowed: Rules) -> bool:
        path = self._cgroup.find(environment_id)
        return path is None or self._cgroup.groups.allows_devices(path, allowed)

    def open_namespace(self, environment_id: UUID, name: str) -> int:
        runs = container.init(self.node, environment_id)
        try:
            if runs is None:
                raise ProcessLookupError
            return container.open_namespace(runs, name)
        except (ProcessLookupError, FileNotFoundError) as gone:
            raise RuntimeFault(refusals.init_gone(), code="init_gone") from gone

    # how it ended --------------------------------------------------------------------------------

    @property
    def ends(self) -> tuple[Path, ...]:
        return (self.node.exits,)

    def owner_of_end(self, name: str) -> UUID | None:
        with suppress(ValueError):
            return UUID(hex=name)
        return None

    def exit_code(self, environment_id: UUID) -> int | None:
        with suppress(OSError, ValueError):
            return int(container.exit_file(self.node, environment_id).read_text())
        return None

    # changing ------------------------------------------------------------------------------------

    def signal(self, environment_id: UUID, number: int) -> bool:
        runs = container.init(self.node, environment_id)
        if runs is not None:
            runs.send(number)
        return runs is not None

    def stop(
        self,
        environment_id: UUID,
        *,
        timeout_s: float,
        interrupted: Callable[[], bool] = lambda: False,
        kill_within_s: float = KILL_DEADLINE_S,
    ) -> Said | None:
        return ending.stop(
            *(self.node, self._cgroup, environment_id),
            timeout_s=timeout_s,
            interrupted=interrupted,
            kill_within_s=kill_within_s,
        )

    def freeze(self, environment_id: UUID, frozen: bool, *, within_s: float = FREEZE_DEADLINE_S) -> None:
        self._cgroup.freeze(environment_id, frozen, within_s=within_s)

    def open(self, environment_id: UUID) -> None:
        entering.open_(self.node, environment_id)

    def shut(self, environment_id: UUID) -> None:
        entering.shut(self.node, self._cgroup, environment_id)

    def take_away(self, environment_id: UUID) -> None:
        self.stop(environment_id, timeout_s=0)
        ending.kill_rest(self.node, self._cgroup, environment_id)
        self._makings.remove(environment_id)

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
        if entering.is_open(self.node, environment_id):
            return entering.inner(
                *(self.node, self._cgroup, environment_id, command),
                terminal=terminal,
                environment=environment,
                pid_file=pid_file,
            )
        return inner.inner(
            *(self.node, environment_id, command),
            terminal=terminal,
            environment=environment,
            pid_file=pid_file,
        )

    def beside(self, spec: EnvironmentSpec, tools: Path, words: Sequence[str], *, pid_file: Path) -> Inner:
        return beside(self.node, spec, tools, words, pid_file=pid_file)

    def console(self, environment_id: UUID) -> Console:
        return Console(self.node.console(environment_id), self.node.bundle(environment_id))

    def start_terminal(self, environment_id: UUID, directory: Path, shell: Shell) -> None:
        if entering.is_open(self.node, environment_id):
            entering.start_terminal(self.node, self._cgroup, environment_id, directory, shell)
        else:
            inner.start_terminal(self.node, environment_id, directory, shell)

    def look_at_terminal(self, environment_id: UUID, directory: Path) -> Kept | None:
        return inner.look_at_terminal(self.node, environment_id, directory)

    # work of the node's own ----------------------------------------------------------------------

    def apart(
        self,
        place: Path,
        config: Mapping[str, Any],
        *,
        memory_bytes: int,
        processes: int,
        is_background: bool = False,
        payer: Payer | None = None,
    ) -> AbstractContextManager[Apart]:
        return apart(
            self.node,
            place,
            config,
            memory_bytes=memory_bytes,
            processes=processes,
            is_background=is_background,
            payer=payer,
        )

    def end_apart(self, name: str) -> None:
        end_apart(self.node, name)
