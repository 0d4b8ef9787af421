"""Ends tracked connections of this network namespace: the kernel keeps a flow's translation for as long as
packets come, whatever became of the rule that began it.

Names and numbers are those of linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h and nf_conntrack_common.h.
Messages of our own, since a table can hold hundreds of thousands of flows and pyroute2 needs 0.08 ms for each.
Only flows of the default zone are looked at: another zone may have the same addresses for something else.
"""

import errno
import socket
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from runtime.host.nlsocket import NLA_F_NESTED, Attributes, NetlinkSocket, attribute, attributes, u32
from runtime.host.rtnetlink import Rtnetlink

Address = IPv4Address | IPv6Address

_NETFILTER = 12
_GET, _DELETE = 0x101, 0x102
_CTA_TUPLE_ORIG, _CTA_TUPLE_REPLY, _CTA_STATUS, _CTA_ID, _CTA_ZONE, _CTA_FILTER = 1, 2, 3, 12, 18, 25
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_IP_SOURCE, _IP_DESTINATION = {4: 1, 6: 3}, {4: 2, 6: 4}
_PROTO_NUMBER, _PROTO_SOURCE_PORT, _PROTO_DESTINATION_PORT = 1, 2, 3
_FILTER_ORIG, _FILTER_REPLY = 1, 2
_BY_SOURCE, _BY_PROTOCOL, _BY_DESTINATION_PORT = 0x01, 0x08, 0x20
_DESTINATION_TRANSLATED = 1 << 5
PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}

#: So many flows are read in the time in which the kernel walks its whole table (8 to 24 ms for 262,144
#: buckets), as it does for each filter.
_SEEN_MEANWHILE = 5_000
#: Deletions in one call: their answers must fit into the socket's receive buffer.
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A port of the node, and the address and port that it led to."""

    protocol: str
    node_port: int
    address: Address
    port: int


def count() -> int:
    """Flows of the calling thread's network namespace; cheap."""
    try:
        return int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())
    except FileNotFoundError:
        return 0


def end(
    addresses: Collection[Address] = (),
    forwards: Collection[Forwarded] = (),
    unanswered: Collection[int] = (),
) -> int:
    """Ends every flow that one of the addresses began or answered, and every flow that came by one of the
    forwards; how many. Of `unanswered` UDP ports also those that reached the host itself, and so would never
    meet a new forward of that port while their sender goes on.

    Raises OSError. A no-op where nothing is tracked.
    """
    if not (addresses or forwards or unanswered) or not count():
        return 0
    wanted = _Wanted(addresses, forwards, unanswered)
    with _Conntrack() as table:
        ended = 0
        for family, choice in wanted.questions(count()):
            ended += table.delete([flow for flow in table.flows(family, choice, wanted) if wanted.has(flow)])
        return ended


class _Flow:
    """One flow, in its kernel's own words."""

    def __init__(self, body: bytes):
        self.family = body[0]
        values = attributes(body[4:])
        self.original, self.id = values[_CTA_TUPLE_ORIG], values[_CTA_ID]
        self.is_of_a_zone = _CTA_ZONE in values
        self.is_translated = bool(int.from_bytes(values[_CTA_STATUS], "big") & _DESTINATION_TRANSLATED)
        there, back = _parts(self.original), _parts(values[_CTA_TUPLE_REPLY])
        version = 4 if self.family == socket.AF_INET else 6
        self.source = there[0][_IP_SOURCE[version]]
        self.destination = there[0][_IP_DESTINATION[version]]
        self.answering = back[0][_IP_SOURCE[version]]
        self.protocol = there[1][_PROTO_NUMBER][0]
        self.port = int.from_bytes(there[1].get(_PROTO_DESTINATION_PORT, b""), "big")
        self.answering_port = int.from_bytes(back[1].get(_PROTO_SOURCE_PORT, b""), "big")


def _parts(one: bytes) -> tuple[Attributes, Attributes]:
    parts = attributes(one)
    return attributes(parts[_TUPLE_IP]), attributes(parts[_TUPLE_PROTO])


