"""A whole distribution with its own init, root, users, addresses and disk: what OpenVZ calls a VE."""

from typing import Any

from runtime.contract import EnvironmentSpec
from runtime.contract import Kind as KindName
from runtime.kinds.base import Ending, Kind
from runtime.node import Node
from runtime.oci.config import system_config
from runtime.resources.addresses import Addresses
from runtime.resources.bundle import Bundle
from runtime.resources.cgroup import Cgroup
from runtime.resources.firewall import Firewall
from runtime.resources.guest import GuestFiles
from runtime.resources.ids import IdRange
from runtime.resources.link import Link
from runtime.resources.monitor import Container, Monitor
from runtime.resources.namespaces import Namespaces
from runtime.resources.process import Process, Start
from runtime.resources.root_mount import RootMount
from runtime.resources.shaping import Shaping
from runtime.resources.volume import RootVolume

#: Status of a PID namespace's init after reboot(2) from inside: killed by SIGHUP (restart) or SIGINT (halt).
#: pid_namespaces(7)
EXIT_REBOOT, EXIT_HALT = 129, 130


class System(Kind):
    name = KindName.SYSTEM
    resources = (
        IdRange,
        Monitor,
        Cgroup,
        RootVolume,
        Namespaces,
        RootMount,
        Bundle,
        Container,
        # while the container is being made:
        GuestFiles,
        Firewall,
        Link,
        Addresses,
        Shaping,
        # made by now:
        Process,
        Start,
    )

    def ending_of(self, exit_code: int | None) -> Ending:
        return {EXIT_REBOOT: Ending.REBOOT, EXIT_HALT: Ending.POWER_OFF}.get(exit_code or 0, Ending.ENDED)

    def config(self, node: Node, spec: EnvironmentSpec) -> dict[str, Any]:
        return system_config(node, spec)
