"""C04, C05, C07, C10: whom an environment reaches: not other tenants, not its node, not what lies beside it."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from runtime.network.addressing import GATEWAY4, HOST_MAC
from tests.host.support import frames as f
from tests.host.support.network import (
    CLOUD4,
    CLOUD6,
    METADATA4,
    METADATA6,
    NODE_OUTSIDE4,
    NODE_OUTSIDE6,
    OUTSIDE4,
    OUTSIDE6,
    PRIVATE4,
    PRIVATE6,
    Lab,
    StandIn,
    gets,
    watch,
)

#: Ports of what runs on a node: SSH, mail, DNS, the panel's front, PostgreSQL, Redis, anything high.
NODE_PORTS = (22, 25, 53, 80, 443, 5432, 6379, 8080, 40_000)


@pytest.fixture
def mine(lab: Lab) -> StandIn:
    return lab.new(tenant=1)


@pytest.fixture
def theirs(lab: Lab) -> StandIn:
    return lab.new(tenant=2)


def test_c04_another_tenants_environment_is_not_reached(mine: StandIn, theirs: StandIn) -> None:
    for address in (theirs.ipv4, theirs.ipv6):
        for port in (22, 80, 443):
            with closing(theirs.listener(address, port)):
                assert not mine.reaches(address, port, timeout_s=0.2), (address, port)
        with closing(theirs.listener(address, 9000, kind=socket.SOCK_DGRAM)) as listening:
            mine.sends(address, 9000)
            assert gets(listening, 0.2) is None


@pytest.mark.parametrize("protocol", [1, 4, 6, 17, 41, 47, 50, 88, 132, 255])
def test_c04_by_no_protocol(mine: StandIn, theirs: StandIn, protocol: int) -> None:
    frame = f.ether(mine.mac, "02:00:00:00:00:01", f.IP4, f.ip4(mine.ipv4, theirs.ipv4, protocol, bytes(24)))
    with theirs.frames() as there, mine.frames() as here:
        there.settimeout(0.15)
        here.send(frame)
        assert not _hears(there, mine.ipv4)


def _hears(there: socket.socket, source: str) -> bool:
    """Whether a frame from this IPv4 address comes."""
    wanted = socket.inet_aton(source)
    try:
        while True:
            if wanted in there.recv(2048)[26:34]:
                return True
    except TimeoutError:
        return False


def test_c04_its_own_tenants_environment_is_reached(lab: Lab, mine: StandIn) -> None:
    """Else the other tests would show nothing."""
    sister = lab.new(tenant=1)
    with closing(sister.listener(sister.ipv4, 80)):
        assert mine.reaches(sister.ipv4, 80, timeout_s=2)


def test_c05_no_port_of_the_node_answers(lab: Lab, mine: StandIn) -> None:
    for address in (str(GATEWAY4), NODE_OUTSIDE4, NODE_OUTSIDE6):
        with closing(lab.here.listener("::" if ":" in address else "0.0.0.0", 8080)):
            for port in NODE_PORTS:
                assert not mine.reaches(address, port, timeout_s=0.1), (address, port)


def test_c05_nothing_arrives_on_the_nodes_udp_ports(lab: Lab, mine: StandIn) -> None:
    with closing(lab.here.listener("0.0.0.0", 6379, kind=socket.SOCK_DGRAM)) as listening:
        for address in (str(GATEWAY4), NODE_OUTSIDE4):
            mine.sends(address, 6379)
        assert gets(listening) is None


@pytest.mark.parametrize("address", [METADATA4, METADATA6, PRIVATE4, PRIVATE6, *CLOUD4, *CLOUD6])
def test_c07_metadata_and_private_ranges_are_closed(lab: Lab, mine: StandIn, address: str) -> None:
    with closing(lab.outside.listener(address, 80)):
        assert not mine.reaches(address, 80)


@pytest.mark.parametrize(
    ("metadata", "private"),
    [(METADATA4, PRIVATE4), (METADATA6, PRIVATE6), *((one, PRIVATE4) for one in CLOUD4), (CLOUD6[0], PRIVATE6)],
)
def test_c07_metadata_stays_closed_where_private_ranges_are_opened(
    lab: Lab, metadata: str, private: str
) -> None:
    trusted = lab.new(allow_private=True)
    with closing(lab.outside.listener(metadata, 80)), closing(lab.outside.listener(private, 80)):
        assert trusted.reaches(private, 80, timeout_s=5)
        assert not trusted.reaches(metadata, 80)


def test_c07_mail_does_not_leave_it(lab: Lab, mine: StandIn) -> None:
    with closing(lab.outside.listener(OUTSIDE4, 25)) as listening, closing(lab.outside.listener(OUTSIDE4, 587)):
        mine.reaches(OUTSIDE4, 25)  # reset by the node, so that the sender knows at once
        listening.settimeout(0.3)
        with pytest.raises(TimeoutError):
            listening.accept()
        assert mine.reaches(OUTSIDE4, 587, timeout_s=2)


@pytest.fixture
def extra(mine: StandIn) -> Iterator[StandIn]:
    """Root inside takes more addresses, and builds what a switch would be built of."""
    for words in (
        "ip addr add 10.9.9.9/32 dev eth0",
        "ip link add bridge type bridge",
        "ip link set bridge up",
        "ip link set eth0 promisc on",
        "ip link add tunnel type vxlan id 7 remote 198.51.100.2 dstport 4789 dev eth0",
    ):
        mine.as_root_inside(*words.split())
    yield mine


def test_c10_an_address_that_it_took_by_itself_gets_nowhere(lab: Lab, extra: StandIn) -> None:
    with closing(lab.outside.listener(OUTSIDE4, 9001, kind=socket.SOCK_DGRAM)) as listening:
        with extra.opened(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("10.9.9.9", 0))
            sender.sendto(b"x", (OUTSIDE4, 9001))
        assert gets(listening) is None
        extra.sends(OUTSIDE4, 9001)
        assert gets(listening, 2) == b"x"


def test_c10_it_sees_no_frame_of_its_neighbours(lab: Lab, extra: StandIn, theirs: StandIn) -> None:
    with (
        closing(lab.outside.listener(OUTSIDE4, 9002, kind=socket.SOCK_DGRAM)) as listening,
        extra.frames() as ear,
    ):
        ear.settimeout(0.2)
        for _ in range(20):
            theirs.sends(OUTSIDE4, 9002)
        assert gets(listening, 2) == b"x"
        assert not _hears(ear, theirs.ipv4)


def test_c10_a_new_hardware_address_gets_nowhere(lab: Lab, mine: StandIn) -> None:
    mine.as_root_inside("ip", "link", "set", "eth0", "address", "02:77:77:77:77:77")
    with watch(mine.link) as seen:
        before = seen()
        mine.sends(OUTSIDE6, 9003)
        mine.sends(OUTSIDE4, 9003)
        assert seen() == before


@pytest.mark.parametrize(
    ("group", "port"), [("224.0.0.251", 5353), ("224.0.0.252", 5355), ("239.255.255.250", 1900)]
)
def test_c14_a_name_claimed_by_multicast_is_heard_by_nobody(
    lab: Lab, mine: StandIn, theirs: StandIn, group: str, port: int
) -> None:
    """mDNS, LLMNR and SSDP: "I am the gateway", to a neighbour, a sister and the outside."""
    sister = lab.new(tenant=1)
    claim = f.ip4(mine.ipv4, group, f.UDP, f.udp(port, port, b"gateway"))
    with theirs.frames() as near, sister.frames() as beside, lab.outside.frames("wan") as far:
        with mine.frames() as sender:
            for _ in range(5):
                sender.send(f.ether(mine.mac, f.multicast_mac(group), f.IP4, claim))
        for ear in (near, beside, far):
            ear.settimeout(0.2)
            assert not _hears(ear, mine.ipv4)


def test_c10_a_packet_of_no_connection_does_not_leave_under_its_private_address(
    lab: Lab, mine: StandIn
) -> None:
    """What connection tracking can't place isn't translated, so it must not go out at all."""
    syn_and_fin = b"\x0f\xa0\x00\x50" + bytes(8) + b"\x50\x03\xff\xff" + bytes(4)
    with lab.outside.frames("wan") as far, mine.frames() as sender:
        sender.send(f.ether(mine.mac, HOST_MAC, f.IP4, f.ip4(mine.ipv4, OUTSIDE4, f.TCP, syn_and_fin)))
        mine.sends(OUTSIDE4, 9)
        far.settimeout(0.3)
        assert not _hears(far, mine.ipv4)
