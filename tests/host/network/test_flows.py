"""Flows end with what they went by: forward, address, environment, its tenant's good standing. No others do."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from ipaddress import IPv4Address

import pytest
from pyroute2 import NFCTSocket

from runtime.host import conntrack, nft
from runtime.network.addressing import GATEWAY4
from tests.host.support.network import (
    NODE_OUTSIDE4,
    NODE_OUTSIDE6,
    OUTSIDE4,
    OUTSIDE6,
    Lab,
    Namespace,
    StandIn,
    gets,
)

UDP, TCP = socket.SOCK_DGRAM, socket.SOCK_STREAM
#: A port of the range for forwards, and the port inside.
PORT, INSIDE = 20_500, 5000
FORWARD = {"node_port": PORT, "port": INSIDE}
BOTH = ({"protocol": "udp", **FORWARD}, {"protocol": "tcp", **FORWARD})

NODE = {4: NODE_OUTSIDE4, 6: NODE_OUTSIDE6}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
ANY = {4: "0.0.0.0", 6: "::"}


@pytest.fixture
def until() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _client(until: ExitStack, where: Namespace, version: int = 4, kind: int = UDP) -> socket.socket:
    made = until.enter_context(closing(where.opened(FAMILY[version], kind)))
    made.settimeout(1)
    return made


def _server(until: ExitStack, where: Namespace, version: int = 4, kind: int = UDP) -> socket.socket:
    return until.enter_context(closing(where.listener(ANY[version], INSIDE, kind=kind)))


def _flows(lab: Lab, address: str) -> list[tuple[str, ...]]:
    """Every flow that has the address at one of its four ends, by the library's eyes."""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        with NFCTSocket(nfgen_family=family) as table:
            for flow in table.dump():
                ends = tuple(
                    str(value)
                    for side in ("CTA_TUPLE_ORIG", "CTA_TUPLE_REPLY")
                    for _, value in flow.get_attr(side).get_attr("CTA_TUPLE_IP")["attrs"]
                )
                if address in ends:
                    found.append(ends)
    return found


@pytest.mark.parametrize("version", [4, 6])
def test_udp_through_a_removed_forward_ends_at_once(lab: Lab, until: ExitStack, version: int) -> None:
    ve = lab.new(forwards=BOTH)
    client, server = _client(until, lab.outside, version), _server(until, ve, version)
    client.sendto(b"1", (NODE[version], PORT))
    data, sender = server.recvfrom(10)
    server.sendto(b"2", sender)
    assert (data, gets(client, 2)) == (b"1", b"2")
    ve.change(forwards=())
    client.sendto(b"3", (NODE[version], PORT))
    assert gets(server) is None
    assert not _flows(lab, ve.ipv4 if version == 4 else ve.ipv6)


@pytest.mark.parametrize("version", [4, 6])
def test_tcp_through_a_removed_forward_ends_in_both_directions(
    lab: Lab, until: ExitStack, version: int
) -> None:
    ve = lab.new(forwards=BOTH)
    client, server = _client(until, lab.outside, version, TCP), _server(until, ve, version, TCP)
    client.connect((NODE[version], PORT))
    inside = until.enter_context(closing(server.accept()[0]))
    inside.settimeout(0.5)
    client.send(b"1")
    assert inside.recv(10) == b"1"
    ve.change(forwards=())
    inside.send(b"2")  # what the environment says into it isn't heard as part of it
    client.settimeout(0.5)
    with pytest.raises(OSError):
        assert not client.recv(10)
        raise ConnectionResetError
    with suppress(OSError):
        client.send(b"3")
    with pytest.raises(OSError):
        assert not inside.recv(10)
        raise ConnectionResetError


@pytest.mark.parametrize("version", [4, 6])
def test_a_port_given_to_another_leads_there_though_its_client_never_paused(
    lab: Lab, until: ExitStack, version: int
) -> None:
    before, after = lab.new(tenant=1, forwards=BOTH), lab.new(tenant=2)
    client = _client(until, lab.outside, version)
    old, new = _server(until, before, version), _server(until, after, version)
    client.sendto(b"1", (NODE[version], PORT))
    assert gets(old, 2) == b"1"
    before.change(forwards=())
    client.sendto(b"2", (NODE[version], PORT))  # to the node itself, which has nobody there
    assert gets(old) is None
    after.change(forwards=BOTH)
    client.sendto(b"3", (NODE[version], PORT))
    assert gets(new, 2) == b"3"
    assert gets(old, 0.1) is None


