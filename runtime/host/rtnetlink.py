"""rtnetlink(7) by messages of our own: a whole change in one system call, a question without a dump.

pyroute2 (`runtime/resources/shaping.py` changes queues by it) would cost half a create: link, addresses,
routes and neighbours of one environment take 2.3 ms of processor time by these messages and 31 by it (60 of
each in turns, 2026-11-30, on a busy machine; of both the quickest took 1.5 and 77 ms), and a create takes 41 to
65 from the request on. It lists whole tables besides, where one link is meant. Names and numbers are those
of linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/neighbour.h and
linux/pkt_sched.h.
"""

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from runtime.host.nlsocket import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_ECHO,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Attributes,
    NetlinkSocket,
    attribute,
    attributes,
    text,
    u32,
)

Address = IPv4Address | IPv6Address

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH = 28, 29
RTM_GETQDISC = 38
RTM_GETNSID = 90

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_QDISC, IFLA_LINKINFO = 1, 3, 4, 5, 6, 18
IFLA_IFALIAS, IFLA_STATS64, IFLA_NET_NS_FD, IFLA_LINK_NETNSID = 20, 23, 28, 37
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFF_UP, IFF_LOWER_UP = 1, 0x10000
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS, IFA_TARGET_NETNSID = 1, 2, 8, 10
IFA_F_NODAD, IFA_F_PERMANENT = 0x02, 0x80
NDA_DST, NDA_LLADDR, NUD_PERMANENT = 1, 2, 0x80
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC = 1, 4, 5, 7
RT_TABLE_MAIN, RTPROT_STATIC, RTN_UNICAST = 254, 4, 1
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
NETNSA_NSID, NETNSA_FD = 1, 3
TC_H_ROOT, TC_H_INGRESS = 0xFFFFFFFF, 0xFFFFFFF1
TCA_KIND, TCA_OPTIONS, TCA_TBF_PARMS, TCA_TBF_RATE64 = 1, 2, 1, 4

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")
_NDMSG = struct.Struct("=BxxxiHBB")
_TCMSG = struct.Struct("=BxxxiIII")


def _family(address: Address) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


@dataclass(frozen=True, slots=True)
class Veth:
    """A veth pair to be made."""

    name: str
    mac: str
    peer_name: str
    peer_mac: str
    peer_namespace: int
    """Descriptor of the network namespace that the other side is born in."""
    mtu: int
    alias: str


class Link:
    """One link as the kernel answered."""

    def __init__(self, body: bytes):
        _, _, self.index, flags, _ = _IFINFO.unpack_from(body)
        self.up = bool(flags & IFF_UP)
        self.has_carrier = bool(flags & IFF_LOWER_UP)
        """Of a veth: both sides are up."""
        values = attributes(body[_IFINFO.size :])
        self.name = values[IFLA_IFNAME].rstrip(b"\0").decode(errors="replace")
        self.alias = values.get(IFLA_IFALIAS, b"").rstrip(b"\0").decode(errors="replace")
        self.queue = values.get(IFLA_QDISC, b"").rstrip(b"\0").decode(errors="replace")
        """Kind of its outermost queueing discipline, such as `tbf`; "" where it has none."""
        self.peer_index = _integer(values.get(IFLA_LINK))
        self.peer_namespace = _integer(values.get(IFLA_LINK_NETNSID))
        """The kernel's number, in this namespace, for the one that the other side is in; None: this one."""
        # struct rtnl_link_stats64: packets and bytes received and sent
        stats = values.get(IFLA_STATS64, bytes(32))
        _, _, self.received_bytes, self.sent_bytes = struct.unpack_from("=QQQQ", stats)


class Queues:
    """Queueing disciplines as the kernel listed them; the same questions as one asks of a single link."""

    def __init__(self, found: dict[tuple[int, int], bytes]):
        self._found = found

    def token_bucket(self, index: int) -> int | None:
        found = self._found.get((index, TC_H_ROOT))
        return None if found is None else _rate_of(attributes(found))

    def has_ingress_queue(self, index: int) -> bool:
        return (index, TC_H_INGRESS) in self._found


def _rate_of(queue: Attributes | None) -> int | None:
    """Bytes per second of a tc-tbf(8); None for anything else."""
    if queue is None or queue.get(TCA_KIND, b"").rstrip(b"\0") != b"tbf":
        return None
    options = attributes(queue.get(TCA_OPTIONS, b""))
    if TCA_TBF_RATE64 in options:
        return int(struct.unpack("=Q", options[TCA_TBF_RATE64])[0])
    # struct tc_tbf_qopt begins with struct tc_ratespec, whose last member is the rate
    return int(struct.unpack_from("=BBHhHI", options[TCA_TBF_PARMS])[-1])


