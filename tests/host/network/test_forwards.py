"""What a forward may have of the node: ports of its range, that nothing of the node has, now or later."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import pairwise

import pytest

from runtime.contract import EnvironmentSpec
from runtime.errors import RuntimeFault
from runtime.host import conntrack, ports
from runtime.network.addressing import HOST_MAC
from runtime.network.ruleset import FLOWS_PER_ENVIRONMENT, base
from runtime.node import default_forward_ports
from runtime.state import Records
from tests.host.support import frames as f
from tests.host.support.network import (
    NODE_OUTSIDE4,
    NODE_OUTSIDE6,
    OUTSIDE4,
    OUTSIDE6,
    Lab,
    StandIn,
    gets,
)

UDP, TCP = socket.SOCK_DGRAM, socket.SOCK_STREAM
KINDS = {"tcp": TCP, "udp": UDP}


@pytest.fixture
def until() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def port(lab: Lab) -> int:
    """One that a forward may have."""
    return lab.node.forward_ports[0] + 7


def _with(lab: Lab, node_port: int, protocol: str = "tcp", **network: tuple[object, ...]) -> EnvironmentSpec:
    return lab.spec(forwards=({"protocol": protocol, "node_port": node_port, "port": 80},), **network)  # type: ignore[arg-type]


def _refusal(lab: Lab, spec: EnvironmentSpec) -> RuntimeFault:
    with pytest.raises(RuntimeFault) as refused:
        lab.firewall.check(spec)
    return refused.value


@pytest.mark.parametrize("node_port", [1, 22, 80, 443, 1024, 6379, 8080, 32_768, 60_999, 65_535])
def test_a_port_outside_the_range_is_refused(lab: Lab, node_port: int) -> None:
    refused = _refusal(lab, _with(lab, node_port))
    assert refused.code == "port_outside"
    assert str(lab.node.forward_ports[0]) in str(refused)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("address", ["0.0.0.0", "::", "127.0.0.1", NODE_OUTSIDE4, NODE_OUTSIDE6])
def test_a_port_that_the_node_has_on_any_address_is_refused(
    lab: Lab, port: int, protocol: str, address: str
) -> None:
    spec = _with(lab, port, protocol)
    lab.firewall.check(spec)
    with closing(lab.here.listener(address, port, kind=KINDS[protocol])):
        assert _refusal(lab, spec).code == "port_in_use"
        assert not ports.is_taken("udp" if protocol == "tcp" else "tcp", port)
    lab.firewall.check(spec)


def test_one_that_leads_nowhere_is_refused(lab: Lab, port: int) -> None:
    assert _refusal(lab, _with(lab, port, ipv4=(), ipv6=())).code == "no_address"
    lab.firewall.check(_with(lab, port, ipv4=()))


def test_one_that_led_inside_before_stays_whatever_its_port(lab: Lab, port: int) -> None:
    """It was made when any port was allowed; a new one beside it is looked at."""
    old = _with(lab, 8022)
    lab.node.environment(old.id).mkdir(parents=True)
    Records(lab.node, old.id).set_applied(old)
    lab.firewall.check(old)
    more = (*old.network.model_dump()["forwards"], {"protocol": "udp", "node_port": 8022, "port": 80})
    changed = old.model_copy(update={"network": old.network.model_validate({"forwards": more})})
    assert _refusal(lab, changed).code == "port_outside"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("address", [NODE_OUTSIDE4, NODE_OUTSIDE6])
def test_whatever_of_the_node_listens_later_is_reached_and_not_the_forward(
    lab: Lab, until: ExitStack, port: int, protocol: str, address: str
) -> None:
    ve = lab.new(forwards=({"protocol": protocol, "node_port": port, "port": 80},))
    kind, anywhere = KINDS[protocol], "::" if ":" in address else "0.0.0.0"
    inside = until.enter_context(closing(ve.listener(anywhere, 80, kind=kind)))
    assert _answers_in_time(lab, inside, address, port)
    with closing(lab.here.listener(anywhere, port, kind=kind)) as here:
        assert _answers_in_time(lab, here, address, port)
        assert not _answers(lab, inside, address, port)
    assert _answers_in_time(lab, inside, address, port)


def _answers_in_time(lab: Lab, listening: socket.socket, address: str, port: int) -> bool:
    """A datagram may be late, or lost while a neighbour is asked for: it is sent again, and none is left."""
    found = any(_answers(lab, listening, address, port) for _ in range(20))
    while listening.type == UDP and gets(listening, 0.1) is not None:
        pass
    return found


def _answers(lab: Lab, listening: socket.socket, address: str, port: int) -> bool:
    """Whether what somebody new outside sends to the node's port comes to this socket."""
    listening.settimeout(0.3)
    if listening.type == UDP:
        lab.outside.sends(address, port)
        return gets(listening) is not None
    lab.outside.reaches(address, port)
    try:
        listening.accept()[0].close()
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("service", ["a forward", "the node"])
def test_nobody_speaks_as_another_by_its_port(lab: Lab, until: ExitStack, port: int, service: str) -> None:
    """An environment sends from the port of another's forward, or of a service of the node, to somebody's fixed
    port outside. It must neither be heard as that service nor get what that one sends to it."""
    mine, theirs = lab.new(tenant=1), lab.new(tenant=2)
    node_port = port if service == "a forward" else 51_0
    theirs.change(forwards=({"protocol": "udp", "node_port": port, "port": 80},))
    there = theirs.listener("0.0.0.0", 80, kind=UDP) if service == "a forward" else None
    serving = until.enter_context(closing(there or lab.here.listener(NODE_OUTSIDE4, node_port, kind=UDP)))
    client = until.enter_context(closing(lab.outside.listener(OUTSIDE4, 7000, kind=UDP)))
    evil = until.enter_context(closing(mine.listener("0.0.0.0", node_port, kind=UDP)))
    evil.sendto(b"as him", (OUTSIDE4, 7000))
    _, (_, heard_from) = client.recvfrom(10)
    assert heard_from != node_port
    client.sendto(b"for him", (NODE_OUTSIDE4, node_port))
    assert gets(serving, 2) == b"for him"
    assert gets(evil, 0.1) is None


