"""The kernel's log (/dev/kmsg, ABI/testing/dev-kmsg): which process was killed for lack of memory.

A group's counters say that one was; only the log says which.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

#: A record is at most so long (PRINTKRB_RECORD_MAX and its dictionary).
_RECORD_BYTES = 8192
#: mm/oom_kill.c, dump_oom_victim(). The name is the tenant's: it may hold commas, and looks like anything.
_VICTIM = re.compile(r";oom-kill:.*?,task_memcg=(?P<group>/\S*?),task=(?P<name>.*),pid=(?P<pid>\d+),uid=\d+$")


@dataclass(frozen=True, slots=True)
class Victim:
    group: str
    """Its memory control group, from the top."""
    name: str
    pid: int

    def environment_of(self, top: str) -> UUID | None:
        """The environment below the top group `top` (`TOP/<tenant>/<environment>`); None: it isn't of one."""
        parts = self.group.strip("/").split("/")
        try:
            return UUID(parts[2]) if parts[0] == top else None
        except (IndexError, ValueError):
            return None


def victim_in(record: str) -> Victim | None:
    """The process that this record names as killed; None for any other record."""
    found = _VICTIM.search(record.splitlines()[0] if record else "")
    if found is None:
        return None
    return Victim(found["group"], found["name"], int(found["pid"]))


class KernelLog:
    """What the kernel says from now on. `fd` is readable when there is something; a context manager."""

    def __init__(self, path: Path = Path("/dev/kmsg")):
        """Raises OSError where the log can't be read (no CAP_SYSLOG, no such device)."""
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self.fd, 0, os.SEEK_END)

    def __enter__(self) -> "KernelLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def records(self) -> Iterator[str]:
        """Never waits. What was overwritten before it was read is skipped (EPIPE)."""
        while True:
            try:
                yield os.read(self.fd, _RECORD_BYTES).decode(errors="replace")
            except BlockingIOError:
                return
            except BrokenPipeError:
                continue
