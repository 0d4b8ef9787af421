"""A whole distribution with its own init, root, users, addresses and disk: what OpenVZ calls a VE."""

from typing import Any, ClassVar

from runtime.contract import EnvironmentSpec
from runtime.contract import Kind as KindName
from runtime.contract.said import Said
from runtime.host.safetree import SafeTree
from runtime.images.runnable import check_init
from runtime.kinds.base import Ending, FirstCommand, Kind
from runtime.node import Node
from runtime.oci.config import system_config
from runtime.oci.init import init_of
from runtime.resources.addresses import Addresses
from runtime.resources.attached import AttachedVolumes
from runtime.resources.base import Resource
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

#: Status of a PID namespace's init after reboot(2) from inside: killed by SIGHUP (restart) or SIGINT (halt).
#: pid_namespaces(7)
EXIT_REBOOT, EXIT_HALT = 129, 130


class System(Kind):
    name = KindName.SYSTEM
    resources: ClassVar[tuple[type[Resource] | Part, ...]] = (
        IdRange,
        Prepare,
        Part.LIMITS,
        RootVolume,
        Namespaces,
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
        return {EXIT_REBOOT: Ending.REBOOT, EXIT_HALT: Ending.POWER_OFF}.get(exit_code or 0, Ending.ENDED)

    def check_image(self, tree: SafeTree) -> Said:
        return check_init(tree)

    def command(self, node: Node, spec: EnvironmentSpec) -> FirstCommand:
        """The init that its own root has."""
        return FirstCommand(*init_of(node.root_volume(spec.id)))

    def config(self, node: Node, spec: EnvironmentSpec) -> dict[str, Any]:
        return system_config(node, spec, self.command(node, spec))
