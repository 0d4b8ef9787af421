"""Frames that a guest may send."""

from collections.abc import Callable

from runtime.network.addressing import GATEWAY4, HOST_MAC, guest_link_local
from tests.host.support import frames as f
from tests.host.support.network import OUTSIDE4, OUTSIDE6, StandIn

Frame = Callable[[StandIn], bytes]


def send4(ve: StandIn, payload: bytes, **ends: str) -> bytes:
    return f.ether(ends.get("mac", ve.mac), ends.get("to_mac", HOST_MAC), f.IP4, payload)


def send6(ve: StandIn, payload: bytes, to: str = OUTSIDE6, mac: str | None = None) -> bytes:
    to_mac = f.multicast_mac(to) if to.startswith("ff") else HOST_MAC
    return f.ether(mac or ve.mac, to_mac, f.IP6, payload)


def local(ve: StandIn) -> str:
    return str(guest_link_local(ve.spec.id))


def neighbour(ve: StandIn, source: str, to: str, kind: int, body: bytes) -> bytes:
    return send6(ve, f.icmp6_packet(source, to, kind, body), to)


LEGIT: dict[str, Frame] = {
    "ARP request for the gateway": lambda ve: f.ether(
        ve.mac, f.BROADCAST, f.ARP, f.arp(1, ve.mac, ve.ipv4, str(GATEWAY4))
    ),
    "IPv4 datagram": lambda ve: send4(ve, f.ip4(ve.ipv4, OUTSIDE4, f.UDP, f.udp(4000, 9))),
    "IPv6 datagram": lambda ve: send6(ve, f.ip6(ve.ipv6, OUTSIDE6, f.UDP, f.udp(4000, 9))),
    "solicitation of the gateway": lambda ve: neighbour(
        ve, local(ve), "ff02::1:ff00:1", 135, f.solicitation("fe80::1", ve.mac)
    ),
    "duplicate address detection": lambda ve: neighbour(
        ve, "::", "ff02::1:ff00:2", 135, f.solicitation(local(ve), None)
    ),
}
