"""The order of a node's reports: a clock that never goes back, whatever is done to the wall clock.

Within a boot it is CLOCK_BOOTTIME (clock_gettime(2)), which nobody can set, on top of a base that all
processes of the node share by a file. A new boot's base lies above everything that was given out before,
since a day is reserved on the disk ahead of use.
"""

import time
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ValidationError

from runtime.files import exclusive, replace_file
from runtime.node import Node

_RESERVE_NS = 24 * 3600 * 10**9
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class _Base(BaseModel):
    boot: str
    base_ns: int
    reserved_ns: int
    """No number above this was given out."""


_known: dict[Path, _Base] = {}


def sequence(node: Node) -> int:
    """A number greater than any that a process of this node got before; near the wall clock's nanoseconds."""
    since_boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    base = _known.get(node.home)
    if base is None or base.base_ns + since_boot >= base.reserved_ns:
        base = _known[node.home] = _reserve(node, since_boot)
    return base.base_ns + since_boot


def boot_id() -> str:
    """Of the machine's start that this is."""
    return _BOOT_ID.read_text().strip()


def _reserve(node: Node, since_boot: int) -> _Base:
    file = node.root / "clock.json"
    boot = boot_id()
    with exclusive(node, "clock"):
        base: _Base | None = None
        with suppress(OSError, ValidationError):
            base = _Base.model_validate_json(file.read_bytes())
        if base is None or base.boot != boot:
            first = max(time.time_ns(), base.reserved_ns if base else 0)
            base = _Base(boot=boot, base_ns=first - since_boot, reserved_ns=0)
        if base.base_ns + since_boot + _RESERVE_NS // 2 > base.reserved_ns:
            base.reserved_ns = base.base_ns + since_boot + _RESERVE_NS
            with suppress(OSError):  # a full disk: the order holds until the next boot all the same
                replace_file(file, base.model_dump_json(), durable=True)
    return base
