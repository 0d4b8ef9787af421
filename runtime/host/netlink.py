"""Links, addresses and routes by netlink, in this network namespace or in that of a process.

One `IPRoute` per use: one that is kept open gathers unread acknowledgements (pyroute2 0.9.7).
"""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pyroute2 import IPRoute, NetlinkError

from runtime.errors import RuntimeFault
from runtime.host import libc

T = TypeVar("T")

__all__ = ["IPRoute", "NetlinkError", "inside", "link_index", "set_interface"]


def inside(pid: int, act: Callable[[IPRoute], T]) -> T:
    """Runs `act` with an IPRoute in the network namespace of a process.

    In a thread of its own, which joins that namespace and ends: 1 ms, where pyroute2's own way by a
    helper process takes 8. Raises what `act` raises, or `RuntimeFault` when the process is gone.
    """
    answer: list[T] = []
    fault: list[BaseException] = []

    def work() -> None:
        try:
            fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                libc.setns(fd, libc.CLONE_NEWNET)
            finally:
                os.close(fd)
            with IPRoute() as ip:
                answer.append(act(ip))
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if fault:
        if isinstance(fault[0], FileNotFoundError):
            raise RuntimeFault("the environment's init is gone", code="init_gone") from fault[0]
        raise fault[0]
    return answer[0]


def link_index(name: str) -> int | None:
    """Index of a link in this namespace; None when there is none."""
    with suppress(OSError):
        return socket.if_nametoindex(name)
    return None


def set_interface(link: str, values: dict[str, str]) -> None:
    """Per-interface sysctls, such as `ipv6/conf/%s/accept_ra`; only those that differ are written.

    /proc/sys/net is that of the calling thread's network namespace.
    """
    for pattern, value in values.items():
        file = Path("/proc/sys/net") / (pattern % link)
        with suppress(FileNotFoundError):
            if file.read_text().strip() != value:
                file.write_text(value)
