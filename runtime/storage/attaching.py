"""Volumes in an environment that is made or runs: shown in its mount namespace, and taken out of it.

A volume reaches an environment by propagation: it is mounted on a peer of the environment's root, in a
namespace of a thread of ours. So no path is resolved through what is mounted inside, which its owner may serve
himself and never answer, and the kernel keeps the flags of the mount: what is read-only stays so, whoever
remounts it (mount_namespaces(7)).
"""

import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from uuid import UUID

from runtime.contract import AttachedVolume
from runtime.contract.said import Said
from runtime.contract.words import volumes as words
from runtime.errors import RuntimeFault
from runtime.host import libc
from runtime.host.processes import Identity
from runtime.host.safetree import SafeTree, open_directory
from runtime.node import Node
from runtime.storage.volumes import Volumes

#: In which a holder is looked for; of each so many descriptors.
_MOST_PROCESSES, _MOST_DESCRIPTORS = 500, 1000


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Descriptors of two that the first process of an environment has."""

    mounts: int
    users: int


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


def mounted(process: Identity) -> list[Mounted]:
    """Those in the mount namespace of this process (proc_pid_mountinfo(5)); none when it has ended."""
    with suppress(OSError), process.directory() as directory:
        return list(_volumes_in(_read(directory, "mountinfo").splitlines()))
    return []


def covering(process: Identity, path: str) -> str | None:
    """Where something is mounted inside that hides this path from who looks for it there, or stands in its
    place; None when nothing does."""
    with suppress(OSError), process.directory() as directory:
        points = {_plain(line.split(" ")[4]) for line in _read(directory, "mountinfo").splitlines()}
        for place in (PurePosixPath(path), *PurePosixPath(path).parents):
            if str(place) != "/" and str(place) in points:
                return str(place)
    return None


def _read(directory: int, name: str) -> str:
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    with os.fdopen(descriptor, errors="surrogateescape") as file:
        return file.read()


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


def attach(node: Node, environment_id: UUID, inside: Namespaces, wanted: Iterable[AttachedVolume]) -> None:
    """Makes the directories that aren't there. Raises `RuntimeFault`; what was attached by then stays."""
    volumes = list(wanted)
    with SafeTree.open(node.root_volume(environment_id)) as tree:
        for one in volumes:
            _make_place(tree, one.path)
    _in_thread(lambda undo: _Placing(node, environment_id, inside, undo).attach(volumes), words.not_attached)


def _make_place(tree: SafeTree, path: str) -> None:
    try:
        for parent in [*reversed(PurePosixPath(path).parents), PurePosixPath(path)][1:]:
            tree.make_directory(str(parent))
    except RuntimeFault as fault:
        if fault.code != "unsafe_path":
            raise
        raise no_place(path) from fault


def no_place(path: str) -> RuntimeFault:
    return RuntimeFault(words.no_place(path), code="no_place", next_step=words.choose_another_place())


def detach(node: Node, environment_id: UUID, inside: Namespaces, path: str) -> bool:
    """What is mounted there is no more; False when something holds it. Raises `RuntimeFault`."""
    done: list[bool] = []

    def act(undo: ExitStack) -> None:
        done.append(_Placing(node, environment_id, inside, undo).detach(path))

    _in_thread(act, words.not_detached)
    return done[0]


def _in_thread(act: Callable[[ExitStack], None], say: Callable[[str], Said]) -> None:
    """By a thread whose mount namespace goes with it: nothing is left, however it ends."""
    fault: list[BaseException] = []

    def work() -> None:
        try:
            with ExitStack() as undo:
                act(undo)
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=work, name="volumes")
    thread.start()
    thread.join()
    for error in fault:
        if isinstance(error, OSError):
            raise RuntimeFault(say(str(error.strerror)), code="volume_failed") from error
        raise error


