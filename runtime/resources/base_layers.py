"""What a jail shares with others, laid over its own root: read-only views of its base, with the jail's own ids.

Its root has a copy of all that (a snapshot, which takes no room), hidden below: so its disk is whole wherever
it is read as a disk, and a jail whose base isn't on the node goes by its own copy, which it can't change
either. The OCI runtime takes the whole with it into a mount namespace of the jail's user namespace, where the
kernel lets nobody take one of these away, nor make it writable: mount_namespaces(7).
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from runtime.contract.words import jails
from runtime.errors import RuntimeFault
from runtime.host import mounts
from runtime.host.safetree import SafeTree, open_directory
from runtime.storage.bases import OWN, PACKAGES, SHARED, Bases

_DIRECTORY = os.O_PATH | os.O_DIRECTORY


def lay_base(bases: Bases, root: Path, point: Path, namespace: int) -> None:
    """Over the view of the root that is mounted at `point`, in this process's mount namespace."""
    key = bases.key_of(root)
    base = bases.path(key) if key and bases.path(key).is_dir() else root
    with SafeTree.open(base) as shared, SafeTree.open(root) as own, _top(point) as top, ExitStack() as undo:
        for name in (*SHARED, *PACKAGES):
            for source in _opened(shared, name, undo):
                _make_place(own, name)
                mounts.mount_idmapped(source, _place(top, name, undo), namespace=namespace, read_only=True)
        for name in OWN:
            for _there in _opened(shared, name, undo):
                _make_place(own, name)
                for source in _opened(own, name, undo):
                    mounts.mount_idmapped(source, _place(top, name, undo), namespace=namespace)


@contextmanager
def _top(point: Path) -> Iterator[int]:
    top = os.open(point, _DIRECTORY | os.O_CLOEXEC)
    try:
        yield top
    finally:
        os.close(top)


def _opened(tree: SafeTree, name: str, undo: ExitStack) -> Iterator[int]:
    """A descriptor of a real directory; none where there is none, as where /bin is a link to usr/bin."""
    with suppress(OSError):
        found = tree.open_plain(name, _DIRECTORY)
        undo.callback(os.close, found)
        yield found


def _make_place(own: SafeTree, name: str) -> None:
    """The jail may have taken away what it doesn't see itself, or put something else there."""
    parts = name.split("/")
    for number in range(1, len(parts) + 1):
        path = "/" + "/".join(parts[:number])
        if not own.is_directory(path):
            own.remove(path)
            own.make_directory(path)


def _place(top: int, name: str, undo: ExitStack) -> int:
    try:
        found = open_directory(top, name)
    except OSError as odd:
        raise RuntimeFault(jails.no_place(f"/{name}", str(odd.strerror)), code="no_place") from odd
    undo.callback(os.close, found)
    return found
