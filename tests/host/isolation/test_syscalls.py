"""A10, A18: system calls that a tenant has no need of, tried with arguments that would work for real root."""

import platform

import pytest

from tests.host.isolation.conftest import Try
from tests.host.support.calls import CALLS, answers_to

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")


def test_a10_calls_that_nobody_inside_needs_are_refused(tries: Try) -> None:
    answers = tries(answers_to, CALLS)
    refused = {"EPERM", "ENOSYS", "killed by 31"}
    odd = {"process_madvise of another": "EBADF"}
    assert {name: said for name, said in answers.items() if said not in refused and odd.get(name) != said} == {}


def test_a10_not_by_32_bit_calls_either(tries: Try) -> None:
    """`socketcall` of i386 would open what `socket` closes (M3)."""

    def call32() -> str:
        import ctypes
        import mmap
        import os

        # mov eax, 20 (getpid of i386); int 0x80; ret
        code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"
        child = os.fork()
        if child == 0:
            page = mmap.mmap(-1, 4096, prot=7)
            page.write(code)
            place = ctypes.addressof(ctypes.c_char.from_buffer(page))
            answer = ctypes.CFUNCTYPE(ctypes.c_int)(place)()
            os._exit(0 if answer > 0 else 1)
        _, status = os.waitpid(child, 0)
        return f"killed by {status & 127}" if status & 127 else ("works" if status == 0 else "refused")

    assert tries(call32) in ("killed by 31", "refused")


def test_a18_no_file_is_opened_by_its_handle(tries: Try) -> None:
    def handles() -> list[int]:
        import ctypes
        import os
        import struct

        libc = ctypes.CDLL(None, use_errno=True)
        root = os.open("/", os.O_RDONLY)
        opened = []
        for kind, size in ((1, 8), (0x4D, 20), (0x4E, 28), (0x4F, 40)):
            for inode in [2, 256, *range(1, 4097)]:
                body = struct.pack("=QQI", inode, 5, 0) if kind > 1 else struct.pack("=II", inode, 0)
                handle = ctypes.create_string_buffer(struct.pack("=Ii", size, kind) + body.ljust(size, b"\0"))
                fd = libc.syscall(304, root, handle, 0)
                if fd >= 0 or ctypes.get_errno() != 1:
                    opened.append(inode)
        return opened

    assert tries(handles) == []


def test_a18_a_subvolume_shows_nothing_of_the_pool(tries: Try) -> None:
    """btrfs lets its owner ask much of a subvolume by ioctl; nothing of what lies around it."""

    def asked() -> dict[str, str]:
        import errno
        import fcntl
        import os
        import struct

        def number(direction: int, nr: int, size: int) -> int:
            return direction << 30 | size << 16 | 0x94 << 8 | nr

        calls = {
            "tree search": (
                number(3, 17, 4096),
                struct.pack("=14Q", 1, *[0, 2**64 - 1] * 3, 0, 0, 0, 0, 0, 0, 0),
            ),
            "tree search 2": (number(3, 17, 112), b""),
            "lookup in the root tree": (number(3, 18, 4096), struct.pack("=QQ", 1, 257)),
            "lookup in another": (number(3, 18, 4096), struct.pack("=QQ", 5, 257)),
            "quota on": (number(3, 40, 16), struct.pack("=QQ", 2, 0)),
            "quota limit": (number(2, 43, 48), bytes(48)),
            "quota assign": (number(1, 41, 24), bytes(24)),
            "quota create": (number(1, 42, 16), struct.pack("=QQ", 1, 77)),
            "default subvolume": (number(1, 19, 8), struct.pack("=Q", 5)),
            "resize": (number(1, 3, 4096), bytes(8) + b"max"),
            "scrub": (number(3, 27, 1024), bytes(1024)),
            "balance": (number(3, 32, 1024), bytes(1024)),
            "add a device": (number(1, 10, 4096), bytes(8) + b"/dev/vda"),
            "logical to inodes": (number(3, 59, 56), bytes(56)),
            "send": (number(1, 38, 72), bytes(72)),
            "label": (number(1, 50, 256), b"x"),
        }
        root = os.open("/", os.O_RDONLY)
        works = {}
        for name, (request, data) in calls.items():
            try:
                fcntl.ioctl(root, request, bytearray(data.ljust((request >> 16) & 0x3FFF or 8, b"\0")), True)
                works[name] = "ok"
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EACCES):
                    works[name] = errno.errorcode[error.errno]
        return works

    assert "ok" not in tries(asked).values()
