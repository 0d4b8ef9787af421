"""A02, A08 for 32-bit calls: what the filter closes by its 64-bit name is closed by every i386 way too."""

import platform
from collections.abc import Callable
from typing import Any

import pytest

from runtime.node import Node
from tests.host.conftest import Make
from tests.host.support.laboratory import inside

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="i386 is x86-64's other architecture")

#: i386: number and arguments; a list is laid into memory and handed over by its address.
#: socketcall(2) 102, ipc(2) 117, socket 359, clone 120, ioctl 54
CALLS: dict[str, tuple[Any, ...]] = {
    "getpid": (20,),
    "socket UNIX": (359, 1, 1, 0),
    "socketcall UNIX": (102, 1, [1, 1, 0]),
    "socketcall VSOCK": (102, 1, [40, 1, 0]),
    "socketcall ALG": (102, 1, [38, 5, 0]),
    "socketcall netfilter": (102, 1, [16, 3, 12]),
    "socketcall pair": (102, 8, [1, 1, 0, 0]),
    "socketcall setsockopt": (102, 14, [0, 263, 5, 0, 0]),
    "socketcall accept4": (102, 18, [0, 0, 0, 0]),
    "socket VSOCK": (359, 40, 1, 0),
    "socket netfilter": (359, 16, 3, 12),
    "clone user": (120, 0x10000000 | 17, 0, 0, 0, 0),
    "unshare user": (310, 0x10000000),
    "clone3": (435, 0, 88),
    "bpf": (357, 0, 0, 72),
    "perf_event_open": (336, 0, 0, -1, -1, 0),
    "io_setup": (245, 8, [0, 0]),
    "io_uring_setup": (425, 8, 0),
    "keyctl": (288, 0, -4, 1),
    "add_key": (286, 0, 0, 0, 0, -2),
    "modify_ldt": (123, 0, 0, 16),
    "vm86": (166, 0, 0),
    "stime": (25, [0]),
    "settimeofday": (79, [0, 0], 0),
    "clock_settime": (264, 0, [0, 0]),
    "clock_settime64": (404, 0, [0, 0, 0, 0]),
    "init_module": (128, 0, 0, 0),
    "syslog": (103, 3, 0, 64),
    "quotactl": (131, 0, 0, 0, 0),
    "userfaultfd": (374, 1),
    "iopl": (110, 3),
    "ioctl of btrfs, another's group": (54, 0, 23 | 0x94 << 8 | 1 << 30 | 4096 << 16, 0),
    "ioctl of btrfs, on the pool": (54, 0, 37 | 0x94 << 8 | 1 << 30 | 4096 << 16, 0),
}
OPEN = {"getpid", "socket UNIX"}


def _answers(calls: dict[str, list[int | list[int]]]) -> dict[str, int]:
    """Each by `int $0x80`, which a 64-bit program may use as well; what the kernel answered, a file closed."""
    import ctypes
    import mmap
    import os

    low = 0x40  # MAP_32BIT
    memory = mmap.mmap(-1, 8192, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | low, 7)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    # rdi points at six numbers and room for the answer: eax ebx ecx edx esi edi by themselves, then int 0x80
    code = bytes.fromhex(
        "53 55 49 89 f8 41 8b 00 41 8b 58 04 41 8b 48 08 41 8b 50 0c 41 8b 70 10 41 8b 78 14 31 ed cd 80"
        "5d 5b c3"
    )
    memory[:64] = code.ljust(64, b"\x90")
    call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(base)
    found = {}
    for name, words in calls.items():
        place, flat = 4608, []
        for word in words:
            if isinstance(word, list):
                memory[place : place + 4 * len(word)] = b"".join(
                    (one & 0xFFFFFFFF).to_bytes(4, "little") for one in word
                )
                flat.append(base + place)
                place += 128
            else:
                flat.append(word)
        flat += [0] * (6 - len(flat))
        memory[4096:4120] = b"".join((one & 0xFFFFFFFF).to_bytes(4, "little") for one in flat)
        answer = call(base + 4096)
        if name.startswith("clone") and answer == 0:
            os._exit(0)
        found[name] = answer
        if answer > 2 and "socket" in name:
            os.close(answer)
    return found


@pytest.fixture
def answers(node: Node, make: Make, image: str) -> Callable[..., dict[str, int]]:
    def ask(**security: bool) -> dict[str, int]:
        spec = make(image=image, security={"compat32": True, **security})
        found: dict[str, int] = inside(node, spec, _answers, CALLS)
        return found

    return ask


@pytest.mark.parametrize("firewall", [False, True])
def test_a08_with_32_bit_calls_nothing_else_is_open(
    answers: Callable[..., dict[str, int]], firewall: bool
) -> None:
    found = answers(firewall=firewall)
    open_too = {"socket netfilter"} if firewall else set()
    assert {name for name, answer in found.items() if answer not in (-1, -38)} == OPEN | open_too, found
    assert {found[name] for name in found if name.startswith("socketcall")} == {-1}
