"""What is mounted inside an environment, as the kernel's own lists have it. Nothing of theirs is looked up.

The namespace and the first process are both asked: that one may have moved its root, so that it sees less, and
something may have been mounted above the namespace's, so that this hides the rest. A list is read to a length
that an honest environment stays far below: for the 100,000 mounts that somebody may make, each with a long
name, the kernel needs most of a minute.
"""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from uuid import UUID

from runtime.contract import AttachedVolume
from runtime.host import libc
from runtime.host.processes import Identity

#: Of the list of one namespace; of those that processes of an environment have beside its own, together.
MOST_BYTES, _MOST_BYTES_ELSEWHERE = 4 * 2**20, 8 * 2**20
#: In which a holder is looked for; of each so many descriptors.
_MOST_PROCESSES, _MOST_DESCRIPTORS = 500, 1000
_PIECE_BYTES = 64 * 2**10


@dataclass(frozen=True, slots=True)
class Mounted:
    """A mount in an environment that shows a volume, or a part of it."""

    mount: int
    """Number of the mount in the kernel."""
    volume_id: UUID
    point: str
    """As the environment sees it."""
    read_only: bool
    is_whole: bool
    """It shows the volume from its top."""

    def is_as(self, one: AttachedVolume) -> bool:
        wanted = (one.volume_id, one.path, one.read_only)
        return self.is_whole and (self.volume_id, self.point, self.read_only) == wanted


@dataclass(frozen=True)
class Mounts:
    """Of one mount namespace."""

    lines: tuple[str, ...] = ()
    """Of proc_pid_mountinfo(5), each mount once."""
    is_all: bool = True
    """False where there is more than is read."""
    top: str = ""
    """What of the pool is at `/` for who enters the namespace; empty where that is something else."""
    volumes: tuple[Mounted, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "volumes", tuple(_volumes_in(self.lines)))

    def covering(self, path: str) -> str | None:
        """Where something is mounted that hides this path from who looks for it there, or stands in its place;
        None when nothing does."""
        points = {_plain(line.split(" ")[4]) for line in self.lines}
        for place in (PurePosixPath(path), *PurePosixPath(path).parents):
            if str(place) != "/" and str(place) in points:
                return str(place)
        return None