@pytest.mark.parametrize("to", [NODE_OUTSIDE4, NODE_OUTSIDE6, str(GATEWAY4)])
@pytest.mark.parametrize("who", ["another", "itself", "the node"])
def test_flows_from_an_environment_and_from_the_node_end_too(
    lab: Lab, until: ExitStack, to: str, who: str
) -> None:
    version = 6 if ":" in to else 4
    ve, other = lab.new(tenant=1, forwards=BOTH), lab.new(tenant=2)
    client = _client(until, {"another": other, "itself": ve, "the node": lab.here}[who], version)
    server = _server(until, ve, version)
    client.sendto(b"1", (to, PORT))
    assert gets(server, 2) == b"1"
    ve.change(forwards=())
    with suppress(ConnectionRefusedError):
        client.sendto(b"2", (to, PORT))
    assert gets(server) is None


def test_answers_to_an_address_that_was_taken_away_reach_nobody(lab: Lab, until: ExitStack) -> None:
    ve, heir = lab.new(tenant=1), lab.new(tenant=2)
    own, server = (
        _client(until, ve),
        until.enter_context(closing(lab.outside.listener(OUTSIDE4, 9100, kind=UDP))),
    )
    own.bind((ve.ipv4, 4000))
    own.sendto(b"1", (OUTSIDE4, 9100))
    data, masked = server.recvfrom(10)
    assert data == b"1"
    address = ve.ipv4
    ve.change(ipv4=())
    assert not _flows(lab, address)
    heir.change(ipv4=(*heir.spec.network.ipv4, address))
    there = until.enter_context(closing(heir.listener(address, 4000, kind=UDP)))
    server.sendto(b"2", masked)
    assert gets(there) is None
    assert gets(own, 0.1) is None


@pytest.mark.parametrize("end", ["stopped", "closed"])
def test_flows_end_when_it_is_stopped_and_when_its_tenant_is_suspended(
    lab: Lab, until: ExitStack, end: str
) -> None:
    ve = lab.new(forwards=BOTH)
    client, server = _client(until, lab.outside), _server(until, ve)
    away = until.enter_context(closing(lab.outside.listener(OUTSIDE6, 9100, kind=UDP)))
    client.sendto(b"1", (NODE_OUTSIDE4, PORT))
    assert gets(server, 2) == b"1"
    ve.sends(OUTSIDE6, 9100)
    assert gets(away, 2) == b"x"
    assert _flows(lab, ve.ipv4)
    if end == "stopped":
        lab.made.remove(ve)
        ve.remove()
    else:
        ve.change(closed=True)
        client.sendto(b"2", (NODE_OUTSIDE4, PORT))
        assert gets(server) is None
        ve.sends(OUTSIDE6, 9100)
        assert gets(away) is None
        assert not ve.drift()
    assert not _flows(lab, ve.ipv4)
    assert not _flows(lab, ve.ipv6)


def test_one_that_is_opened_again_is_as_before(lab: Lab, until: ExitStack) -> None:
    ve = lab.new(forwards=BOTH)
    client, server = _client(until, lab.outside), _server(until, ve)
    ve.change(closed=True)
    client.sendto(b"1", (NODE_OUTSIDE4, PORT))
    ve.change(closed=False)
    client.sendto(b"2", (NODE_OUTSIDE4, PORT))
    assert gets(server, 2) == b"2"


def test_what_a_killed_process_left_ends_later_and_not_what_is_up_again(lab: Lab, until: ExitStack) -> None:
    ve = lab.new(forwards=BOTH)
    client, server = _client(until, lab.outside), _server(until, ve)
    client.sendto(b"1", (NODE_OUTSIDE4, PORT))
    assert gets(server, 2) == b"1"
    lab.firewall.remove(ve.spec.id)  # and killed before it tidied
    assert _flows(lab, ve.ipv4)
    lab.firewall.ensure(ve.spec)
    lab.firewall.sweep()
    assert _flows(lab, ve.ipv4)
    lab.firewall.remove(ve.spec.id)
    lab.firewall.sweep()
    assert not _flows(lab, ve.ipv4)


