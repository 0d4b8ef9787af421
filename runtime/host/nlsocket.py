"""The transport of netlink(7): messages, their attributes, and a socket that carries out many in one call.

Names and numbers are those of linux/netlink.h.
"""

import os
import socket
import struct
from collections.abc import Iterator
from itertools import count
from types import TracebackType
from typing import Self

Attributes = dict[int, bytes]

NLM_F_REQUEST, NLM_F_ACK, NLM_F_ECHO, NLM_F_DUMP = 0x1, 0x4, 0x8, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLA_F_NESTED = 0x8000
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK = 270, 10, 12

_HEADER = struct.Struct("=IHHII")


def attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes) -> Attributes:
    """Attributes by number; nested ones stay bytes."""
    found: Attributes = {}
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += length + (-length % 4)
    return found


class NetlinkSocket:
    """A netlink socket of the calling thread's network namespace; to be closed soon.

    Verbs that change only collect; `send` carries all of them out by one call.
    """

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        self._numbers = count(1)
        self._pending: list[tuple[int, bytes, str, frozenset[int]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def _collect(self, kind: int, flags: int, body: bytes, what: str, accept: tuple[int, ...] = ()) -> None:
        number = next(self._numbers)
        flags |= NLM_F_REQUEST | NLM_F_ACK
        message = _HEADER.pack(_HEADER.size + len(body), kind, flags, number, 0) + body
        message += bytes(-len(message) % 4)
        self._pending.append((number, message, what, frozenset(accept)))

    def send(self) -> set[str]:
        """Carries out what was collected, in order, and returns what of it really changed something.

        An error in the list of what a verb accepts ("is there", "is gone") means: nothing to do. Each
        message is tried, then the first other error is raised as an OSError that names what was refused.
        """
        pending, self._pending = self._pending, []
        if not pending:
            return set()
        self._socket.send(b"".join(message for _, message, _, _ in pending))
        waiting = {number: (what, accept) for number, _, what, accept in pending}
        done: set[str] = set()
        fault: OSError | None = None
        while waiting:
            for kind, number, body in self._receive():
                if kind != NLMSG_ERROR or number not in waiting:
                    continue
                what, accept = waiting.pop(number)
                code = -int(struct.unpack_from("=i", body)[0])
                if code == 0:
                    done.add(what)
                elif code not in accept and fault is None:
                    fault = OSError(code, os.strerror(code), what)
        if fault is not None:
            raise fault
        return done

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        data = self._socket.recv(1 << 18)
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, _, number, _ = _HEADER.unpack_from(data, offset)
            yield kind, number, data[offset + _HEADER.size : offset + length]
            offset += length + (-length % 4)

    def _ask(
        self, kind: int, body: bytes, what: str, *, dump: bool = False, flags: int = 0, most: int = 2**31
    ) -> list[bytes]:
        """`most`: of a dump; when more come, the rest isn't read."""
        number = next(self._numbers)
        flags |= NLM_F_REQUEST | (NLM_F_DUMP if dump else 0)
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, flags, number, 0) + body)
        found: list[bytes] = []
        while True:
            for answer, its_number, data in self._receive():
                if its_number != number:
                    continue
                if answer == NLMSG_DONE:
                    return found
                if answer == NLMSG_ERROR:
                    code = -int(struct.unpack_from("=i", data)[0])
                    if code:
                        raise OSError(code, os.strerror(code), what)
                    return found
                found.append(data)
                if len(found) > most:
                    return found
            if found and not dump:
                return found