class _Placing:
    """One thread's work: between its own mount namespace and that of the environment."""

    def __init__(self, node: Node, environment_id: UUID, inside: Namespaces, undo: ExitStack):
        self.node, self.environment_id, self._theirs, self._undo = node, environment_id, inside, undo
        libc.unshare(libc.CLONE_NEWNS)  # and the view of the file system that goes with it
        self._own = self._keep(os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC))
        self._proc = self._keep(os.open("/proc/thread-self", os.O_PATH | os.O_CLOEXEC))

    def _keep(self, descriptor: int) -> int:
        self._undo.callback(os.close, descriptor)
        return descriptor

    @contextmanager
    def _inside(self) -> Iterator[int]:
        """A descriptor of the environment's root, while this thread is in its mount namespace: only to name
        it, nothing is looked up there."""
        libc.setns(self._theirs.mounts, libc.CLONE_NEWNS)
        try:
            yield self._keep(os.open("/", os.O_PATH | os.O_CLOEXEC))
        finally:
            libc.setns(self._own, libc.CLONE_NEWNS)

    def _peer(self) -> int:
        """A mount of the environment's root alone, without what is mounted below it, in this thread's own
        namespace; what is mounted on that shows inside. Its descriptor."""
        with self._inside() as top:
            tree = self._keep(libc.open_tree(top, libc.OPEN_TREE_CLONE | libc.OPEN_TREE_CLOEXEC))
        place = self.node.mounts / "roots"
        libc.move_mount(tree, str(place))
        if not self._is_its_root(f"{place}"):
            raise RuntimeFault(words.root_is_private(), code="root_is_private", next_step=words.restart_it())
        return self._keep(os.open(place, os.O_PATH | os.O_CLOEXEC))

    def _is_its_root(self, place: str) -> bool:
        """What somebody mounted above it inside isn't, and one that was made private leads nowhere."""
        for line in reversed(_read(self._proc, "mountinfo").splitlines()):
            fields, _, rest = line.partition(" - ")
            words_of = fields.split(" ")
            if words_of[4] == place:
                is_shared = any(one.startswith("shared:") for one in words_of[6:])
                return is_shared and rest.startswith("btrfs ") and words_of[3] == self._root
        return False

    @property
    def _root(self) -> str:
        return f"/environments/{self.environment_id}/root"

    def attach(self, wanted: Iterable[AttachedVolume]) -> None:
        top, volumes = self._peer(), Volumes(self.node)
        for one in wanted:
            tree = self._keep(
                libc.open_tree(str(volumes.path(one.volume_id)), libc.OPEN_TREE_CLONE | libc.OPEN_TREE_CLOEXEC)
            )
            flags = libc.MOUNT_ATTR_IDMAP | libc.MOUNT_ATTR_NODEV | libc.MOUNT_ATTR_NOSUID
            flags |= libc.MOUNT_ATTR_RDONLY if one.read_only else 0
            libc.mount_setattr(
                tree,
                libc.MountAttr(attr_set=flags, attr_clr=libc.MOUNT_ATTR_NOEXEC, userns_fd=self._theirs.users),
            )
            try:
                place = self._keep(open_directory(top, one.path.lstrip("/"), beneath_mounts=True))
            except OSError as odd:
                raise no_place(one.path) from odd
            libc.move_mount(tree, place)

    def detach(self, path: str) -> bool:
        parent, _, name = path.lstrip("/").rpartition("/")
        with self._inside() as top:
            if not self._is_on_its_disk(top):
                raise RuntimeFault(
                    words.root_is_private(), code="root_is_private", next_step=words.restart_it()
                )
            try:
                place = self._keep(open_directory(top, parent or ".", beneath_mounts=True))
            except OSError as odd:
                raise no_place(path) from odd
            os.fchdir(place)
            try:
                libc.umount(name, libc.UMOUNT_NOFOLLOW)
            except OSError as error:
                if error.errno == errno.EBUSY:
                    return False
                if error.errno not in (errno.EINVAL, errno.ENOENT):  # it isn't mounted any more
                    raise
        return True

    def _is_on_its_disk(self, top: int) -> bool:
        """Whether the root that somebody inside sees lies on the environment's own disk: nothing else is looked
        up in. Asked of the kernel's tables, not of the root."""
        info = self._keep(os.open(f"fdinfo/{top}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc))
        number = next(
            line.split()[1] for line in os.read(info, 4096).decode().splitlines() if line.startswith("mnt_id:")
        )
        for line in _read(self._proc, "mountinfo").splitlines():
            fields, _, rest = line.partition(" - ")
            if fields.split(" ")[0] == number:
                return rest.startswith("btrfs ") and fields.split(" ")[3] == self._root
        return False


def holder(processes: Iterable[int], one: Mounted) -> str | None:
    """What a process is called that has something open on this mount, or stands there; None when none was
    found among the first of them. Nothing of theirs is looked up: links and numbers of /proc alone."""
    for pid in list(processes)[:_MOST_PROCESSES]:
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
    for entry in list(os.scandir(process / "fdinfo"))[:_MOST_DESCRIPTORS]:
        with suppress(OSError):
            if wanted in Path(entry.path).read_text():
                return True
    return False


def elsewhere(processes: Iterable[int], first: Identity, volume_id: UUID) -> tuple[str, str] | None:
    """A process with a mount namespace of its own in which the volume is still mounted, and where; None when
    there is none."""
    seen = {_namespace(first.pid)}
    for pid in list(processes)[:_MOST_PROCESSES]:
        namespace = _namespace(pid)
        if namespace in seen:
            continue
        seen.add(namespace)
        identity = Identity.of(pid)
        for one in mounted(identity) if identity is not None else ():
            if one.volume_id == volume_id:
                return _name(pid), one.point
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
