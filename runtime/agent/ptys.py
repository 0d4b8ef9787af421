"""Keeps one environment from holding the terminals of all.

The kernel has one number of them for the whole machine (kernel.pty.max, less what is reserved for the host)
and no limit of a group's or a user's: `max=256` of an environment's own devpts says nothing of one that root
inside mounts anew. So when half of all are taken, processes of who holds more than its share are ended, those
with the most first. Terminals that wait in a socket on their way to somebody aren't seen.
"""

from contextlib import suppress
from functools import partial
from pathlib import Path
from uuid import UUID

import structlog

from runtime.host.processes import kill_members
from runtime.known import known_environments
from runtime.node import Node
from runtime.sandboxes import sandbox_of

log = structlog.get_logger()

#: What an environment's own devpts gives it, see `oci/config.py`, and as many again.
SHARE = 512
_SYSCTL = Path("/proc/sys/kernel/pty")


def are_short() -> bool:
    """Whether more than half of what environments may have together is taken."""
    most, reserved, taken = (int((_SYSCTL / name).read_text()) for name in ("max", "reserve", "nr"))
    return taken > (most - reserved) // 2


def relieve(node: Node, *, share: int = SHARE) -> dict[UUID, int]:
    """Ends processes of each environment that holds more than its share, until it doesn't; how many of whom."""
    ended = {}
    sandbox = sandbox_of(node)
    for environment_id in known_environments(node):
        members = sandbox.members(environment_id)
        held = {pid: count for pid in members if (count := held_by(pid))}
        total, chosen = sum(held.values()), set[int]()
        for pid, count in sorted(held.items(), key=lambda one: -one[1]):
            if total <= share:
                break
            chosen.add(pid)
            total -= count
        if chosen:
            log.warning("it held terminals of others", environment=str(environment_id), ended=len(chosen))
            kill_members(partial(sandbox.members, environment_id), chosen)
            ended[environment_id] = len(chosen)
    return ended


def held_by(pid: int) -> int:
    """Masters of terminals that a process has open, by what the kernel says of each of its descriptors."""
    found = 0
    with suppress(OSError):
        for told in Path(f"/proc/{pid}/fdinfo").iterdir():
            with suppress(OSError):
                found += b"tty-index:" in told.read_bytes()
    return found
