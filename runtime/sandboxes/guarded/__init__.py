"""The sandbox of a guarded kernel: gVisor, whose own kernel answers the system calls of what runs, in a
container of the host.

What keeps the container is what keeps every other (`SharedSandbox`): its monitor, control group, console and
exit code. Its first process is gVisor's, which hands signals on and ends as what it guards ends. Nothing
outside of this package knows that.
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
from runtime.oci.init import SYSTEMD_HALTS_AT, init_of
from runtime.sandboxes.base import Config, Inner, Part, Shell, Walls, no_config
from runtime.sandboxes.guarded import calls, probe, tree
from runtime.sandboxes.guarded.config import LEAST_MB, LEAST_PROCESSES, guarded_config
from runtime.sandboxes.guarded.walls import walls_of_guarded
from runtime.sandboxes.old_trees import BundleOfTree
from runtime.sandboxes.shared import container
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.inner import entering, keep_terminal
from runtime.sandboxes.shared.tried import Probe, Tree, TriedSandbox


class GuardedBundle(BundleOfTree):
    tree = tree.NAME


class GuardedSandbox(TriedSandbox):
    called = "guarded"
    files: ClassVar[Tree] = tree
    trying: ClassVar[Probe] = probe
    kernel = KernelName.GUARDED
    least_memory_mb = LEAST_MB
    parts = {Part.LIMITS: Cgroup, Part.DESCRIPTION: GuardedBundle}

    def __init__(self, node: Node, config: Config = no_config):
        super().__init__(node, lambda spec: guarded_config(node, spec, config(spec)))

    def refuses_kind(self, kind: Kind) -> Said | None:
        return kernels.has_a_first_process() if kind is Kind.DIRECTORY else None

    def refuses(self, spec: EnvironmentSpec) -> Said | None:
        if spec.limits.memory_mb < LEAST_MB:
            return kernels.guarded_wants_memory(LEAST_MB)
        if spec.limits.processes < LEAST_PROCESSES:
            return kernels.guarded_wants_processes(LEAST_PROCESSES)
        return super().refuses(spec) or (kernels.no_systemd() if self._boots_systemd(spec) else None)

    def _boots_systemd(self, spec: EnvironmentSpec) -> bool:
        """By its root, or the image that this is to be made from."""
        if spec.runs_app or (spec.jail is not None and spec.jail.command is not None):
            return False
        places = (self.node.root_volume(spec.id), self.node.image(spec.image))
        place = next((one for one in places if one.is_dir()), None)
        return place is not None and init_of(place)[1] == SYSTEMD_HALTS_AT

    def inner(
        self,
        environment_id: UUID,
        command: Sequence[str],
        *,
        terminal: bool = False,
        environment: Mapping[str, str] | None = None,
        pid_file: Path | None = None,
    ) -> Inner:
        asks = calls.process(*(self.node, environment_id, command), terminal=terminal, environment=environment)
        return entering(self.node, environment_id, asks, pid_file=pid_file)

    def start_terminal(self, environment_id: UUID, directory: Path, shell: Shell) -> None:
        asks = calls.process(
            *(self.node, environment_id, shell.command), terminal=True, environment=shell.environment
        )
        keep_terminal(self.node, environment_id, directory, shell, asks)

    def tell_inside(self, spec: EnvironmentSpec) -> None:
        calls.tell(self.node, spec)

    def walls(self, environment_id: UUID) -> Walls | None:
        first = container.init(self.node, environment_id)
        return None if first is None else walls_of_guarded(first, self.members(environment_id))
