"""C01, C12: what a guest sends as somebody else, or to speak as a router, never gets into the host's stack."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.network.addressing import GATEWAY4, HOST_MAC
from tests.host.support import frames as f
from tests.host.support.legit import LEGIT, Frame, local, neighbour, send4, send6
from tests.host.support.network import OUTSIDE4, OUTSIDE6, Lab, StandIn, watch

FOREIGN_MAC = "02:66:66:66:66:66"
FOREIGN4, FOREIGN6 = "10.1.2.3", "2001:db8:66::1"
ALL_NODES = "ff02::1"


HOSTILE: dict[str, Frame] = {
    "other source MAC, IPv4": lambda ve: send4(
        ve, f.ip4(ve.ipv4, OUTSIDE4, f.UDP, f.udp(4000, 9)), mac=FOREIGN_MAC
    ),
    "the gateway's MAC, IPv4": lambda ve: send4(
        ve, f.ip4(ve.ipv4, OUTSIDE4, f.UDP, f.udp(4000, 9)), mac=HOST_MAC
    ),
    "other source MAC, IPv6": lambda ve: send6(
        ve, f.ip6(ve.ipv6, OUTSIDE6, f.UDP, f.udp(4000, 9)), mac=FOREIGN_MAC
    ),
    "other IPv4 source": lambda ve: send4(ve, f.ip4(FOREIGN4, OUTSIDE4, f.UDP, f.udp(4000, 9))),
    "the gateway as IPv4 source": lambda ve: send4(ve, f.ip4(str(GATEWAY4), OUTSIDE4, f.UDP, f.udp(4000, 9))),
    "loopback as IPv4 source": lambda ve: send4(ve, f.ip4("127.0.0.1", OUTSIDE4, f.UDP, f.udp(4000, 9))),
    "no IPv4 source (DHCP client)": lambda ve: f.ether(
        ve.mac, f.BROADCAST, f.IP4, f.ip4("0.0.0.0", "255.255.255.255", f.UDP, f.udp(68, 67))
    ),
    "other IPv6 source": lambda ve: send6(ve, f.ip6(FOREIGN6, OUTSIDE6, f.UDP, f.udp(4000, 9))),
    "the gateway as IPv6 source": lambda ve: send6(ve, f.ip6("fe80::1", OUTSIDE6, f.UDP, f.udp(4000, 9))),
    "no IPv6 source, not ND": lambda ve: send6(ve, f.ip6("::", OUTSIDE6, f.UDP, f.udp(4000, 9))),
    "ARP, other sender MAC": lambda ve: f.ether(
        ve.mac, f.BROADCAST, f.ARP, f.arp(1, FOREIGN_MAC, ve.ipv4, str(GATEWAY4))
    ),
    "ARP, other sender address": lambda ve: f.ether(
        ve.mac, f.BROADCAST, f.ARP, f.arp(1, ve.mac, FOREIGN4, str(GATEWAY4))
    ),
    "ARP, gratuitous for the gateway": lambda ve: f.ether(
        ve.mac, f.BROADCAST, f.ARP, f.arp(2, ve.mac, str(GATEWAY4), str(GATEWAY4))
    ),
    "ARP, request for a neighbour": lambda ve: f.ether(
        ve.mac, f.BROADCAST, f.ARP, f.arp(1, ve.mac, ve.ipv4, FOREIGN4)
    ),
    "ARP, other hardware": lambda ve: f.ether(
        ve.mac, f.BROADCAST, f.ARP, f.arp(1, ve.mac, ve.ipv4, str(GATEWAY4), hardware=6)
    ),
    "rogue DHCPv4 server": lambda ve: f.ether(
        ve.mac, f.BROADCAST, f.IP4, f.ip4(ve.ipv4, "255.255.255.255", f.UDP, f.udp(67, 68))
    ),
    "rogue DHCPv6 server": lambda ve: send6(ve, f.ip6(local(ve), "fe80::1", f.UDP, f.udp(547, 546))),
    "IPv6 in IPv4": lambda ve: send4(
        ve, f.ip4(ve.ipv4, OUTSIDE4, f.SIX_IN_FOUR, f.ip6(ve.ipv6, OUTSIDE6, f.UDP, f.udp(1, 9)))
    ),
    "IGMP": lambda ve: f.ether(
        ve.mac,
        f.multicast_mac("224.0.0.22"),
        f.IP4,
        f.ip4(ve.ipv4, "224.0.0.22", f.IGMP, bytes([0x22, 0, 0xDD, 0xFF, 0, 0, 0, 0])),
    ),
    "router advertisement": lambda ve: neighbour(ve, local(ve), ALL_NODES, 134, f.router_advertisement(ve.mac)),
    "redirect": lambda ve: neighbour(ve, local(ve), "fe80::1", 137, f.redirect(local(ve), OUTSIDE6)),
    "router renumbering": lambda ve: neighbour(ve, local(ve), ALL_NODES, 138, bytes(12)),
    "MLD query": lambda ve: neighbour(ve, local(ve), ALL_NODES, 130, bytes(20)),
    "advertisement for the gateway": lambda ve: neighbour(
        ve, local(ve), ALL_NODES, 136, f.advertisement("fe80::1", ve.mac)
    ),
    "advertisement with another MAC": lambda ve: neighbour(
        ve, local(ve), ALL_NODES, 136, f.advertisement(ve.ipv6, FOREIGN_MAC)
    ),
    "solicitation with another source": lambda ve: neighbour(
        ve, FOREIGN6, "ff02::1:ff00:1", 135, f.solicitation("fe80::1", ve.mac)
    ),
    "router advertisement in a fragment": lambda ve: send6(
        ve,
        f.ip6(
            local(ve),
            ALL_NODES,
            f.FRAGMENT,
            f.fragment(f.ICMP6, f.icmp6(local(ve), ALL_NODES, 134, f.router_advertisement(ve.mac))),
        ),
        ALL_NODES,
    ),
    "its late fragment": lambda ve: send6(
        ve,
        f.ip6(local(ve), ALL_NODES, f.FRAGMENT, f.fragment(f.ICMP6, bytes(24), offset=4, more=False)),
        ALL_NODES,
    ),
    "router advertisement behind options": lambda ve: send6(
        ve,
        f.ip6(
            local(ve),
            ALL_NODES,
            f.OPTIONS,
            f.options(f.ICMP6, f.icmp6(local(ve), ALL_NODES, 134, f.router_advertisement(ve.mac))),
        ),
        ALL_NODES,
    ),
    "router advertisement behind hop-by-hop": lambda ve: send6(
        ve,
        f.ip6(
            local(ve),
            ALL_NODES,
            f.HOP_BY_HOP,
            f.options(f.ICMP6, f.icmp6(local(ve), ALL_NODES, 134, f.router_advertisement(ve.mac))),
        ),
        ALL_NODES,
    ),
    "spanning tree": lambda ve: f.ether(ve.mac, "01:80:c2:00:00:00", 0x0026, b"\x42\x42\x03" + bytes(35)),
    "VLAN tag": lambda ve: f.ether(
        ve.mac, HOST_MAC, 0x8100, b"\0\x05\x08\0" + f.ip4(ve.ipv4, OUTSIDE4, f.UDP, f.udp(4000, 9))
    ),
    "MPLS": lambda ve: f.ether(
        ve.mac, HOST_MAC, 0x8847, b"\0\x01\x01\x40" + f.ip4(ve.ipv4, OUTSIDE4, f.UDP, f.udp(4000, 9))
    ),
}


def _quiet(ve: StandIn) -> StandIn:
    """The guest's own kernel keeps still, so that only the frame under test is counted."""
    ve.do(lambda: Path("/proc/sys/net/ipv6/conf/eth0/disable_ipv6").write_text("1"))
    time.sleep(0.02)
    return ve


