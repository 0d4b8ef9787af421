"""Devices that an environment may be given: nodes of our own for them, which nobody inside can change.

The host's nodes don't do: root of an environment is nobody to them, and where they are 0600 (without udev) he
couldn't open them. What he makes himself (mknod) the kernel refuses in a user namespace.
"""

import os
import stat
from pathlib import Path

from runtime.contract import Device
from runtime.errors import HostLacks
from runtime.host import libc, mounts
from runtime.node import Node

#: Major and minor. linux/Documentation/admin-guide/devices.txt
NUMBERS = {Device.TUN: (10, 200), Device.FUSE: (10, 229)}


def available() -> list[Device]:
    """Those that this kernel has, or loads when one is opened: their nodes are on the host then."""
    loaded = {int(line.split()[0]) for line in Path("/proc/misc").read_text().splitlines() if line.strip()}
    return [one for one, (major, minor) in NUMBERS.items() if minor in loaded or _is_node(one, major, minor)]


def _is_node(device: Device, major: int, minor: int) -> bool:
    try:
        seen = Path(device).stat()
    except OSError:
        return False
    return stat.S_ISCHR(seen.st_mode) and seen.st_rdev == os.makedev(major, minor)


def source(node: Node, device: Device) -> Path:
    """What is shown inside as this device. `HostLacks` where the kernel hasn't got it."""
    if device not in available():
        raise HostLacks(
            f"devices: {device} is not offered by this node", code="device_unavailable", retryable=False
        )
    return node.devices / Path(device).name


def keep(node: Node) -> bool:
    """Makes the nodes, in the node's mount namespace; False when they are there.

    On a file system of their own, since pools and /run are mounted without devices; read-only, since a start
    hands standard streams to root of an environment by chown.
    """
    if mounts.is_mounted(node.devices):
        return False
    flags = libc.MS_NOSUID | libc.MS_NOEXEC
    libc.mount("wadah", str(node.devices), "tmpfs", flags, "mode=711,size=64k,nr_inodes=16")
    for device, numbers in NUMBERS.items():
        path = node.devices / Path(device).name
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(*numbers))
        path.chmod(0o666)
    libc.mount("", str(node.devices), "", flags | libc.MS_REMOUNT | libc.MS_BIND | libc.MS_RDONLY)
    return True
