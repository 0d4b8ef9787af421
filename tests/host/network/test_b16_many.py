"""B16, C11: one environment opens flows without end, or sends small packets without end; others go on."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from runtime.network.addressing import HOST_MAC, guest_link_local
from runtime.network.ruleset import FLOWS_PER_ENVIRONMENT, FLOWS_PER_SECOND
from runtime.resources.shaping import LATENCY_US, burst_bytes
from tests.host.support import frames as f
from tests.host.support.legit import LEGIT, Frame
from tests.host.support.network import (
    NODE_OUTSIDE4,
    NODE_OUTSIDE6,
    OUTSIDE4,
    OUTSIDE6,
    Lab,
    StandIn,
    gets,
    watch,
)

#: Flows of this network namespace alone; only the most there may be is the machine's.
COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")
#: SO_RCVBUFFORCE of socket(7), which Python has no name for.
_RCVBUFFORCE = 33
RATE_BIT_S = 400_000


def _frame(ve: StandIn, source_port: int, port: int) -> bytes:
    """The smallest datagram: 29 bytes of IPv4, 43 of Ethernet."""
    return f.ether(ve.mac, HOST_MAC, f.IP4, f.ip4(ve.ipv4, OUTSIDE4, f.UDP, f.udp(source_port, port)))


def _open_all(ve: StandIn) -> None:
    """Flows until no more are let in. They are counted in parts, by chance, and beyond the first burst so many
    a second are looked at: the last parts fill slowly. Those that nobody answered are forgotten after 30 s."""
    numbers, full, until = itertools.count(1024), 0, time.monotonic() + 20
    with ve.frames() as sender:
        for _ in range(FLOWS_PER_ENVIRONMENT + 2000):
            sender.send(_frame(ve, next(numbers), 5000))
        while full < 3 and time.monotonic() < until:
            was = int(COUNT.read_text())
            time.sleep(0.5)
            for _ in range(FLOWS_PER_SECOND // 2):
                sender.send(_frame(ve, next(numbers), 5000))
            full = full + 1 if int(COUNT.read_text()) <= was else 0


def test_b16_flows_end_at_the_cap_and_a_neighbour_opens_new_ones(lab: Lab) -> None:
    greedy, other = lab.new(tenant=1), lab.new(tenant=2)
    before = int(COUNT.read_text())
    _open_all(greedy)
    opened = int(COUNT.read_text()) - before
    assert FLOWS_PER_ENVIRONMENT - 500 <= opened <= FLOWS_PER_ENVIRONMENT + 100
    with closing(lab.outside.listener(OUTSIDE4, 9100, kind=socket.SOCK_DGRAM)) as there:
        greedy.sends(OUTSIDE4, 9100)
        assert gets(there) is None
        other.sends(OUTSIDE4, 9100)
        assert gets(there, 10) == b"x"
    with closing(lab.outside.listener(OUTSIDE4, 443)), closing(lab.outside.listener(OUTSIDE6, 443)):
        assert not greedy.reaches(OUTSIDE4, 443, timeout_s=0.3)
        assert other.reaches(OUTSIDE4, 443, timeout_s=10)
        assert other.reaches(OUTSIDE6, 443, timeout_s=10)


@contextmanager
def _flood(ve: StandIn) -> Iterator[Callable[[], int]]:
    """Small frames as fast as one processor makes them; how many were sent until now."""
    ended, sent = threading.Event(), [0]

    def work() -> None:
        frame = _frame(ve, 4000, 9200)
        with ExitStack() as opened:
            # what waits in the queue counts for the socket that sent it: one alone would have to wait
            senders = [opened.enter_context(ve.frames()) for _ in range(8)]
            for one in senders:
                one.setblocking(False)
            while not ended.is_set():
                for one in senders:
                    with suppress(BlockingIOError):
                        one.send(frame)
                        sent[0] += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield lambda: sent[0]
    finally:
        ended.set()
        thread.join()


def _arrived(lab: Lab) -> int:
    """Bytes of frames that came to the outside."""
    told = json.loads(lab.outside.ip("-s -j link show wan"))
    return int(told[0]["stats64"]["rx"]["bytes"])


def test_c11_small_packets_are_held_to_the_rate_and_a_neighbour_loses_none(lab: Lab) -> None:
    flooding = lab.new(tenant=1, limits={"network_out_bit_s": RATE_BIT_S})
    other = lab.new(tenant=2)
    own = [str(number).encode() for number in range(150)]
    with closing(lab.outside.listener(OUTSIDE4, 9201, kind=socket.SOCK_DGRAM)) as there:
        before, began = _arrived(lab), time.monotonic()
        with _flood(flooding) as sent:
            for one in own:
                other.sends(OUTSIDE4, 9201, one)
                time.sleep(0.01)
            heard = [gets(there, 10) for _ in own]
            flooded = sent() * len(_frame(flooding, 1, 1))
            arrived, took_s = _arrived(lab) - before, time.monotonic() - began
    assert heard == own
    allowed = RATE_BIT_S / 8 * (took_s + LATENCY_US / 1e6) + burst_bytes(RATE_BIT_S) + len(own) * 60
    assert flooded > 2 * allowed, "no flood, so nothing was held"
    assert RATE_BIT_S / 8 * took_s / 4 < arrived <= allowed


#: What is let through at a pace: frame, frames per second, and how many at once (5 unless said: nft(8), LIMIT).
PACES: dict[str, tuple[Frame, int, int]] = {
    "ARP": (LEGIT["ARP request for the gateway"], 100, 200),
    "duplicate address detection": (LEGIT["duplicate address detection"], 20, 5),
    "IPv4 multicast": (
        lambda ve: f.ether(
            ve.mac, f.multicast_mac("239.1.1.1"), f.IP4, f.ip4(ve.ipv4, "239.1.1.1", f.UDP, f.udp(4000, 9))
        ),
        200,
        5,
    ),
    "IPv6 multicast": (
        lambda ve: f.ether(
            ve.mac, f.multicast_mac("ff05::9"), f.IP6, f.ip6(ve.ipv6, "ff05::9", f.UDP, f.udp(4000, 9))
        ),
        200,
        5,
    ),
}


@pytest.mark.parametrize("name", PACES)
def test_c11_what_reaches_the_node_itself_has_a_pace(lab: Lab, name: str) -> None:
    ve = lab.new()
    ve.do(lambda: Path("/proc/sys/net/ipv6/conf/eth0/disable_ipv6").write_text("1"))
    frame, per_second, at_once = PACES[name]
    ready = frame(ve)
    with ve.frames() as sender, watch(ve.link) as seen:
        before, began = seen(), time.monotonic()
        for _ in range(2000):
            sender.send(ready)
        passed, took_s = seen() - before, time.monotonic() - began
    assert at_once <= passed <= at_once + per_second * took_s + 1
    assert passed < 1000, "too slow to say anything"


#: What the node answers: question, frames per second, how many at once, and the ICMP type of the answer.
ANSWERS: dict[str, tuple[Frame, int, int, int]] = {
    "IPv4 echo": (
        lambda ve: f.ether(ve.mac, HOST_MAC, f.IP4, f.ip4(ve.ipv4, NODE_OUTSIDE4, f.ICMP, _echo4())),
        10,
        20,
        0,
    ),
    "IPv6 echo": (
        lambda ve: f.ether(
            ve.mac, HOST_MAC, f.IP6, f.icmp6_packet(ve.ipv6, NODE_OUTSIDE6, 128, b"\0\1\0\1ping")
        ),
        10,
        20,
        129,
    ),
    # to its own address: one to the group has the pace of multicast too
    "neighbour solicitation": (
        lambda ve: f.ether(ve.mac, HOST_MAC, f.IP6, _solicitation(ve)),
        50,
        5,
        136,
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_c11_the_node_answers_at_a_pace(lab: Lab, name: str) -> None:
    """An exchange that is under way is no way round: the second ping of a kind is part of one."""
    ve = lab.new()
    frame, per_second, at_once, kind = ANSWERS[name]
    ready = frame(ve)
    with ve.frames() as sender, ve.frames() as ear:
        ear.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, 2**24)
        ear.settimeout(0.3)
        began = time.monotonic()
        for _ in range(500):
            sender.send(ready)
        answered = sum(_kind(one) == kind for one in _all_of(ear))
        took_s = time.monotonic() - began
    assert 1 <= answered <= at_once + per_second * took_s + 1


def _solicitation(ve: StandIn) -> bytes:
    local = str(guest_link_local(ve.spec.id))
    return f.icmp6_packet(local, "fe80::1", 135, f.solicitation("fe80::1", ve.mac))


def _echo4() -> bytes:
    body = b"\x08\0\0\0\0\1\0\1ping"
    return body[:2] + f.checksum(body).to_bytes(2, "big") + body[4:]


def _all_of(ear: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            yield ear.recv(2048)
        except TimeoutError:
            return


def _kind(frame: bytes) -> int | None:
    """ICMP type of a frame that has one."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == f.IP4 and frame[23] == f.ICMP:
        return frame[34]
    return frame[54] if kind == f.IP6 and frame[20] == f.ICMP6 else None


