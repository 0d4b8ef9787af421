"""A file system that an environment serves itself (fuse(4)), by hand; this text is what runs inside.

It has a root, a directory `d` and a program `f` in each. `until` says at which question it stops answering.
"""

import ctypes
import mmap
import os
import struct
import sys
import threading
import time
from collections.abc import Callable

libc = ctypes.CDLL(None, use_errno=True)

# numbers of linux/fuse.h
FORGET, BATCH_FORGET, INIT, LOOKUP, GETATTR, OPEN, READ, STATFS, OPENDIR = 2, 42, 26, 1, 3, 14, 15, 17, 27
RELEASE, FLUSH, RELEASEDIR, ACCESS = 18, 25, 29, 34
ROOT, DIRECTORY, FILE = 1, 2, 3


def leave_behind() -> bool:
    """Forks; True in the process that stays, with nothing of the caller's open."""
    if os.fork():
        return False
    os.setsid()
    for fd in range(3):
        os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    return True


def mount(where: str) -> int:
    """The device that its questions are read from."""
    os.makedirs(where, exist_ok=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(b"own", where.encode(), b"fuse", 0x6, options):
        raise OSError(ctypes.get_errno(), "mount")
    return device


def _attributes(node: int) -> bytes:
    mode = 0o100755 if node == FILE else 0o40755
    return struct.pack("=QQQQQQIIIIIIIIII", node, 4096, 8, 0, 0, 0, 0, 0, 0, mode, 2, 0, 0, 0, 4096, 0)


def _answer(op: int, node: int, rest: bytes) -> tuple[int, bytes]:
    """Error number and body."""
    if op == LOOKUP:
        found = {b"d": DIRECTORY, b"f": FILE}.get(rest.split(b"\0")[0])
        if found is None:
            return -2, b""
        return 0, struct.pack("=QQQQII", found, 0, 0, 0, 0, 0) + _attributes(found)
    bodies = {
        INIT: struct.pack("=IIIIHHII36x", 7, 31, 65536, 0, 16, 12, 65536, 1),
        GETATTR: struct.pack("=QII", 0, 0, 0) + _attributes(node),
        OPEN: struct.pack("=QII", 0, 0, 0),
        OPENDIR: struct.pack("=QII", 0, 0, 0),
        READ: b"x" * 4096,
        STATFS: struct.pack("=QQQQQIII28x", 1, 0, 0, 0, 0, 4096, 255, 4096),
        **dict.fromkeys((RELEASE, FLUSH, RELEASEDIR, ACCESS), b""),
    }
    return (0, bodies[op]) if op in bodies else (-38, b"")


def serve(device: int, until: Callable[[int], bool]) -> None:
    """Answers, until it is asked what it keeps silent about; then it lives on and says nothing."""
    while True:
        asked = os.read(device, 1 << 17)
        _, op, unique, node = struct.unpack_from("=IIQQ", asked)
        if until(op):
            time.sleep(100_000)
        if op not in (FORGET, BATCH_FORGET):
            error, body = _answer(op, node, asked[40:])
            os.write(device, struct.pack("=IiQ", 16 + len(body), error, unique) + body)


def wait_for_itself() -> None:
    """One thread asks, the other one, of the same process, has read the question: neither can be killed."""
    device = mount("/mnt/own")
    threading.Thread(target=lambda: (time.sleep(0.2), os.path.exists("/mnt/own/nothing"))).start()
    serve(device, lambda op: op == LOOKUP)


def hide_words() -> None:
    """Nobody who looks at its memory, and so at its command line, gets an answer.

    One thread reads a page of its own by /proc/self/mem, and waits with the memory's lock; another one wants to
    change the memory, and whoever comes after that waits behind it.
    """
    device = mount("/mnt/words")
    if os.fork() == 0:
        serve(device, lambda op: op == READ)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    address = libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_PRIVATE, os.open("/mnt/words/f", os.O_RDONLY), 0)
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    threading.Thread(target=lambda: os.pread(memory, 1, address)).start()
    time.sleep(0.3)
    os.close(os.open("/hidden", os.O_CREAT))
    libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)


def ask_behind_a_lock() -> None:
    """It wants an answer, and nobody gets at its memory (`hide_words`)."""
    answer = ctypes.create_string_buffer(128)

    def ask() -> None:
        time.sleep(1)
        libc.sysinfo(answer)

    threading.Thread(target=ask).start()
    hide_words()


def _view(place: str) -> None:
    """An overlay over it, which asks in its mounter's name, whoever looks. Answers until /silent is there."""
    device = mount("/mnt/own")
    if os.fork() == 0:
        serve(device, lambda _: os.path.exists("/silent"))
    for one in (place, "/mnt/below"):
        os.makedirs(one, exist_ok=True)
    if libc.mount(b"own", place.encode(), b"overlay", 0, b"lowerdir=/mnt/own/d:/mnt/below"):
        raise OSError(ctypes.get_errno(), "overlay")


def become_init_of_it() -> None:
    """To be /sbin/init: its root is such a view."""
    _view("/mnt/view")
    outside = os.open("/", os.O_RDONLY)
    os.chroot("/mnt/view")
    os.close(os.open("silent", os.O_CREAT, dir_fd=outside))
    time.sleep(100_000)


def show_others(place: str) -> None:
    _view(place)
    os.close(os.open("/silent", os.O_CREAT))
    time.sleep(100_000)


def cover(place: str) -> None:
    """Whatever is looked for there isn't answered for."""
    device = mount(place)
    serve(device, lambda op: op in (LOOKUP, ACCESS, GETATTR))


if __name__ == "__main__":
    attack, *words = sys.argv[1:]
    if attack == "become_init_of_it" or leave_behind():
        globals()[attack](*[word for word in words if word.startswith("/")])
