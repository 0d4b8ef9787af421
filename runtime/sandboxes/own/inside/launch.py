"""First process of the container around an own kernel: starts its disk server, its relay and the kernel, each
with the rights that it needs, and ends as the kernel ends.

Its own rights are those of root in the environment's user namespace; what it reads is its configuration, which
the node wrote, and how its children ended. With it the kernel of the host ends them all.
"""

import ctypes
import json
import math
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from runtime.sandboxes.own.inside.relay import Relay

KERNEL, DISK_SERVER = "/usr/bin/linux.uml", "/usr/lib/qemu/virtiofsd"
DISK, MEMORY = "/disk", "/mem"
DISK_SOCKET, KERNEL_SOCKET = "/run/disk.sock", "/run/kernel.sock"
#: In the environment's network namespace, which nobody else is in.
AGENT_ADDRESS = "\0wadah-agent"
#: User ids within the environment's range: neither is root's, and none is the other's.
KERNEL_ID, RELAY_ID = 1000, 1001
#: The kernel reboots by executing the name that it was called by: this one, which ends with a code of its own.
AGAIN, EXIT_AGAIN = "/wadah/again", 77
#: linux/virtio_ids.h
_VIRTIO_FS = 26
#: linux/prctl.h, linux/capability.h
_PR_SET_KEEPCAPS, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _RAISE = 8, 24, 47, 2
_CAP_NET_RAW, _LAST_CAP, _CAP_VERSION = 13, 63, 0x20080522
#: What ends the container stands for what the kernel's end means (pid_namespaces(7)): restart, power off.
RESTART, POWER_OFF, LOST = 129, 130, 70
#: So long a kernel may seem to go on alone while it is ending, and between two looks.
ALONE_S, PAUSE_S = 2.0, 0.02


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Set(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def keep_only(capability: int | None, user: int) -> None:
    """This process becomes that user, for good, with this one capability, which what it executes has too."""
    libc = ctypes.CDLL(None, use_errno=True)
    for one in range(_LAST_CAP + 1):
        if one != capability:
            libc.prctl(_PR_CAPBSET_DROP, one, 0, 0, 0)
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    mask = 0 if capability is None else 1 << capability
    sets = (_Set * 2)(_Set(mask, mask, mask), _Set(0, 0, 0))
    if libc.capset(ctypes.byref(_Header(_CAP_VERSION, 0)), sets):
        raise OSError(ctypes.get_errno(), "capset")
    if capability is not None and libc.prctl(_PR_CAP_AMBIENT, _RAISE, capability, 0, 0):
        raise OSError(ctypes.get_errno(), "ambient capability")


def child(what: str, work: Callable[[], object]) -> int:
    """Its pid; it ends when the work has."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except BaseException as error:
        os.write(2, f"{what}: {error}\r\n".encode())
        os._exit(LOST)
    os._exit(0)


def _disk_server(listener: socket.socket) -> NoReturn:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.set_inheritable(listener.fileno(), True)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    words = [DISK_SERVER, f"--fd={listener.fileno()}", "--rlimit-nofile=0"]
    for option in (f"source={DISK}", "sandbox=chroot", "xattr", "posix_acl", "cache=auto"):
        words += ["-o", option]
    os.execv(DISK_SERVER, words)  # noqa: S606  # nosec B606


def _kernel(line: socket.socket, words: list[str]) -> NoReturn:
    keep_only(_CAP_NET_RAW, KERNEL_ID)
    os.set_inheritable(line.fileno(), True)
    more = ["con0=fd:0,fd:1", "con=null", f"ssl0=fd:{line.fileno()}", "ssl=null"]
    more += [f"virtio_uml.device={KERNEL_SOCKET}:{_VIRTIO_FS}"]
    os.execve(KERNEL, [AGAIN, *words, *more], {"TMPDIR": MEMORY, "HOME": MEMORY, "PATH": "/usr/bin:/bin"})  # noqa: S606  # nosec B606


def _listening(address: str) -> socket.socket:
    found = socket.socket(socket.AF_UNIX)
    found.bind(address)
    found.listen(64)
    return found


def main(config: dict[str, Any]) -> int:
    os.umask(0o022)
    init = Path("/run/init")
    init.write_text(config["init"])
    init.chmod(0o755)  # nosec B103 - the guest's first program
    server = _listening(DISK_SOCKET)
    kernel, clients = _listening(KERNEL_SOCKET), _listening(AGENT_ADDRESS)
    Path(KERNEL_SOCKET).chmod(0o666)  # nosec B103 - the kernel is another user, and nobody else is here
    to_server = socket.socket(socket.AF_UNIX)
    to_server.connect(DISK_SOCKET)
    inner, outer = socket.socketpair()
    orders, order = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def relay() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        inner.close()
        keep_only(None, RELAY_ID)
        Relay(kernel=kernel, server=to_server, line=outer, clients=clients, orders=orders).run()

    children = {
        child("disk server", lambda: _disk_server(server)): "disk server",
        child("relay", relay): "relay",
        child("kernel", lambda: _kernel(inner, config["kernel"])): "kernel",
    }
    signal.signal(signal.SIGTERM, lambda *_: os.write(order, b"!"))
    return _until_end(children)


def _until_end(children: Mapping[int, str]) -> int:
    """Exit code of all: what the kernel's end means. With it end the other two, which may be seen to end
    first; a kernel that goes on without them goes no further."""
    lost, until = "", math.inf
    while time.monotonic() < until:
        pid, status = os.waitpid(-1, 0 if not lost else os.WNOHANG)
        name = children.get(pid, "")
        if name == "kernel":
            return meaning(os.waitstatus_to_exitcode(status))
        if name and not lost:
            lost, until = name, time.monotonic() + ALONE_S
        elif not pid:
            time.sleep(PAUSE_S)
    sys.stdout.write(f"\r\nThe {lost} of this kernel ended, and it with it.\r\n")
    return LOST


def meaning(code: int) -> int:
    """Of the kernel's end, as the node has it: 134 is a panic (SIGABRT)."""
    return {0: POWER_OFF, EXIT_AGAIN: RESTART}.get(code, code if code >= 0 else 128 - code)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
