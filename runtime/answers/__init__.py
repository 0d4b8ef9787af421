"""Answers sysinfo(2), statfs(2) and fstatfs(2) for environments: with their own figures, not the machine's.

The kernel has no view of these for a container. The filter of system calls hands them to whoever holds its
listener (seccomp_unotify(2)): a process of the node, which looks up what the environment was given and uses,
and writes that where the caller wants his answer. Whatever it can't or needn't know of it leaves to the kernel,
whose answer is the machine's then. It is a display and no wall.

Two processes, since a caller waits until he is answered, and hears ENOSYS once nobody holds the listener any
more: the keeper (`keeper.py`) holds all of them and does nothing else, the answerer (`answerer.py`) works. When
that one ends, or hangs in what somebody inside made to hang, the keeper puts another in its place within
milliseconds, which begins by leaving to the kernel what the last one had begun.

Standard library only: it has to be small, as it outlives all other processes of the node.
"""

import socket
from pathlib import Path

#: Below the node's mounts.
SOCKET = "answers.sock"
NAMES = ("sysinfo", "statfs", "fstatfs")


def socket_below(mounts: Path) -> Path:
    return mounts / SOCKET


def is_there(mounts: Path) -> bool:
    """Whether there is who takes a listener."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as guest:
        return guest.connect_ex(str(socket_below(mounts))) == 0