class _Wanted:
    """Which flows are meant."""

    def __init__(
        self, addresses: Collection[Address], forwards: Collection[Forwarded], unanswered: Collection[int]
    ):
        self._addresses = {one.packed for one in addresses}
        self._of_version = {one.packed: one.version for one in (*addresses, *(f.address for f in forwards))}
        self._forwards = {(PROTOCOLS[f.protocol], f.node_port, f.address.packed, f.port) for f in forwards}
        self._ports = set(unanswered)
        self._local: set[bytes] | None = None
        ports = (attribute(_PROTO_DESTINATION_PORT, port.to_bytes(2, "big")) for port in self._ports)
        #: What the message of a flow that is meant holds somewhere; to pass over the others quickly.
        self.traces = (*self._of_version, *ports)

    def has(self, flow: _Flow) -> bool:
        if flow.is_of_a_zone:
            return False
        if flow.source in self._addresses or flow.answering in self._addresses:
            return True
        if flow.is_translated:
            return (flow.protocol, flow.port, flow.answering, flow.answering_port) in self._forwards
        is_meant = flow.protocol == socket.IPPROTO_UDP and flow.port in self._ports
        return is_meant and flow.destination in self._of_host()

    def _of_host(self) -> set[bytes]:
        if self._local is None:
            with Rtnetlink() as netlink:
                self._local = {one.packed for one in netlink.addresses()}
        return self._local

    def questions(self, flows: int) -> list[tuple[int, bytes]]:
        """Family and filter of each look at the table that is needed."""
        narrow = [*self._of_addresses(), *self._of_ports()]
        return narrow if flows > _SEEN_MEANWHILE * len(narrow) else [(socket.AF_UNSPEC, b"")]

    def _of_addresses(self) -> Iterator[tuple[int, bytes]]:
        for packed, version in self._of_version.items():
            source = _nested(_TUPLE_IP, attribute(_IP_SOURCE[version], packed))
            family = socket.AF_INET if version == 4 else socket.AF_INET6
            for side, by in ((_CTA_TUPLE_ORIG, _FILTER_ORIG), (_CTA_TUPLE_REPLY, _FILTER_REPLY)):
                yield family, _nested(side, source) + _nested(_CTA_FILTER, u32(by, _BY_SOURCE))

    def _of_ports(self) -> Iterator[tuple[int, bytes]]:
        for port in self._ports:
            proto = attribute(_PROTO_NUMBER, bytes([socket.IPPROTO_UDP]))
            proto += attribute(_PROTO_DESTINATION_PORT, port.to_bytes(2, "big"))
            choice = _nested(_CTA_FILTER, u32(_FILTER_ORIG, _BY_PROTOCOL | _BY_DESTINATION_PORT))
            for family in (socket.AF_INET, socket.AF_INET6):
                yield family, _nested(_CTA_TUPLE_ORIG, _nested(_TUPLE_PROTO, proto)) + choice


def _nested(kind: int, value: bytes) -> bytes:
    return attribute(kind | NLA_F_NESTED, value)


class _Conntrack(NetlinkSocket):
    def __init__(self) -> None:
        super().__init__(_NETFILTER)

    def flows(self, family: int, choice: bytes, wanted: _Wanted) -> Iterator[_Flow]:
        for body in self._ask(_GET, struct.pack("=BxH", family, 0) + choice, "tracked flows", dump=True):
            if any(trace in body for trace in wanted.traces):
                yield _Flow(body)

    def delete(self, flows: list[_Flow]) -> int:
        """One that has ended by itself meanwhile is none of them."""
        done = 0
        for first in range(0, len(flows), _AT_ONCE):
            for number, flow in enumerate(flows[first : first + _AT_ONCE]):
                body = struct.pack("=BxH", flow.family, 0) + _nested(_CTA_TUPLE_ORIG, flow.original)
                self._collect(
                    _DELETE, 0, body + attribute(_CTA_ID, flow.id), f"flow {number}", accept=(errno.ENOENT,)
                )
            done += len(self.send())
        return done
