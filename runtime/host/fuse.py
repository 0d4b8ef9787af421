"""File systems that environments serve themselves (fuse(4)), from outside: whose they are, and their end.

Who waits for an answer of one can't be killed once the question is with the one that should answer. Where both
are threads of one process, or share its descriptors, neither ends: the kernel closes the device only after the
last of them. Only the kernel's control file system (Documentation/filesystems/fuse.rst, `abort`) ends that.
"""

import os
from contextlib import suppress
from pathlib import Path

from runtime.host import libc, mounts
from runtime.node import IDS_PER_SLOT, Node

#: Where in the kernel a thread is that waits for an answer (proc_pid_wchan(5)).
WAITS_IN = "request_wait_answer"


def keep(node: Node) -> bool:
    """Mounts the control file system in the node's mount namespace; False when it is there, or the kernel has
    no FUSE, and so nobody inside has a file system of his own."""
    if mounts.is_mounted(node.fuse):
        return False
    try:
        node.fuse.mkdir(mode=0o700, exist_ok=True)
        flags = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC
        libc.mount("wadah", str(node.fuse), "fusectl", flags)
    except OSError:
        return False
    return True


def abort(node: Node, first_uid: int) -> int:
    """Ends every file system that is served by an environment whose ids begin here; how many there were.

    A connection's directory belongs to the user that it was mounted for, which is one of the mounter's own user
    namespace: none outside the environment's range. Who waits for an answer gets an error instead.
    """
    keep(node)
    ended = 0
    with suppress(FileNotFoundError):
        for entry in os.scandir(node.fuse):
            with suppress(OSError):
                owner = entry.stat(follow_symlinks=False).st_uid
                if first_uid <= owner < first_uid + IDS_PER_SLOT:
                    Path(entry.path, "abort").write_text("1")
                    ended += 1
    return ended