def test_b16_flows_that_end_at_once_are_held_to_a_pace(lab: Lab) -> None:
    """One that was refused stays in the kernel's table for ten seconds, one that was closed for two minutes.
    Neither counts as open."""
    greedy, other = lab.new(tenant=1), lab.new(tenant=2)
    before, began = int(COUNT.read_text()), time.monotonic()
    syn = b"\0\0\0\0" + bytes(4) + b"\x50\x02\xff\xff"
    with greedy.frames() as sender:
        for number in range(FLOWS_PER_ENVIRONMENT + 12_000):
            head = (1024 + number).to_bytes(2, "big") + (81).to_bytes(2, "big")
            sender.send(
                f.ether(
                    greedy.mac, HOST_MAC, f.IP4, f.ip4(greedy.ipv4, OUTSIDE4, f.TCP, _tcp(greedy, head + syn))
                )
            )
    took_s = time.monotonic() - began
    opened = int(COUNT.read_text()) - before
    assert opened <= FLOWS_PER_ENVIRONMENT + FLOWS_PER_SECOND * took_s + 100
    with closing(lab.outside.listener(OUTSIDE4, 443)):
        assert other.reaches(OUTSIDE4, 443, timeout_s=10)


def _tcp(ve: StandIn, header: bytes) -> bytes:
    """With its checksum (RFC 9293, 3.1)."""
    segment = header + bytes(4)
    ends = socket.inet_aton(ve.ipv4) + socket.inet_aton(OUTSIDE4)
    total = f.checksum(ends + bytes([0, f.TCP]) + len(segment).to_bytes(2, "big") + segment)
    return segment[:16] + total.to_bytes(2, "big") + segment[18:]
