"""Whose turn it is where the kernel shares processors among sessions (sched(7), autogroup): a nice value counts
within a session alone there, and each session has one of its own.

All environments together are one group beside these sessions. A fork bomb among them took up to 180 ms at a
stretch from a session of the same weight that had asked for little.
"""

import os
from contextlib import suppress

#: What answers people: four times the weight of all environments together. More isn't given to what a tenant
#: can keep busy: it would take from the environments of others.
ANSWERS = -6
#: What begins a command inside, of which each environment and tenant has a share: nine times.
BEGINS = -10


def put_first(pid: int, nice: int) -> None:
    """The session of this process. A no-op on a kernel without autogroups, where it has a control group for
    processors, and for who has no right to it."""
    with suppress(OSError):
        descriptor = os.open(f"/proc/{pid}/autogroup", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, str(nice).encode())
        finally:
            os.close(descriptor)
