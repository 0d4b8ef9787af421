"""Devices that an environment may be given: nodes of our own for them, which nobody inside can change.

The host's nodes don't do: root of an environment is nobody to them, and where they are 0600 (without udev) he
couldn't open them. What he makes himself (mknod) the kernel refuses in a user namespace.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from runtime.contract import Device
from runtime.contract.words import refusals
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
        raise HostLacks(refusals.device_not_offered(device), code="device_unavailable", retryable=False)
    return node.devices / Path(device).name


#: Those that everybody has, which the OCI runtime binds from /dev. devices(4) of linux/Documentation
USUAL = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}


#: ptmx, and all of pts.
_TERMINALS: tuple[tuple[int, int | None], ...] = ((5, 2), (136, None))


def allowed(given: Iterable[Device]) -> dict[tuple[int, int | None], str]:
    """What an environment with these opens: major, minor (None: all), and how."""
    numbers = [*USUAL.values(), *_TERMINALS, *(NUMBERS[one] for one in given)]
    return dict.fromkeys(numbers, "rw")


def keep(node: Node) -> bool:
    """Makes the nodes, in the node's mount namespace; False when they are there.

    On a file system of their own, since pools and /run are mounted without devices, and since the table of
    mounts inside says of which one a node is: the host's tells how much memory it has. Read-only, since a start
    hands standard streams to root of an environment by chown.
    """
    wanted = {Path(device).name: numbers for device, numbers in NUMBERS.items()} | USUAL
    if mounts.is_mounted(node.devices):
        wanted = {name: numbers for name, numbers in wanted.items() if not (node.devices / name).exists()}
        if not wanted:
            return False
        _open(node)
    else:
        flags = libc.MS_NOSUID | libc.MS_NOEXEC
        libc.mount("wadah", str(node.devices), "tmpfs", flags, "mode=711,size=64k,nr_inodes=32")
    for name, numbers in wanted.items():
        path = node.devices / name
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(*numbers))
        path.chmod(0o666)
    _close(node)
    return True


def keep_given(node: Node) -> bool:
    """A file system of nodes that are made for each environment; False when it is there."""
    if mounts.is_mounted(node.given):
        return False
    flags = libc.MS_NOSUID | libc.MS_NOEXEC
    libc.mount("wadah", str(node.given), "tmpfs", flags, "mode=711,size=8m,nr_inodes=16k")
    return True


def _open(node: Node) -> None:
    libc.mount("", str(node.devices), "", libc.MS_NOSUID | libc.MS_NOEXEC | libc.MS_REMOUNT | libc.MS_BIND)


def _close(node: Node) -> None:
    flags = libc.MS_NOSUID | libc.MS_NOEXEC | libc.MS_REMOUNT | libc.MS_BIND | libc.MS_RDONLY
    libc.mount("", str(node.devices), "", flags)


def renamed(node: Node, device: str) -> Path:
    """The block device under a name of ours, `disk`: every table of mounts inside says by which name the pool's
    was mounted."""
    number, path = Path(device).stat().st_rdev, node.devices / "disk"
    _open(node)
    try:
        path.unlink(missing_ok=True)
        os.mknod(path, stat.S_IFBLK | 0o600, number)
    finally:
        _close(node)
    return path
