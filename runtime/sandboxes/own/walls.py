"""What stands between an own kernel and the host: what the host's kernel has of the process that it is."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runtime.host.processes import Identity
from runtime.sandboxes.base import Walls
from runtime.sandboxes.own.inside.launch import KERNEL
from runtime.sandboxes.own.tree import release
from runtime.sandboxes.shared.walls import walls_of


def walls_of_kernel(first: Identity) -> Walls | None:
    """None when it has ended; of the first process, as long as the kernel is no process yet."""
    found = walls_of(kernel_of(first) or first)
    return None if found is None else replace(found, kernel=f"{release()} (User-Mode Linux)")


def kernel_of(first: Identity) -> Identity | None:
    """Among the children of the container's first process."""
    with suppress(OSError):
        for word in Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split():
            with suppress(OSError):
                if Path(f"/proc/{word}/exe").readlink().name == Path(KERNEL).name:
                    return Identity.of(int(word))
    return None
