"""Which process is meant. A pid is a number that the kernel gives out again, and what a process is called,
what its command line says and parts of its control groups' names are whatever its owner likes.

So a process of ours is known by when it started, which the kernel says (proc_pid_stat(5)), or by being the
host's root's, which nobody inside an environment is. It is looked at and signalled through descriptors that
were opened before it was asked who it is: they go on meaning the same process.

Nothing here reads a file of /proc that is answered from a process's own memory, or leads into its own tree,
unless the process is root's: whoever serves that memory or tree himself (fuse(4)) would never need to answer.
Standard library only: the supervisor looks too.
"""

import os
import select
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: Descriptors opened at once while a group is ended.
_AT_ONCE = 256


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Held:
    """A process that is held by a descriptor: signals reach it or nobody."""

    def __init__(self, fd: int):
        self._fd = fd

    def fileno(self) -> int:
        """Readable when it has ended."""
        return self._fd

    def send(self, number: int) -> None:
        """A no-op when it has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, number)

    def ends_within(self, seconds: float) -> bool:
        """Waits so long for its end; whether it came."""
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        return bool(poller.poll(max(0.0, seconds) * 1000))


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, and never another one."""

    pid: int
    started: int
    """Clock ticks from the boot to its start."""
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """Of the process that has this pid now; None when there is none, or a zombie."""
        with suppress(OSError):
            return _identity(_read(f"/proc/{pid}/stat"), pid)
        return None

    @classmethod
    def parse(cls, text: str) -> "Identity | None":
        """From what `str` of it gave; None for anything else."""
        try:
            pid, started, boot = text.split()
            return cls(int(pid), int(started), boot)
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.pid} {self.started} {self.boot}"

    @property
    def lives(self) -> bool:
        return Identity.of(self.pid) == self

    @contextmanager
    def held(self) -> Iterator[Held]:
        """Raises ProcessLookupError when it has ended."""
        fd = os.pidfd_open(self.pid)
        try:
            if not self.lives:
                raise ProcessLookupError
            yield Held(fd)
        finally:
            os.close(fd)

    @contextmanager
    def directory(self) -> Iterator[int]:
        """A descriptor of its directory in /proc. Raises ProcessLookupError when it has ended."""
        with _directory(self.pid) as directory:
            if _identity(_read("stat", directory), self.pid) != self:
                raise ProcessLookupError
            yield directory

    def send(self, number: int) -> None:
        """A no-op when it has ended."""
        with suppress(ProcessLookupError), self.held() as held:
            held.send(number)


def roots(pid: int, program: str | None, *words: str) -> Identity | None:
    """The process of this pid, when it is the host's root's, its executable is called so (None: whatever it is)
    and its command line has these words; None otherwise."""
    with suppress(OSError), _directory(pid) as directory:
        if program is not None:
            executable = os.readlink("exe", dir_fd=directory).removesuffix(" (deleted)")
            if executable.rpartition("/")[2] != program:
                return None
        if not _is_roots(directory):
            return None
        said = _read("cmdline", directory).split(b"\0")
        if all(os.fsencode(word) in said for word in words):
            return _identity(_read("stat", directory), pid)
    return None


def every_root(program: str, *words: str) -> list[Identity]:
    """As `roots`, of all processes."""
    numbers = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]
    return [found for pid in numbers if (found := roots(pid, program, *words)) is not None]


def child(pid: int, parent: Identity) -> Identity | None:
    """The process of this pid, when `parent` is its parent; None otherwise. The kernel says who is."""
    with suppress(OSError):
        stat = _read(f"/proc/{pid}/stat")
        if int(_fields(stat)[1]) == parent.pid and parent.lives:
            return _identity(stat, pid)
    return None


def descendants(process: Identity) -> list[Identity]:
    """Its children and theirs, as they are now, nearest first."""
    found = [process]
    for one in found:
        with suppress(OSError), one.directory() as directory:
            text = _read(f"task/{one.pid}/children", directory).decode()
            found += [known for pid in text.split() if (known := child(int(pid), one)) is not None]
    return found[1:]


def kill_members(members: Callable[[], Collection[int]], chosen: Collection[int] | None = None) -> None:
    """Kills the processes that `members` names, or those of them that are `chosen`.

    Each by a descriptor that was opened before the names were asked for once more: a number that was given out
    again meanwhile, to whomever, is no member's.
    """
    wanted = sorted(members() if chosen is None else chosen)
    for start in range(0, len(wanted), _AT_ONCE):
        with ExitStack() as undo:
            descriptors = {}
            for pid in wanted[start : start + _AT_ONCE]:
                with suppress(OSError):
                    descriptors[pid] = os.pidfd_open(pid)
                    undo.callback(os.close, descriptors[pid])
            for pid in descriptors.keys() & set(members()):
                Held(descriptors[pid]).send(signal.SIGKILL)


@contextmanager
def _directory(pid: int) -> Iterator[int]:
    directory = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield directory
    finally:
        os.close(directory)


def _read(path: str, directory: int | None = None) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        parts = [os.read(fd, 65_536)]
        while parts[-1]:
            parts.append(os.read(fd, 65_536))
        return b"".join(parts)
    finally:
        os.close(fd)


def _fields(stat: bytes) -> list[bytes]:
    """From `state` on: what is before it holds a name that may look like anything."""
    return stat.rpartition(b")")[2].split()


def _identity(stat: bytes, pid: int) -> Identity | None:
    fields = _fields(stat)
    return None if fields[0] in b"ZX" else Identity(pid, int(fields[19]), _boot())


def _is_roots(directory: int) -> bool:
    for line in _read("status", directory).splitlines():
        if line.startswith(b"Uid:"):
            return set(line.split()[1:]) == {b"0"}
    return False
