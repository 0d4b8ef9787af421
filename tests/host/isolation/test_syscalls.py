"""A10, A18: system calls that a tenant has no need of, tried with arguments that would work for real root."""

import platform

import pytest

from tests.host.isolation.conftest import Try

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")

#: Number and arguments; a pointer is given as text, which becomes a buffer.
CALLS = {
    "bpf": (321, 0, "map", 72),
    "perf_event_open": (298, "attr", 0, -1, -1, 0),
    "io_uring_setup": (425, 8, "params"),
    "io_uring_enter": (426, 0, 0, 0, 0, 0),
    "io_uring_register": (427, 0, 0, 0, 0),
    "userfaultfd": (323, 1),
    "keyctl": (250, 0, -4, 1),
    "add_key": (248, "user", "name", "x", 1, -2),
    "request_key": (249, "user", "name", 0, 0),
    "fanotify_init": (300, 0, 0),
    "open_by_handle_at": (304, -100, "handle", 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "kexec_file_load": (320, 0, 0, 0, 0, 0),
    "init_module": (175, "m", 1, ""),
    "finit_module": (313, 0, "", 0),
    "delete_module": (176, "x", 0),
    "swapon": (167, "/swap", 0),
    "swapoff": (168, "/swap"),
    "acct": (163, "/acct"),
    "iopl": (172, 3),
    "ioperm": (173, 0x80, 1, 1),
    "clock_settime": (227, 0, "time"),
    "settimeofday": (164, "time", 0),
    "quotactl": (179, 0x80000100, 0, 0, 0),
    "quotactl_fd": (443, 0, 0, 0, 0),
    "vmsplice": (278, 1, 0, 0, 0),
    "memfd_secret": (447, 0),
    "modify_ldt": (154, 0, "buffer", 16),
    "pidfd_getfd": (438, 0, 0, 0),
    "kcmp": (312, 1, 1, 0, 0, 0),
    "syslog": (103, 3, "buffer", 64),
    "mbind": (237, 0, 0, 0, 0, 0, 0),
    "move_pages": (279, 0, 0, 0, 0, 0, 0),
    "migrate_pages": (256, 0, 0, 0, 0),
    "set_mempolicy": (238, 0, 0, 0),
    "vhangup": (153,),
    "lookup_dcookie": (212, 0, "buffer", 64),
    "nfsservctl": (180, 0, 0, 0),
    "_sysctl": (156, 0),
    "uselib": (134, "/x"),
    "ustat": (136, 0, "buffer"),
    "sysfs": (139, 3),
    "remap of mount by lsm": (459, 0, "", 0, 0),
    "clone3": (435, "args", 88),
    "process_madvise of another": (440, -1, 0, 0, 0, 0),
    "unknown number": (9999,),
    "x32 number": (0x40000000 | 41, 40, 1, 0),
}


def _call(calls: dict[str, list[int | str]]) -> dict[str, str]:
    """The name of the error of each call, in a child of its own: a filter may kill."""
    import ctypes
    import errno
    import os

    answers = {}
    for name, words in calls.items():
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            libc = ctypes.CDLL(None, use_errno=True)
            given = []
            for one in words:
                if isinstance(one, str):
                    given.append(ctypes.create_string_buffer(one.encode(), max(128, len(one) + 1)))
                else:
                    given.append(ctypes.c_long(one))
            answer = libc.syscall(*given)
            text = "ok" if answer >= 0 else errno.errorcode.get(ctypes.get_errno(), "?")
            os.write(writing, text.encode())
            os._exit(0)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        answers[name] = os.read(reading, 100).decode() or f"killed by {status & 127}"
        os.close(reading)
    return answers


def test_a10_calls_that_nobody_inside_needs_are_refused(tries: Try) -> None:
    answers = tries(_call, CALLS)
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
