"""A25: the clock is the host's."""

import time

from runtime.contract import EnvironmentSpec
from runtime.node import Node
from tests.host.isolation.conftest import Try
from tests.host.support.inside import attempt


def test_a25_no_way_to_set_the_time(tries: Try, node: Node, ve: EnvironmentSpec) -> None:
    def set_it() -> list[str]:
        import ctypes
        import time

        libc = ctypes.CDLL(None, use_errno=True)

        class Timex(ctypes.Structure):
            _fields_ = [("modes", ctypes.c_uint), ("rest", ctypes.c_long * 25)]

        worked = []
        try:
            time.clock_settime(time.CLOCK_REALTIME, 1_000_000_000)
            worked.append("clock_settime")
        except OSError:
            pass
        pair = (ctypes.c_long * 2)(1_000_000_000, 0)
        if libc.settimeofday(pair, None) == 0:
            worked.append("settimeofday")
        for modes in (0x1, 0x2, 0x10, 0x100, 0x4000, 0x8001):
            timex = Timex(modes=modes)
            if libc.adjtimex(ctypes.byref(timex)) >= 0:
                worked.append(f"adjtimex {modes:#x}")
            if libc.syscall(305, 0, ctypes.byref(timex)) >= 0:
                worked.append(f"clock_adjtime {modes:#x}")
        return worked

    before = time.time() - time.monotonic()
    assert tries(set_it) == []
    attempt(node, ve, "date -s 2001-01-01; hwclock -w; ntpd -q -n -p 127.0.0.1", timeout_s=5)
    assert abs(time.time() - time.monotonic() - before) < 0.05
