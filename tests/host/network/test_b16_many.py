"""B16, C11: one environment opens flows without end, or sends small packets without end; others go on."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from runtime.network.addressing import HOST_MAC
from runtime.network.ruleset import FLOWS_PER_ENVIRONMENT
from runtime.resources.shaping import LATENCY_US, burst_bytes
from tests.host.support import frames as f
from tests.host.support.network import OUTSIDE4, OUTSIDE6, Lab, StandIn, gets

#: Flows of this network namespace alone; only the most there may be is the machine's.
COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")
RATE_BIT_S = 400_000


def _frame(ve: StandIn, source_port: int, port: int) -> bytes:
    """The smallest datagram: 29 bytes of IPv4, 43 of Ethernet."""
    return f.ether(ve.mac, HOST_MAC, f.IP4, f.ip4(ve.ipv4, OUTSIDE4, f.UDP, f.udp(source_port, port)))


def test_b16_flows_end_at_the_cap_and_a_neighbour_opens_new_ones(lab: Lab) -> None:
    greedy, other = lab.new(tenant=1), lab.new(tenant=2)
    before = int(COUNT.read_text())
    with greedy.frames() as sender:
        for number in range(FLOWS_PER_ENVIRONMENT + 2000):
            sender.send(_frame(greedy, 1024 + number, 5000))
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
