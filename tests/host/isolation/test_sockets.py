"""A08: sockets only of the families that a server needs. They are made, never connected."""

import pytest

from tests.host.isolation.conftest import Try

REFUSED = {
    "VSOCK": (40, 1, 0),
    "VSOCK datagram": (40, 2, 0),
    "ALG": (38, 5, 0),
    "KEY": (15, 3, 2),
    "XDP": (44, 3, 0),
    "TIPC": (30, 1, 0),
    "RDS": (21, 5, 0),
    "SMC": (43, 1, 0),
    "CAN": (29, 3, 1),
    "Bluetooth": (31, 3, 1),
    "NFC": (39, 5, 1),
    "QIPCRTR": (42, 2, 0),
    "KCM": (41, 2, 0),
    "LLC": (26, 1, 0),
    "AX25": (3, 2, 0),
    "IPX": (4, 2, 0),
    "AppleTalk": (5, 2, 0),
    "X25": (9, 5, 0),
    "PPPOX": (24, 1, 0),
    "IB": (27, 3, 0),
    "MPLS": (28, 3, 0),
    "CAIF": (37, 1, 0),
    "phonet": (35, 2, 0),
    "IEEE 802.15.4": (36, 2, 0),
    "MCTP": (45, 2, 0),
    "netlink NETFILTER": (16, 3, 12),
    "netlink XFRM": (16, 3, 6),
    "netlink SELINUX": (16, 3, 7),
    "netlink SCSITRANSPORT": (16, 3, 18),
    "netlink RDMA": (16, 3, 20),
    "netlink CRYPTO": (16, 3, 21),
    "netlink CONNECTOR": (16, 3, 11),
    "netlink ISCSI": (16, 3, 8),
    "netlink FIB_LOOKUP": (16, 3, 10),
}


def _make(family: int, kind: int, protocol: int) -> bool:
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    # whole 64-bit registers: the filter sees all of them, the kernel only the lower half
    call = [ctypes.c_long(41), ctypes.c_ulong(family), ctypes.c_ulong(kind), ctypes.c_ulong(protocol)]
    fd = libc.syscall(*call)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def _make_all(wanted: dict[str, list[int]]) -> list[str]:
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)

    def made(number: int, *arguments: int) -> bool:
        fd = libc.syscall(ctypes.c_long(number), *(ctypes.c_ulong(one) for one in arguments))
        if fd >= 0:
            os.close(fd)
        return fd >= 0

    pair = (ctypes.c_int * 2)()
    found = []
    for name, (family, kind, protocol) in wanted.items():
        tricks = {
            "": (family, kind, protocol),
            "high bits in the family": (family | 1 << 32, kind, protocol),
            "high bits in the protocol": (family, kind, protocol | 1 << 32),
            "all high bits": (family | 0xFFFFFFFF << 32, kind | 1 << 33, protocol | 1 << 40),
        }
        for trick, words in tricks.items():
            if made(41, *words):
                found.append(f"{name} {trick}".strip())
        if (
            libc.syscall(
                ctypes.c_long(53), ctypes.c_ulong(family), ctypes.c_ulong(kind), ctypes.c_ulong(protocol), pair
            )
            == 0
        ):
            found.append(f"{name} as a pair")
    return found


def test_a08_no_socket_that_reaches_more_than_the_network(tries: Try) -> None:
    refused = {name: words for name, words in REFUSED.items() if name != "netlink FIB_LOOKUP"}
    assert tries(_make_all, refused) == []


@pytest.mark.parametrize("words", [(1, 1, 0), (2, 1, 0), (10, 2, 0), (17, 3, 0), (16, 3, 0)])
def test_a08_those_that_a_server_needs_are_there(tries: Try, words: tuple[int, int, int]) -> None:
    assert tries(_make, *words)


def test_a08_no_device_of_the_hypervisor(tries: Try) -> None:
    def reached() -> list[str]:
        import os

        return [
            one
            for one in ("/dev/vsock", "/dev/vhost-vsock", "/dev/kvm", "/dev/vhost-net")
            if os.path.exists(one)
        ]

    assert tries(reached) == []
