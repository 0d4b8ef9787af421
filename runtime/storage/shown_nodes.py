"""Nodes of devices in the /dev of an environment that is made or runs: shown there, and taken away again.

What is mounted inside may be a file system that its owner serves himself and never answers. So mounts are told
apart by the kernel's own lists before anything is looked up in one.
"""

import os
import stat
import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from uuid import UUID

from runtime.contract.words import devices as words
from runtime.errors import RuntimeFault
from runtime.host import libc
from runtime.host.safetree import open_directory
from runtime.storage.attaching import root_of
from runtime.storage.mounted import read_list, top_of

#: Mounts that somebody inside put above one of ours.
_MOST_ABOVE = 64


def shown_in(lines: Iterable[str], place: Path) -> dict[str, str]:
    """Of a list of mounts (proc_pid_mountinfo(5)) those of nodes that lie in `place`: where, and which."""
    seen = place.parent.stat().st_dev
    device, above = f"{os.major(seen)}:{os.minor(seen)}", f"/{place.name}/"
    found = {}
    for line in lines:
        fields = line.split(" ", 5)
        if fields[2] == device and fields[3].startswith(above):
            found[fields[4]] = fields[3].removeprefix(above).removesuffix("//deleted")
    return found


def change(
    environment_id: UUID, namespace: int, first_uid: int, *, hidden: Iterable[str], shown: Mapping[str, Path]
) -> None:
    """By paths inside: those that go, and the node that each of those that come is. `namespace`: its mount
    namespace. Raises `RuntimeFault`; what came by then stays."""
    fault: list[BaseException] = []

    def work() -> None:
        try:
            with ExitStack() as undo:
                trees = {path: _tree(node, undo) for path, node in shown.items()}
                inside = _Inside(environment_id, namespace, first_uid, undo)
                for path in hidden:
                    inside.hide(path.removeprefix("/dev/"))
                for path, tree in trees.items():
                    inside.show(path.removeprefix("/dev/"), tree)
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=work, name="devices")
    thread.start()
    thread.join()
    for error in fault:
        if isinstance(error, OSError):
            raise RuntimeFault(words.not_shown(str(error.strerror)), code="device_failed") from error
        raise error


def _tree(node: Path, undo: ExitStack) -> int:
    """A mount of this node alone, whose mode and owner nobody inside changes: to them it is nobody's."""
    tree = libc.open_tree(str(node), libc.OPEN_TREE_CLONE | libc.OPEN_TREE_CLOEXEC)
    undo.callback(os.close, tree)
    kept = libc.MOUNT_ATTR_RDONLY | libc.MOUNT_ATTR_NOSUID | libc.MOUNT_ATTR_NOEXEC
    libc.mount_setattr(tree, libc.MountAttr(attr_set=kept, attr_clr=libc.MOUNT_ATTR_NODEV))
    return tree


class _Inside:
    """One thread in the mount namespace of an environment, as root of that: what it makes there is theirs."""

    def __init__(self, environment_id: UUID, namespace: int, first_uid: int, undo: ExitStack):
        self._undo = undo
        self._proc = self._keep(os.open("/proc/thread-self", os.O_PATH | os.O_CLOEXEC))
        libc.unshare(libc.CLONE_FS)
        libc.setns(namespace, libc.CLONE_NEWNS)
        top = self._keep(os.open("/", os.O_PATH | os.O_CLOEXEC))
        lines = read_list(self._proc)[0].splitlines()
        if top_of(self._proc, top, lines) != root_of(environment_id):
            raise _other_dev()
        self._dev = self._keep(open_directory(top, "dev"))
        self._mount = self._mount_of(self._dev)
        if not any(line.split(" ", 1)[0] == self._mount and " - tmpfs " in line for line in lines):
            raise _other_dev()
        libc.act_as(first_uid)

    def _keep(self, descriptor: int) -> int:
        self._undo.callback(os.close, descriptor)
        return descriptor

    def _mount_of(self, descriptor: int) -> str:
        info = os.open(f"fdinfo/{descriptor}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        with os.fdopen(info) as file:
            return next(line.split()[1] for line in file if line.startswith("mnt_id:"))

    def show(self, name: str, tree: int) -> None:
        with suppress(FileExistsError):
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o600, dir_fd=self._dev))
        place = self._keep(os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._dev))
        if self._mount_of(place) != self._mount or not _is_empty_file(place):
            raise RuntimeFault(words.no_place(f"/dev/{name}"), code="no_place", next_step=words.make_room())
        libc.move_mount(tree, place)

    def hide(self, name: str) -> None:
        """Also one that somebody inside holds open: who has it open goes on having it."""
        os.fchdir(self._dev)
        with suppress(OSError):  # by and by it is no place of a mount any more, or isn't there
            for _ in range(_MOST_ABOVE):
                libc.umount(name, libc.MNT_DETACH | libc.UMOUNT_NOFOLLOW)
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._dev)


def _is_empty_file(descriptor: int) -> bool:
    seen = os.fstat(descriptor)
    return stat.S_ISREG(seen.st_mode) and seen.st_size == 0


def _other_dev() -> RuntimeFault:
    return RuntimeFault(words.other_dev(), code="root_is_private")