@pytest.fixture(params=["free", "shaped"])
def ve(request: pytest.FixtureRequest, lab: Lab) -> Iterator[StandIn]:
    """Shaped too: what comes back from the intermediate device must still meet the guard."""
    limits = {"network_out_bit_s": 50_000_000} if request.param == "shaped" else None
    yield _quiet(lab.new(limits=limits))


def _passed(ve: StandIn, frame: Frame) -> int:
    with ve.frames() as sender, watch(ve.link) as seen:
        before = seen()
        sender.send(frame(ve))
        return seen() - before


@pytest.mark.parametrize("name", LEGIT)
def test_c01_what_it_may_send_arrives(ve: StandIn, name: str) -> None:
    assert _passed(ve, LEGIT[name]) == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_c01_what_it_may_not_send_does_not(ve: StandIn, name: str) -> None:
    assert _passed(ve, HOSTILE[name]) == 0


def test_c12_storms_of_advertisements_change_nothing_on_the_host(ve: StandIn, lab: Lab) -> None:
    def state() -> tuple[str, str, str]:
        routes = lab.here.ip("-6 route show") + lab.here.ip("-4 route show")
        return routes, lab.here.ip("-o link show"), lab.here.ip("neigh show nud permanent")

    before = state()
    hostile = [
        HOSTILE[name](ve) for name in ("router advertisement", "redirect", "advertisement for the gateway")
    ]
    with ve.frames() as sender:
        for _ in range(500):
            for one in hostile:
                sender.send(one)
    assert state() == before
    assert Path(f"/proc/sys/net/ipv6/conf/{ve.link}/accept_ra").read_text().strip() == "0"


def test_c01_the_guard_stands_before_the_link_does(lab: Lab) -> None:
    """Without its elements, a link that is up can send nothing at all."""
    one = _quiet(lab.new())
    lab.firewall.remove(one.spec.id)
    for frame in LEGIT.values():
        assert _passed(one, frame) == 0
