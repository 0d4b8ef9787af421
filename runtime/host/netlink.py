"""Links, addresses and routes by netlink, in this network namespace or in another.

One socket per use: a pyroute2 `IPRoute` that is kept open gathers unread acknowledgements (0.9.7).
"""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pyroute2 import IPRoute, NetlinkError

from runtime.host import libc
from runtime.host.rtnetlink import Rtnetlink

T = TypeVar("T")

__all__ = ["IPRoute", "NetlinkError", "Rtnetlink", "inside", "link_index", "set_interface"]


def inside(namespace: int, act: Callable[[Rtnetlink], T]) -> T:
    """Runs `act` with a netlink socket in a network namespace, by a descriptor of it.

    Only the opening happens there, in a thread of its own which joins that namespace and ends: a
    netlink socket stays with the namespace it was opened in. Raises what `act` raises.
    """
    opened: list[Rtnetlink] = []
    fault: list[BaseException] = []

    def work() -> None:
        try:
            libc.setns(namespace, libc.CLONE_NEWNET)
            opened.append(Rtnetlink())
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if fault:
        raise fault[0]
    with opened[0] as netlink:
        return act(netlink)


def link_index(name: str) -> int | None:
    """Index of a link in this namespace; None when there is none."""
    with suppress(OSError):
        return socket.if_nametoindex(name)
    return None


def set_inside(namespace: int, link: str, values: dict[str, str]) -> None:
    """As `set_interface`, in a network namespace, by a descriptor of it."""
    fault: list[BaseException] = []

    def work() -> None:
        try:
            libc.setns(namespace, libc.CLONE_NEWNET)
            set_interface(link, values)
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    for error in fault:
        raise error


def set_interface(link: str, values: dict[str, str]) -> None:
    """Per-interface sysctls, such as `ipv6/conf/%s/accept_ra`; only those that differ are written.

    /proc/sys/net is that of the calling thread's network namespace. A file that the kernel lacks is skipped.
    """
    for pattern, value in values.items():
        with suppress(FileNotFoundError):
            fd = os.open(Path("/proc/sys/net", pattern % link), os.O_RDWR | os.O_CLOEXEC)
            try:
                if os.pread(fd, 32, 0).strip() != value.encode():
                    os.pwrite(fd, value.encode(), 0)
            finally:
                os.close(fd)
