"""A mount namespace that no process has to stay in: it lives by a file that it is bound to."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from runtime.host import libc


def pin_new(file: Path) -> None:
    """Makes one, a copy of this process's own from which nothing spreads any more, and binds it to `file`.

    The kernel binds only a namespace with a higher number than that of who asks (mount_namespaces(7)). From
    Linux 6.18 on each processor has numbers of its own, so a namespace that is made later may have a lower one.
    Made on the processor on which ours was made it has a higher one; which that was nobody tells, so all are
    tried. Raises `OSError`.
    """
    for processor in (None, *range(os.cpu_count() or 1)):
        try:
            _pin(file, processor)
        except OSError as refused:
            if refused.errno != errno.EINVAL:
                raise
            why = refused
        else:
            return
    raise why


def _pin(file: Path, processor: int | None) -> None:
    """By a child that makes it, on this processor, and stays until it is bound."""
    ready_read, ready_write = os.pipe()
    hold_read, hold_write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(ready_read)
            os.close(hold_write)
            if processor is not None:
                with suppress(OSError):  # not one of those that we may run on
                    os.sched_setaffinity(0, {processor})
            libc.unshare(libc.CLONE_NEWNS)
            libc.mount("", "/", "", libc.MS_REC | libc.MS_PRIVATE)
            os.write(ready_write, b"1")
            os.read(hold_read, 1)
            status = 0
        finally:
            os._exit(status)
    os.close(ready_write)
    os.close(hold_read)
    try:
        if os.read(ready_read, 1) != b"1":
            raise OSError(errno.EPERM, "unshare of a mount namespace")
        libc.mount(f"/proc/{child}/ns/mnt", str(file), "", libc.MS_BIND)
    finally:
        os.close(ready_read)
        os.close(hold_write)
        os.waitpid(child, 0)