def _integer(value: bytes | None) -> int | None:
    return None if value is None else int(struct.unpack("=i", value)[0])


class Rtnetlink(NetlinkSocket):
    """A netlink socket of the calling thread's network namespace; to be closed soon.

    The verbs that change only collect; `send` carries all of them out by one call.
    """

    def __init__(self) -> None:
        super().__init__(socket.NETLINK_ROUTE)

    # -- questions ------------------------------------------------------------------------------

    def link(self, name: str) -> Link | None:
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + text(IFLA_IFNAME, name)
        try:
            return Link(self._ask(RTM_GETLINK, body, name)[0])
        except OSError as error:
            if error.errno == errno.ENODEV:
                return None
            raise

    def links(self) -> list[Link]:
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        return [Link(one) for one in self._ask(RTM_GETLINK, body, "links", dump=True)]

    def addresses(self) -> Iterator[Address]:
        """Every address of every link of this namespace."""
        for body in self._ask(RTM_GETADDR, _IFADDR.pack(socket.AF_UNSPEC, 0, 0, 0, 0), "addresses", dump=True):
            values = attributes(body[_IFADDR.size :])
            yield ip_address(values.get(IFA_LOCAL) or values[IFA_ADDRESS])

    def addresses_at(self, index: int, namespace: int, most: int) -> set[Address] | None:
        """Of one link of another network namespace, by the kernel's number for that; None where they are more
        than `most`, or the link is gone. Nothing in there is waited for."""
        body = _IFADDR.pack(socket.AF_UNSPEC, 0, 0, 0, index) + u32(IFA_TARGET_NETNSID, namespace)
        try:
            found = self._ask(RTM_GETADDR, body, "addresses", dump=True, most=most)
        except OSError as error:
            if error.errno in {errno.ENODEV, errno.EINVAL}:
                return None
            raise
        if len(found) > most:
            return None
        each = (attributes(one[_IFADDR.size :]) for one in found)
        return {ip_address(one.get(IFA_LOCAL) or one[IFA_ADDRESS]) for one in each}

    def token_bucket(self, index: int) -> int | None:
        """Bytes per second of a link's outermost queue, where that is a tc-tbf(8); None otherwise."""
        return _rate_of(self._queue(index, TC_H_ROOT))

    def has_ingress_queue(self, index: int) -> bool:
        """Whether filters can be asked what to do with what arrives at a link."""
        return self._queue(index, TC_H_INGRESS) is not None

    def queues(self) -> "Queues":
        """Of every link."""
        body = _TCMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        found = {}
        for answer in self._ask(RTM_GETQDISC, body, "queues", dump=True):
            _, index, _, parent, _ = _TCMSG.unpack_from(answer)
            found[index, parent] = answer[_TCMSG.size :]
        return Queues(found)

    def _queue(self, index: int, parent: int) -> Attributes | None:
        body = _TCMSG.pack(socket.AF_UNSPEC, index, 0, parent, 0)
        try:
            # answered to those who listen for changes, and to who asks only when he wants to hear it;
            # of a queue that every link has nothing is told, so that the end must be
            answer = self._ask(RTM_GETQDISC, body, f"queue of link {index}", flags=NLM_F_ECHO | NLM_F_ACK)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENODEV}:
                return None
            raise
        return attributes(answer[0][_TCMSG.size :]) if answer else None

    def number_of(self, namespace: int) -> int | None:
        """The kernel's number, in this namespace, for another network namespace; None without one."""
        body = struct.pack("=Bxxx", socket.AF_UNSPEC) + u32(NETNSA_FD, namespace)
        answer = self._ask(RTM_GETNSID, body, "network namespace")
        number = _integer(attributes(answer[0][4:]).get(NETNSA_NSID)) if answer else None
        return None if number == -1 else number

    def host_routes(self, index: int) -> set[Address]:
        """Single addresses that the main table routes to a link; the kernel picks them out."""
        return self._host_routes(u32(RTA_OIF, index)).get(index, set())

    def all_host_routes(self) -> dict[int, set[Address]]:
        """The same of every link, by its index; links without one are left out."""
        return self._host_routes(b"")

    def _host_routes(self, chosen: bytes) -> dict[int, set[Address]]:
        found: dict[int, set[Address]] = {}
        for family in (socket.AF_INET, socket.AF_INET6):
            body = _RTMSG.pack(family, 0, 0, 0, RT_TABLE_MAIN, 0, 0, 0, 0) + chosen
            try:
                answers = self._ask(RTM_GETROUTE, body, "routes", dump=True)
            except OSError as error:
                if error.errno in {errno.ENODEV, errno.EOPNOTSUPP, errno.EAFNOSUPPORT}:
                    continue
                raise
            for answer in answers:
                if answer[4] != RT_TABLE_MAIN or answer[1] not in (32, 128):
                    continue
                values = attributes(answer[_RTMSG.size :])
                destination, index = values.get(RTA_DST), _integer(values.get(RTA_OIF))
                if not destination or index is None or answer[1] != len(destination) * 8:
                    continue
                address = ip_address(destination)
                if not address.is_link_local and not address.is_multicast:
                    found.setdefault(index, set()).add(address)
        return found

    # -- changes --------------------------------------------------------------------------------

    def add_veth(self, veth: Veth) -> None:
        """Both sides down; the other one is born in its namespace."""
        name, mac, mtu, alias = veth.name, veth.mac, veth.mtu, veth.alias
        peer = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        peer += text(IFLA_IFNAME, veth.peer_name) + attribute(IFLA_ADDRESS, _mac(veth.peer_mac))
        peer += u32(IFLA_MTU, mtu) + u32(IFLA_NET_NS_FD, veth.peer_namespace)
        info = attribute(IFLA_INFO_KIND, b"veth")
        info += attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, peer))
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + text(IFLA_IFNAME, name)
        body += attribute(IFLA_ADDRESS, _mac(mac)) + u32(IFLA_MTU, mtu) + attribute(IFLA_LINKINFO, info)
        self._collect(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"link {name}")
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + text(IFLA_IFNAME, name)
        self._collect(RTM_SETLINK, 0, body + text(IFLA_IFALIAS, alias), f"alias of {name}")

    def set_up(self, index: int) -> None:
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, index, IFF_UP, IFF_UP)
        self._collect(RTM_SETLINK, 0, body, f"link {index} up")

    def delete_link(self, index: int) -> None:
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0)
        self._collect(RTM_DELLINK, 0, body, f"link {index}", accept=(errno.ENODEV,))

    def add_address(self, index: int, address: Address, length: int, scope: int = RT_SCOPE_UNIVERSE) -> None:
        """Usable at once, without duplicate address detection."""
        flags = IFA_F_PERMANENT | (IFA_F_NODAD if address.version == 6 else 0)
        body = _IFADDR.pack(_family(address), length, flags, scope, index)
        body += attribute(IFA_LOCAL, address.packed) + attribute(IFA_ADDRESS, address.packed)
        body += u32(IFA_FLAGS, flags)
        self._collect(
            RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body, f"address {address}", accept=(errno.EEXIST,)
        )

    def delete_address(self, index: int, address: Address, length: int) -> None:
        body = _IFADDR.pack(_family(address), length, 0, 0, index) + attribute(IFA_LOCAL, address.packed)
        self._collect(RTM_DELADDR, 0, body, f"address {address}", accept=(errno.EADDRNOTAVAIL, errno.ENODEV))

    def add_route(
        self,
        index: int,
        destination: Address,
        length: int,
        *,
        gateway: Address | None = None,
        source: Address | None = None,
        replace: bool = False,
    ) -> None:
        """A route that is there already, of whomever, stays as it is unless `replace`."""
        scope = RT_SCOPE_UNIVERSE if gateway or destination.version == 6 else RT_SCOPE_LINK
        body = _RTMSG.pack(
            _family(destination), length, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST, 0
        )
        if length:
            body += attribute(RTA_DST, destination.packed)
        body += u32(RTA_OIF, index)
        if gateway:
            body += attribute(RTA_GATEWAY, gateway.packed)
        if source:
            body += attribute(RTA_PREFSRC, source.packed)
        flags = NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL)
        self._collect(RTM_NEWROUTE, flags, body, f"route {destination}/{length}", accept=(errno.EEXIST,))

    def delete_route(self, index: int, destination: Address) -> None:
        """The route to a single address over a link."""
        length = destination.max_prefixlen
        body = _RTMSG.pack(_family(destination), length, 0, 0, RT_TABLE_MAIN, 0, 255, 0, 0)
        body += attribute(RTA_DST, destination.packed) + u32(RTA_OIF, index)
        self._collect(RTM_DELROUTE, 0, body, f"route {destination}", accept=(errno.ESRCH, errno.ENODEV))

    def set_neighbour(self, index: int, address: Address, mac: str) -> None:
        """Permanent: never asked for, never changed by an answer."""
        body = _NDMSG.pack(_family(address), index, NUD_PERMANENT, 0, RTN_UNICAST)
        body += attribute(NDA_DST, address.packed) + attribute(NDA_LLADDR, _mac(mac))
        self._collect(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body, f"neighbour {address}")

    def delete_neighbour(self, index: int, address: Address) -> None:
        body = _NDMSG.pack(_family(address), index, 0, 0, 0) + attribute(NDA_DST, address.packed)
        self._collect(RTM_DELNEIGH, 0, body, f"neighbour {address}", accept=(errno.ENOENT, errno.ENODEV))
