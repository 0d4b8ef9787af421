"""System calls that Python 3.11 has no name for, by ctypes. Names and numbers as in the kernel's headers."""

import ctypes
import os
import platform
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWTIME = 0x00000080
CLONE_VM = 0x00000100
CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_NOATIME, MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1024, 4096, 16384, 1 << 18, 1 << 19, 1 << 20
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH = 4, 0x40
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
MOUNT_ATTR_IDMAP = 0x00100000

_RENAME_EXCHANGE = 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP = 1, 4, 28, 4
_STACK_BYTES, _IDLE_S = 65_536, 5

_SYS_SETRESGID_SETRESUID = {"x86_64": (119, 117), "aarch64": (149, 147)}
_SYS_MEMBARRIER = {"x86_64": 324, "aarch64": 283}
# asm-generic numbers, the same on x86-64 and arm64
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_MOUNT_SETATTR = 428, 429, 442


class MountAttr(ctypes.Structure):
    """struct mount_attr of linux/mount.h."""

    _fields_ = [
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), "unshare")


def wait_for_readers() -> None:
    """Returns when every processor has left the read-side section of the kernel (RCU) that it was in: a packet
    that was on its way through old rules is through (membarrier(2), MEMBARRIER_CMD_GLOBAL; some 10 ms)."""
    _checked(_libc.syscall(_SYS_MEMBARRIER[platform.machine()], 1, 0, 0), "membarrier")


@contextmanager
def idle_child(flags: int, user: int) -> Iterator[int]:
    """Pid of a child in new namespaces that belong to `user`; it does nothing, and is killed at the end.

    The child shares this process's memory and runs one function of libc, usleep(3), on a stack of its own, and
    no line of Python: 0.2 ms, where fork(2) copies the page tables of a process of 100 MB in 5. Should this
    process be killed meanwhile, the child ends by itself after `_IDLE_S`. Raises OSError.
    """
    stack = ctypes.create_string_buffer(_STACK_BYTES)
    top = (ctypes.addressof(stack) + _STACK_BYTES) & ~0xF
    made: list[int] = []
    fault: list[BaseException] = []

    def work() -> None:
        try:
            _become(user)
            sleep = ctypes.cast(_libc.usleep, ctypes.c_void_p)
            how_long_us = ctypes.c_void_p(_IDLE_S * 1_000_000)
            all_flags = flags | CLONE_VM | signal.SIGCHLD
            made.append(_checked(_libc.clone(sleep, ctypes.c_void_p(top), all_flags, how_long_us), "clone"))
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if fault:
        raise fault[0]
    try:
        yield made[0]
    finally:
        os.kill(made[0], signal.SIGKILL)
        os.waitpid(made[0], 0)


def _become(user: int) -> None:
    """The calling thread, and no other, is this user and group from now on and keeps its capabilities.

    By the system calls themselves, since libc's functions of these names change all threads (nptl(7)).
    """
    _checked(_libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0), "prctl")
    for number in _SYS_SETRESGID_SETRESUID[platform.machine()]:
        _checked(_libc.syscall(number, user, user, user), "setresuid")
    # the kernel has cleared it for the whole process (PR_SET_DUMPABLE(2const))
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl")


def act_as(user: int) -> None:
    """Files that the calling thread makes are this user's and group's, and it may what he may (setfsuid(2))."""
    _libc.setfsgid(user)
    _libc.setfsuid(user)
    if _libc.setfsuid(-1) != user:
        raise PermissionError(1, "setfsuid: " + os.strerror(1))


def setns(fd: int, flags: int) -> None:
    _checked(_libc.setns(fd, flags), "setns")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _checked(
        _libc.mount(
            source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode() or None
        ),
        f"mount {target}",
    )


def umount(target: str, flags: int = 0) -> None:
    _checked(_libc.umount2(target.encode(), flags), f"umount {target}")


def exchange(one: str, other: str) -> None:
    """Each has the other's name from now on, both at once (renameat2(2), RENAME_EXCHANGE)."""
    names = (ctypes.c_char_p(one.encode()), ctypes.c_char_p(other.encode()))
    _checked(
        _libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], ctypes.c_uint(_RENAME_EXCHANGE)),
        f"exchange {one}",
    )


def open_tree(path: str | int, flags: int) -> int:
    """Of a path, or of what a descriptor stands for."""
    if isinstance(path, int):
        directory, name, flags = path, b"", flags | AT_EMPTY_PATH
    else:
        directory, name = AT_FDCWD, path.encode()
    return _checked(
        _libc.syscall(_SYS_OPEN_TREE, directory, ctypes.c_char_p(name), ctypes.c_uint(flags)),
        f"open_tree {path}",
    )


def move_mount(tree: int, target: str | int) -> None:
    """Onto a path, or onto the directory of a descriptor."""
    is_open = isinstance(target, int)
    flags = MOVE_MOUNT_F_EMPTY_PATH | (MOVE_MOUNT_T_EMPTY_PATH if is_open else 0)
    _checked(
        _libc.syscall(
            _SYS_MOVE_MOUNT,
            tree,
            ctypes.c_char_p(b""),
            target if isinstance(target, int) else AT_FDCWD,
            ctypes.c_char_p(b"" if isinstance(target, int) else target.encode()),
            ctypes.c_uint(flags),
        ),
        f"move_mount {target}",
    )


def mount_setattr(tree: int, attr: MountAttr, *, recursive: bool = False) -> None:
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    _checked(
        _libc.syscall(
            _SYS_MOUNT_SETATTR,
            tree,
            ctypes.c_char_p(b""),
            ctypes.c_uint(flags),
            ctypes.byref(attr),
            ctypes.c_size_t(ctypes.sizeof(attr)),
        ),
        "mount_setattr",
    )


def end_with_parent(parent: int) -> None:
    """This process gets SIGTERM when the thread that began it ends; at once when `parent` is gone by now.
    PR_SET_PDEATHSIG(2const)"""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