@pytest.fixture
def zone() -> Iterator[int]:
    """What comes to UDP port 9300 of the node is tracked in a zone of its own."""
    nft.load(
        """
table inet zones {
  chain pre {
    type filter hook prerouting priority -310
    udp dport 9300 ct zone set 7
  }
  chain out {
    type filter hook output priority -310
    udp sport 9300 ct zone set 7
  }
}
"""
    )
    yield 9300
    nft.load("delete table inet zones")


def test_nobody_elses_flow_ends(lab: Lab, until: ExitStack, zone: int) -> None:
    """Of the node, of a neighbour with the same client, of another forward of its own, of another zone."""
    second = {"protocol": "udp", "node_port": PORT + 1, "port": INSIDE + 1}
    ve, other = lab.new(tenant=1, forwards=(*BOTH, second)), lab.new(tenant=2)
    other.change(forwards=({"protocol": "udp", "node_port": PORT + 2, "port": INSIDE},))
    own = until.enter_context(closing(ve.listener("0.0.0.0", INSIDE + 1, kind=UDP)))
    theirs = _server(until, other)
    here = until.enter_context(closing(lab.here.listener(NODE_OUTSIDE4, 9200, kind=UDP)))
    apart = until.enter_context(closing(lab.here.listener(NODE_OUTSIDE4, zone, kind=UDP)))
    client = _client(until, lab.outside)
    ports = {PORT + 1: own, PORT + 2: theirs, 9200: here, zone: apart}
    for port, server in ports.items():
        client.sendto(b"1", (NODE_OUTSIDE4, port))
        assert gets(server, 2) == b"1", port
    client.sendto(b"1", (NODE_OUTSIDE4, PORT))
    before = len(_flows(lab, OUTSIDE4))
    ve.change(forwards=(second,))
    assert len(_flows(lab, OUTSIDE4)) == before - 1
    assert len(_flows(lab, ve.ipv4)) == 1
    # in another zone the same addresses are somebody else's
    conntrack.end({IPv4Address(NODE_OUTSIDE4)})
    assert len([ends for ends in _flows(lab, NODE_OUTSIDE4) if ends[2] == NODE_OUTSIDE4]) == 1


def test_a_forward_of_the_operators_own_goes_on(lab: Lab, until: ExitStack) -> None:
    """A rule of the machine's that leads to an environment isn't ours to end."""
    ve = lab.new(forwards=BOTH)
    nft.load(
        f"""
table ip operators {{
  chain pre {{
    type nat hook prerouting priority -100
    udp dport 7777 dnat to {ve.ipv4}:{INSIDE}
  }}
}}
"""
    )
    until.callback(nft.load, "delete table ip operators")
    client, server = _client(until, lab.outside), _server(until, ve)
    client.sendto(b"1", (NODE_OUTSIDE4, 7777))
    assert gets(server, 2) == b"1"
    ve.change(forwards=())
    client.sendto(b"2", (NODE_OUTSIDE4, 7777))
    assert gets(server, 2) == b"2"
    assert len(_flows(lab, ve.ipv4)) == 1


def test_a_large_table_is_asked_for_what_is_meant_alone(
    lab: Lab, until: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.host.conntrack._SEEN_MEANWHILE", 0)
    ve: StandIn = lab.new(forwards=BOTH)
    other = lab.new(tenant=2)
    for version in (4, 6):
        client, server = _client(until, lab.outside, version), _server(until, ve, version)
        client.sendto(b"1", (NODE[version], PORT))
        assert gets(server, 2) == b"1"
    other.sends(OUTSIDE4, 9)
    lab.made.remove(ve)
    ve.remove()
    assert not _flows(lab, ve.ipv4)
    assert not _flows(lab, ve.ipv6)
    assert len(_flows(lab, other.ipv4)) == 1