def mounts_of(process: Identity, most_bytes: int = MOST_BYTES) -> Mounts:
    """Of the namespace that this process has; none when it has ended."""
    with suppress(OSError), process.directory() as directory:
        namespace = os.open("ns/mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        try:
            within = _InThread(namespace, most_bytes).told()
        finally:
            os.close(namespace)
        own, is_all = read_list(directory, most_bytes)
        of_both = {line.split(" ", 1)[0]: line for line in (*own.splitlines(), *within.lines)}
        return Mounts(tuple(of_both.values()), is_all and within.is_all, within.top)
    return Mounts()


def read_list(directory: int, most_bytes: int = MOST_BYTES) -> tuple[str, bool]:
    """The list of mounts of a process by its directory in /proc, and whether that is all of it."""
    descriptor = os.open("mountinfo", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        parts, size = list[bytes](), 0
        while size < most_bytes and (piece := file.read(_PIECE_BYTES)):
            parts.append(piece)
            size += len(piece)
    text = b"".join(parts).decode(errors="surrogateescape")
    if size < most_bytes:
        return text, True
    return text.rpartition("\n")[0], False


def top_of(directory: int, root: int, lines: Iterable[str]) -> str:
    """What of the pool a descriptor of `/` is, by these lines of its namespace; empty where it is none of it.
    Asked of the kernel's lists, not of the root. `directory`: the thread's own in /proc."""
    info = os.open(f"fdinfo/{root}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    with os.fdopen(info) as file:
        number = next(line.split()[1] for line in file if line.startswith("mnt_id:"))
    for line in lines:
        fields, _, rest = line.partition(" - ")
        if fields.split(" ")[0] == number:
            return fields.split(" ")[3] if rest.startswith("btrfs ") else ""
    return ""


class _InThread:
    """A thread that enters a mount namespace to read its list, and ends there."""

    def __init__(self, namespace: int, most_bytes: int):
        self._namespace, self._most_bytes = namespace, most_bytes
        self._said: Mounts | OSError = Mounts()

    def told(self) -> Mounts:
        thread = threading.Thread(target=self._work, name="mounts")
        thread.start()
        thread.join()
        if isinstance(self._said, OSError):
            raise self._said
        return self._said

    def _work(self) -> None:
        own: list[int] = []
        try:
            own.append(os.open("/proc/thread-self", os.O_PATH | os.O_CLOEXEC))
            libc.unshare(libc.CLONE_FS)
            libc.setns(self._namespace, libc.CLONE_NEWNS)
            own.append(os.open("/", os.O_PATH | os.O_CLOEXEC))
            text, is_all = read_list(own[0], self._most_bytes)
            lines = tuple(text.splitlines())
            self._said = Mounts(lines, is_all, top_of(own[0], own[1], lines))
        except OSError as error:
            self._said = error
        finally:
            for one in own:
                os.close(one)


def _volumes_in(lines: Iterable[str]) -> Iterator[Mounted]:
    for line in lines:
        fields, _, rest = line.partition(" - ")
        if not rest.startswith("btrfs "):  # whatever its path, it is none of the pool: nobody inside mounts one
            continue
        number, _parent, _device, root, point, options = fields.split(" ")[:6]
        parts = root.removesuffix("//deleted").split("/")
        if parts[1:2] != ["volumes"] or len(parts) < 3:
            continue
        with suppress(ValueError):
            volume = UUID(parts[2])
            is_read_only = "ro" in options.split(",")
            yield Mounted(int(number), volume, _plain(point), is_read_only, is_whole=len(parts) == 3)


def _plain(point: str) -> str:
    for escaped, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(escaped, letter)
    return point


def holder(processes: Iterable[int], one: Mounted) -> str | None:
    """What a process is called that has something open on this mount, or stands there; None when none was
    found among the first of them. Links and numbers of /proc alone."""
    for pid in islice(processes, _MOST_PROCESSES):
        with suppress(OSError):
            if _holds(Path("/proc") / str(pid), one):
                return _name(pid)
    return None


def _holds(process: Path, one: Mounted) -> bool:
    for name in ("cwd", "root"):
        with suppress(OSError):
            where = str((process / name).readlink())
            if where == one.point or where.startswith(f"{one.point}/"):
                return True
    wanted = f"mnt_id:\t{one.mount}\n"
    with os.scandir(process / "fdinfo") as entries:
        for entry in islice(entries, _MOST_DESCRIPTORS):
            with suppress(OSError):
                if wanted in Path(entry.path).read_text():
                    return True
    return False


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where a process with a mount namespace of its own has a volume mounted."""

    process: str
    point: str
    """Empty: so much is mounted there that it can't be told."""


def elsewhere(processes: Iterable[int], first: Identity, volumes: Iterable[UUID]) -> Elsewhere | None:
    """None when it is nowhere but in the namespace of the first process."""
    seen, left, wanted = {_namespace(first.pid)}, _MOST_BYTES_ELSEWHERE, frozenset(volumes)
    for pid in processes:
        namespace = _namespace(pid)
        if namespace in seen:
            continue
        seen.add(namespace)
        identity = Identity.of(pid)
        there = mounts_of(identity, left) if identity is not None else Mounts()
        for one in there.volumes:
            if one.volume_id in wanted:
                return Elsewhere(_name(pid), one.point)
        left -= sum(map(len, there.lines))
        if not there.is_all or left <= 0:
            return Elsewhere(_name(pid), "")
    return None


def _namespace(pid: int) -> str:
    with suppress(OSError):
        return str(Path(f"/proc/{pid}/ns/mnt").readlink())
    return ""


def _name(pid: int) -> str:
    """Whatever its owner calls it, in letters that are seen."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/comm").read_bytes().decode(errors="replace")
        return "".join(one for one in text if one.isprintable()) or "?"
    return "?"