@pytest.mark.parametrize(
    ("forwards", "out"),
    [
        ((20_000, 27_999), "masquerade to :32768-60999"),
        ((30_000, 40_000), "masquerade to :1024-29999"),
        ((50_000, 65_535), "masquerade to :1024-49999"),
        ((1024, 65_535), "masquerade\n"),
    ],
)
def test_flows_leave_by_ports_that_no_forward_has(forwards: tuple[int, int], out: str) -> None:
    assert out in base("t", "wabc", None, None, nameservers=[], forward_ports=forwards)


def test_installations_side_by_side_have_ports_of_their_own() -> None:
    blocks = [default_forward_ports(first) for first in (0, *(2048 + 136 * n for n in range(15)))]
    assert all(before[1] < after[0] for before, after in pairwise(blocks))
    assert blocks[0][0] >= 1024
    assert blocks[-1][1] < 32_768


def _icmp_error(reporter: StandIn, target: str, inner_source: str, ports_: tuple[int, int], to: str) -> bytes:
    """The port of `to` is unreachable, says `reporter` to `target` of a datagram that `target` sent."""
    inner = f.ip4(inner_source, to, f.UDP, f.udp(*ports_, b"x"))
    body = b"\x03\x03\0\0\0\0\0\0" + inner
    body = body[:2] + f.checksum(body).to_bytes(2, "big") + body[4:]
    return f.ether(reporter.mac, HOST_MAC, f.IP4, f.ip4(reporter.ipv4, target, f.ICMP, body))


def test_no_error_is_told_about_a_neighbours_flow(lab: Lab, until: ExitStack) -> None:
    """Else anybody who guesses a port ends a neighbour's question to a resolver, or shrinks its packets."""
    mine, theirs = lab.new(tenant=1), lab.new(tenant=2)
    until.enter_context(closing(lab.outside.listener(OUTSIDE4, 5353, kind=UDP)))
    asking = until.enter_context(closing(theirs.opened(socket.AF_INET, UDP)))
    asking.bind((theirs.ipv4, 4444))
    asking.connect((OUTSIDE4, 5353))
    asking.send(b"x")
    with mine.frames() as sender:
        sender.send(_icmp_error(mine, theirs.ipv4, theirs.ipv4, (4444, 5353), OUTSIDE4))
    assert _is_undisturbed(asking)


