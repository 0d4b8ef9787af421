"""Which network links go away in this network namespace, as it happens (rtnetlink(7), RTMGRP_LINK)."""

import os
import socket
import struct
from collections.abc import Iterator

from runtime.host.nlsocket import attributes
from runtime.host.rtnetlink import IFLA_IFNAME, RTM_DELLINK

_RTMGRP_LINK = 1
_HEADER = struct.Struct("=IHHII")
_IFINFO_BYTES = 16
#: Bursts of a node that starts or stops many at once must not be lost.
_QUEUE_BYTES = 4 * 2**20


class LinkWatch:
    """`fd` is readable when there is something to read; a context manager."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0
        )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE_BYTES)
        self._socket.bind((0, _RTMGRP_LINK))
        self.fd = self._socket.fileno()

    def __enter__(self) -> "LinkWatch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def gone(self) -> Iterator[str]:
        """Names of the links that went away since the last call. Never waits. What overflowed (ENOBUFS) is
        lost: whoever needs all of them looks for himself now and then."""
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:
                continue
            position = 0
            while position + _HEADER.size <= len(data):
                length, kind, *_ = _HEADER.unpack_from(data, position)
                if length < _HEADER.size:
                    return
                if kind == RTM_DELLINK:
                    found = attributes(data[position + _HEADER.size + _IFINFO_BYTES : position + length])
                    yield os.fsdecode(found.get(IFLA_IFNAME, b"").rstrip(b"\0"))
                position += length + (-length % 4)
