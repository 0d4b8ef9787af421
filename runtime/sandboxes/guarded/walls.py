"""What stands between a guarded kernel and the host: what the host's kernel has of the process that is that
kernel, which is what somebody would be who broke out of it."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runtime.host.processes import Identity
from runtime.sandboxes.base import Walls
from runtime.sandboxes.guarded.tree import version
from runtime.sandboxes.shared.walls import walls_of

#: As gVisor calls the process that is its kernel.
_CALLED = "runsc-sandbox"


def walls_of_guarded(first: Identity, members: Iterable[int]) -> Walls | None:
    """None when it has ended; of the first process, as long as the kernel is no process yet."""
    found = walls_of(_kernel_among(members) or first)
    return None if found is None else replace(found, kernel=f"{version()} (gVisor)")


def _kernel_among(members: Iterable[int]) -> Identity | None:
    for pid in members:
        with suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(_CALLED.encode()):
                return Identity.of(pid)
    return None
