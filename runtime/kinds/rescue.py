"""What an environment of any kind is, while somebody repairs its disk: a small system of the node's."""

from typing import Any

from runtime.contract import EnvironmentSpec
from runtime.kinds.base import FirstCommand
from runtime.node import Node
from runtime.oci.config import system_config
from runtime.oci.init import BUSYBOX_HALTS_AT, INIT
from runtime.oci.jail import confined
from runtime.resources.rescue import DISK


def rescue_config(node: Node, spec: EnvironmentSpec) -> dict[str, Any]:
    """OCI configuration; `RootMount` has made its root and shown the disk."""
    config = confined(system_config(node, spec, FirstCommand([INIT], BUSYBOX_HALTS_AT)), spec)
    disk = {"destination": DISK, "type": "bind", "source": str(node.disk_point(spec.id)), "options": ["bind"]}
    config["mounts"].append(disk)
    return config
