"""The rescue system: what an environment of any kind is started with while somebody repairs its disk.

A small system in memory, made anew at each start and gone with it, so that nothing of it is shared with others
or lasts. It has the environment's name, ids, limits, confinement and addresses.
"""

import os
from pathlib import Path

from runtime.contract import EnvironmentSpec
from runtime.host import libc
from runtime.images.busybox import furnish
from runtime.node import Node
from runtime.resources.resolvers import nameservers

#: Where the environment's own disk is.
DISK = "/mnt"
#: Of the environment's memory, for all that is written beside the disk. The system itself takes some 2 MiB.
_SHARE_OF_MEMORY, _LEAST_BYTES = 4, 8 * 2**20
_INODES = 16_384
_GREETING = """
Rescue system of {name}, in memory: what is written outside {disk} is lost when it ends.
The disk is at {disk}.   chroot {disk}   goes into it, where what it holds still works.
When it is repaired, leave the rescue system in the panel: it starts from its own disk again.
"""


def mount_rescue_system(node: Node, spec: EnvironmentSpec, point: Path) -> None:
    """Mounts it, whole, at an empty directory, in this process's mount namespace. Its owner is root inside."""
    size = max(_LEAST_BYTES, spec.limits.memory_mb * 2**20 // _SHARE_OF_MEMORY)
    options = f"mode=755,size={size},nr_inodes={_INODES}"
    libc.mount("tmpfs", str(point), "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, options)
    furnish(point, _files(node, spec))
    owner = node.first_uid(spec.slot)
    for directory, _, names in os.walk(point):
        os.chown(directory, owner, owner)
        for name in names:
            os.chown(Path(directory) / name, owner, owner, follow_symlinks=False)


def _files(node: Node, spec: EnvironmentSpec) -> dict[str, str]:
    local = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    return {
        "etc/hostname": f"{spec.name}\n",
        "etc/hosts": f"{local}127.0.1.1\t{spec.name}\n",
        "etc/resolv.conf": "".join(f"nameserver {one}\n" for one in nameservers(node, spec)),
        "etc/motd": _GREETING.format(name=spec.name, disk=DISK),
        "etc/profile": "export PS1='rescue:\\w# '\ncat /etc/motd\ncd /\n",
        "etc/os-release": 'ID=rescue\nNAME="Rescue"\nPRETTY_NAME="Rescue system"\n',
    }
