"""The sandbox of a kernel of one's own: User-Mode Linux, a process without rights in a container of the host.

What keeps the container is what keeps every other (`SharedSandbox`): its monitor, control group, console and
exit code. Its first process starts the kernel, whose disk is served to it by a second process, and a relay to
the agent inside. Nothing outside of this package knows them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from runtime.contract import EnvironmentSpec, Kind
from runtime.contract import Kernel as KernelName
from runtime.contract.said import Said
from runtime.contract.words import kernels
from runtime.node import Node
from runtime.sandboxes.base import Config, Inner, Part, Shell, Walls, no_config
from runtime.sandboxes.old_trees import BundleOfTree
from runtime.sandboxes.own import calls, probe, tree
from runtime.sandboxes.own.config import LEAST_MB, own_config
from runtime.sandboxes.own.panic import EXIT_PANIC, panic_in
from runtime.sandboxes.own.walls import walls_of_kernel
from runtime.sandboxes.shared import container
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.tried import Probe, Tree, TriedSandbox


class OwnBundle(BundleOfTree):
    tree = tree.NAME


class OwnSandbox(TriedSandbox):
    called = "own"
    files: ClassVar[Tree] = tree
    trying: ClassVar[Probe] = probe
    kernel = KernelName.OWN
    least_memory_mb = LEAST_MB
    parts = {Part.LIMITS: Cgroup, Part.DESCRIPTION: OwnBundle}

    def __init__(self, node: Node, config: Config = no_config):
        super().__init__(node, lambda spec: own_config(node, spec, config(spec)))

    def refuses_kind(self, kind: Kind) -> Said | None:
        return None if kind is Kind.SYSTEM else kernels.boots_systems()

    def refuses(self, spec: EnvironmentSpec) -> Said | None:
        if spec.limits.memory_mb < LEAST_MB:
            return kernels.too_little_memory(LEAST_MB)
        return super().refuses(spec)

    def inner(
        self,
        environment_id: UUID,
        command: Sequence[str],
        *,
        terminal: bool = False,
        environment: Mapping[str, str] | None = None,
        pid_file: Path | None = None,
    ) -> Inner:
        return calls.inner(
            *(self.node, environment_id, command),
            terminal=terminal,
            environment=environment,
            pid_file=pid_file,
        )

    def start_terminal(self, environment_id: UUID, directory: Path, shell: Shell) -> None:
        calls.start_terminal(self.node, environment_id, directory, shell)

    def last_words(self, environment_id: UUID) -> str:
        return panic_in(self.node.console(environment_id) / "log") if self._gave_up(environment_id) else ""

    def _gave_up(self, environment_id: UUID) -> bool:
        return self.exit_code(environment_id) == EXIT_PANIC

    def tell_inside(self, spec: EnvironmentSpec) -> None:
        calls.tell(self.node, spec)

    def walls(self, environment_id: UUID) -> Walls | None:
        first = container.init(self.node, environment_id)
        return None if first is None else walls_of_kernel(first)
