"""The OCI runtime: crun, or runc where there is no crun. Where it is, how it is called, and the view of it that
the node's processes use."""

import os
import shutil
from pathlib import Path

from runtime.contract.said import Said
from runtime.contract.words import refusals
from runtime.errors import HostLacks
from runtime.host import libc, mounts
from runtime.host.command import ENVIRONMENT as _CLEAN
from runtime.node import Node

#: What it sees. crun begins by mounting itself read-only and executing that, each time anew; it doesn't where
#: this says that it runs from such a mount already, and it finds that true (`show`).
ENVIRONMENT = {**_CLEAN, "_LIBCONTAINER_CLONED_BINARY": "1"}


def unavailable() -> Said | None:
    """Why there is none, with the remedy."""
    if shutil.which("crun") or shutil.which("runc"):
        return None
    return refusals.no_crun()


def path(node: Node) -> str:
    """Raises `HostLacks` without one."""
    if os.access(node.oci_runtime, os.X_OK):
        return str(node.oci_runtime)
    found = shutil.which("crun") or shutil.which("runc")
    if found is None:
        raise HostLacks(refusals.no_crun())
    return found


def arguments(node: Node) -> list[str]:
    """Options before its verb."""
    return [f"--root={node.oci_root}"]


def words(node: Node) -> list[str]:
    """Path and global options. Raises `HostLacks` without one."""
    return [path(node), *arguments(node)]


def show(node: Node) -> bool:
    """Shows crun read-only in the node's mount namespace; False when that is so, or there is no crun.

    So that nobody inside can write to it by /proc/PID/exe (CVE-2019-5736), crun begins by mounting itself
    read-only and executing that, each time anew: 3.5 of the 7.5 ms of `crun --version`. It doesn't where
    `ENVIRONMENT` says that it runs from such a mount already, and finds that true.
    """
    crun = shutil.which("crun")
    if crun is None:
        return False
    found = Path(crun)
    view, flags = node.oci_runtime, libc.MS_BIND | libc.MS_REMOUNT | libc.MS_RDONLY | libc.MS_NOSUID
    if mounts.is_mounted(view):
        if found.samefile(view):
            return False
        mounts.unmount(view)  # another version was installed since
    view.touch(mode=0o600)
    libc.mount(crun, str(view), "", libc.MS_BIND)
    libc.mount("", str(view), "", flags | libc.MS_NODEV)
    return True
