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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from uuid import UUID

from runtime.contract import AttachedVolume
from runtime.contract.said import Said
from runtime.contract.words import volumes as words
from runtime.errors import RuntimeFault
from runtime.host import libc
from runtime.host.safetree import SafeTree, open_directory
from runtime.node import Node
from runtime.storage.mounted import read_list, top_of
from runtime.storage.volumes import Volumes


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Descriptors of two that the first process of an environment has."""

    mounts: int
    users: int


def attach(node: Node, environment_id: UUID, inside: Namespaces, wanted: Iterable[AttachedVolume]) -> None:
    """Makes the directories that aren't there. Raises `RuntimeFault`; what was attached by then stays."""
    volumes = list(wanted)
    with SafeTree.open(node.root_volume(environment_id)) as tree:
        for one in volumes:
            _make_place(tree, one.path)
    _in_thread(lambda undo: _Placing(node, environment_id, inside, undo).attach(volumes), words.not_attached)


def root_of(environment_id: UUID) -> str:
    """Its disk, within the pool."""
    return f"/environments/{environment_id}/root"


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
        flags = libc.OPEN_TREE_CLONE | libc.OPEN_TREE_CLOEXEC
        with self._inside() as top:
            try:
                tree = self._keep(libc.open_tree(top, flags))
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                # below it lies what the kernel holds in place, as a jail's base: together with all that, then
                tree = self._keep(libc.open_tree(top, flags | libc.AT_RECURSIVE))
        place = self.node.mounts / "roots"
        libc.move_mount(tree, str(place))
        if not self._is_its_root(f"{place}"):
            raise RuntimeFault(words.root_is_private(), code="root_is_private", next_step=words.restart_it())
        return self._keep(os.open(place, os.O_PATH | os.O_CLOEXEC))

    def _is_its_root(self, place: str) -> bool:
        """What somebody mounted above it inside isn't, and one that was made private leads nowhere."""
        for line in reversed(read_list(self._proc)[0].splitlines()):
            fields, _, rest = line.partition(" - ")
            words_of = fields.split(" ")
            if words_of[4] == place:
                is_shared = any(one.startswith("shared:") for one in words_of[6:])
                return is_shared and rest.startswith("btrfs ") and words_of[3] == self._root
        return False

    @property
    def _root(self) -> str:
        return root_of(self.environment_id)

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
        up in."""
        return top_of(self._proc, top, read_list(self._proc)[0].splitlines()) == self._root
