"""One service tree on a shared base, with a root that may do what was allowed by name: what FreeBSD calls a
jail."""

from pathlib import Path
from typing import Any

from runtime.contract import Allow, EnvironmentSpec
from runtime.contract import Kind as KindName
from runtime.contract.words import jails
from runtime.errors import HostLacks, RuntimeFault
from runtime.host.safetree import SafeTree
from runtime.kinds.base import Ending, FirstCommand
from runtime.kinds.system import System
from runtime.node import Node
from runtime.oci.app import INIT_PROGRAM
from runtime.oci.config import DEFAULT_STOP
from runtime.oci.init import INIT, SYSTEMD_HALTS_AT, init_of
from runtime.oci.jail import jail_config
from runtime.resources.addresses import Addresses
from runtime.resources.attached import AttachedVolumes
from runtime.resources.children import Children
from runtime.resources.firewall import Firewall
from runtime.resources.given_devices import GivenDevices
from runtime.resources.guest import GuestFiles
from runtime.resources.ids import IdRange
from runtime.resources.link import Link
from runtime.resources.namespaces import Namespaces
from runtime.resources.root_mount import RootMount
from runtime.resources.shaping import Shaping
from runtime.resources.volume import RootVolume
from runtime.sandboxes import Part
from runtime.sandboxes.steps import Finish, LetGo, Make, Prepare

#: Without one of them it ends at its first mounts, or when its first service changes its user.
_SYSTEMD_WANTS = {Allow.SUSER, Allow.MOUNT, Allow.MOUNT_TMPFS}


class Jail(System):
    name = KindName.JAIL
    resources = (
        IdRange,
        Prepare,
        Part.LIMITS,
        RootVolume,
        Namespaces,
        Children,
        RootMount,
        Part.DESCRIPTION,
        Make,
        # while the container is being made:
        GuestFiles,
        Firewall,
        Link,
        Addresses,
        Shaping,
        # made by now:
        Finish,
        AttachedVolumes,
        GivenDevices,
        LetGo,
    )

    def ending_of(self, exit_code: int | None) -> Ending:
        """Also with a command: its small init hands on what that was killed by, so a reboot from inside, which
        takes suser, can't be told from a SIGHUP; either way it starts again."""
        ending = super().ending_of(exit_code)
        return Ending.ENDED if ending is Ending.POWER_OFF else ending

    def command(self, node: Node, spec: EnvironmentSpec) -> FirstCommand:
        """What was asked for, else the init that its tree has."""
        assert spec.jail is not None
        if spec.jail.command is not None:
            if not Path(INIT_PROGRAM).exists():
                raise HostLacks(jails.no_small_init(), code="kind_unavailable")
            return FirstCommand(list(spec.jail.command), DEFAULT_STOP)
        root = node.root_volume(spec.id)
        with SafeTree.open(root) as tree:
            if not tree.exists(INIT):
                raise RuntimeFault(jails.nothing_to_run(), code="jail_empty", next_step=jails.fill_it())
        found = FirstCommand(*init_of(root))
        if found.stop_signal == SYSTEMD_HALTS_AT and not set(spec.jail.allow) >= _SYSTEMD_WANTS:
            words = ", ".join(sorted(_SYSTEMD_WANTS))
            raise RuntimeFault(
                jails.systemd_wants(words),
                code="wants_more",
                next_step=jails.allow_them(),
                retryable=False,
            )
        return found

    def config(self, node: Node, spec: EnvironmentSpec) -> dict[str, Any]:
        return jail_config(node, spec, self.command(node, spec))