def test_no_error_is_told_about_the_nodes_own_flow(lab: Lab, until: ExitStack) -> None:
    mine = lab.new(tenant=1)
    until.enter_context(closing(lab.outside.listener(OUTSIDE4, 5353, kind=UDP)))
    asking = until.enter_context(closing(lab.here.opened(socket.AF_INET, UDP)))
    asking.bind((NODE_OUTSIDE4, 4445))
    asking.connect((OUTSIDE4, 5353))
    asking.send(b"x")
    with mine.frames() as sender:
        sender.send(_icmp_error(mine, NODE_OUTSIDE4, NODE_OUTSIDE4, (4445, 5353), OUTSIDE4))
    assert _is_undisturbed(asking)


def _is_undisturbed(asking: socket.socket) -> bool:
    asking.settimeout(0.3)
    try:
        asking.recv(10)
    except TimeoutError:
        return True
    except ConnectionRefusedError:
        return False
    return False


@pytest.mark.parametrize("address", [OUTSIDE4, OUTSIDE6])
def test_errors_about_its_own_flows_pass_both_ways(lab: Lab, until: ExitStack, address: str) -> None:
    """Else the tests above would show nothing, and a sender outside would wait in vain."""
    version = 6 if ":" in address else 4
    ve = lab.new(forwards=({"protocol": "udp", "node_port": lab.node.forward_ports[0], "port": 81},))
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    asking = until.enter_context(closing(ve.opened(family, UDP)))
    asking.connect((address, 5354))  # nobody is there
    asking.send(b"x")
    assert not _is_undisturbed(asking)
    client = until.enter_context(closing(lab.outside.opened(family, UDP)))
    client.connect((NODE_OUTSIDE6 if version == 6 else NODE_OUTSIDE4, lab.node.forward_ports[0]))
    client.send(b"x")
    assert not _is_undisturbed(client)


def test_flows_from_outside_end_at_the_cap_and_a_neighbours_forward_answers(
    lab: Lab, until: ExitStack, port: int
) -> None:
    """Whoever floods a forward with flows fills no more of the table than one environment may have."""
    flooded = lab.new(tenant=1, forwards=({"protocol": "udp", "node_port": port, "port": 80},))
    other = lab.new(tenant=2, forwards=({"protocol": "udp", "node_port": port + 1, "port": 80},))
    serving = until.enter_context(closing(other.listener("0.0.0.0", 80, kind=UDP)))
    until.enter_context(closing(flooded.listener("0.0.0.0", 80, kind=UDP)))
    lab.outside.sends(NODE_OUTSIDE4, 9)
    before = conntrack.count()
    gateway = lab.here.ip("-br link show uplink").split()[2]
    own = lab.outside.ip("-br link show wan").split()[2]
    with lab.outside.frames("wan") as sender:
        for number in range(FLOWS_PER_ENVIRONMENT + 2000):
            source = f"198.51.{100 + number // 60_000}.{3 + number % 200}"
            packet = f.ip4(source, NODE_OUTSIDE4, f.UDP, f.udp(1024 + number // 200, port))
            sender.send(f.ether(own, gateway, f.IP4, packet))
    opened = conntrack.count() - before
    # those that nobody answered are forgotten after 30 s, which a loaded machine may need for all of them
    assert FLOWS_PER_ENVIRONMENT // 2 <= opened <= FLOWS_PER_ENVIRONMENT + 100
    lab.outside.sends(NODE_OUTSIDE4, port + 1)
    assert gets(serving, 5) == b"x"


@pytest.mark.parametrize("alike", ["low", "high"])
def test_tenants_whose_ids_have_one_half_in_common_are_two(lab: Lab, alike: str) -> None:
    numbers = (0x1_0000_0005, 0x2_0000_0005) if alike == "low" else (0x1_0000_0005, 0x1_0000_0006)
    mine, theirs, sister = lab.new(tenant=numbers[0]), lab.new(tenant=numbers[1]), lab.new(tenant=numbers[0])
    for one in (theirs, sister):
        with closing(one.listener(one.ipv4, 80)):
            assert mine.reaches(one.ipv4, 80) == (one is sister)
