"""Bases of jails: what an image was when jails were made of it, read-only and shared by all of them.

A base stays as it is while a jail, or a snapshot of one, is of it: another build of its image is another
base, and a jail comes to that by a change of its own. So no image is kept from being built anew, or deleted,
by what runs.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from runtime.contract import NO_IMAGE
from runtime.files import exclusive
from runtime.host import btrfs
from runtime.host.safetree import SafeTree
from runtime.images.layout import MOUNT_POINTS
from runtime.node import Node

#: On the top of a root: which base it is of. Root inside neither sees nor sets trusted.*: xattr(7). It goes
#: with the root into its snapshots and clones.
BASE = "trusted.wadah.base"
#: Beside it: which one it was of before an update, to go back to.
BEFORE = "trusted.wadah.base.before"
#: What a jail shares where its base has it, in the order in which they are laid: programs, and what the package
#: manager knows of them.
SHARED = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
PACKAGES = ("var/lib/dpkg", "var/lib/rpm", "var/lib/pacman", "var/lib/apk")
#: Below what is shared, and a jail's own all the same.
OWN = ("usr/local",)
#: A base that nothing is of is kept so long: somebody may be making a jail of it.
KEPT_S = 3600.0
#: Of an empty jail: what the OCI runtime mounts on, and what is written when an environment is made.
_SKELETON = {**MOUNT_POINTS, "etc": 0o755, "root": 0o700, "var": 0o755, "home": 0o755}


class Bases:
    def __init__(self, node: Node):
        self.node = node
        self._directory = node.store / "bases"

    def path(self, key: str) -> Path:
        return self._directory / key

    def key_of_image(self, image: str) -> str:
        """Of what the image is now; empty where there is no such image. A tree's number is given once."""
        with suppress(OSError):
            return f"{image}@{btrfs.subvolume_id(self.node.image(image))}"
        return ""

    def of_image(self, image: str) -> str:
        """Key of the base that the image is now, made where there is none. Raises OSError."""
        key = self.key_of_image(image)
        self._make(key, lambda path: btrfs.snapshot(self.node.image(image), path))
        return key

    def empty(self) -> str:
        """Key of a base with nothing in it but directories, made where there is none. Raises OSError."""
        self._make(NO_IMAGE, _furnish)
        return NO_IMAGE

    def _make(self, key: str, make: Callable[[Path], None]) -> None:
        self._directory.mkdir(mode=0o711, exist_ok=True)
        path = self.path(key)
        if not path.exists():
            with exclusive(self.node, "bases"):
                if not path.exists():
                    beside = path.with_name(f".{key}")
                    btrfs.delete_subvolume(beside)
                    make(beside)
                    os.setxattr(beside, BASE, key.encode())  # and so of each root that is made of it
                    btrfs.set_readonly(beside, True)
                    beside.rename(path)
        self._used(key).touch(mode=0o600)

    def _used(self, key: str) -> Path:
        return self._directory / f".{key}.used"

    def key_of(self, root: Path) -> str:
        """Of the base that a root is of; empty: of none."""
        with suppress(OSError):
            return os.getxattr(root, BASE).decode()
        return ""

    def key_before(self, root: Path) -> str:
        """Of the base that a root was of before its newest update; empty: there was none, or it went back."""
        with suppress(OSError):
            return os.getxattr(root, BEFORE).decode()
        return ""

    def wanted_of(self, root: Path, build: str) -> str:
        """Key of the base that a root should be of, by its spec's build."""
        return build or self.key_before(root) or self.key_of(root)

    def find(self, key: str) -> Path | None:
        """The base of this key, made where its image is that now; None: this build is gone."""
        if not self.path(key).is_dir():
            image = key.partition("@")[0]
            if self.key_of_image(image) != key or self.of_image(image) != key:
                return None
        self._used(key).touch(mode=0o600)
        return self.path(key)

    def there(self) -> list[str]:
        """Keys of all that there are."""
        with suppress(FileNotFoundError):
            return sorted(one.name for one in self._directory.iterdir() if not one.name.startswith("."))
        return []

    def sweep(self) -> int:
        """Takes away those that nothing is of, and that nobody asked for lately; how many."""
        now, gone = time.time(), 0
        old = [key for key in self.there() if not self._is_new(key, now)]
        if not old:
            return 0
        with exclusive(self.node, "bases"):
            held = set(self._held())
            for key in old:
                if key not in held and not self._is_new(key, now):
                    btrfs.delete_subvolume(self.path(key))
                    self._used(key).unlink(missing_ok=True)
                    gone += 1
        return gone

    def _is_new(self, key: str, now: float) -> bool:
        try:
            return now - self._used(key).stat().st_mtime < KEPT_S
        except OSError:
            return False

    def _held(self) -> Iterator[str]:
        """What every root and every snapshot is of."""
        for volume in (self.node.store / "environments").iterdir():
            for root in (*volume.glob("root*"), *volume.glob("snapshots/*")):
                yield self.key_of(root)
                yield self.key_before(root)


def _furnish(path: Path) -> None:
    btrfs.create_subvolume(path)
    path.chmod(0o755)
    with SafeTree.open(path) as tree:
        for name, mode in _SKELETON.items():
            tree.make_directory(f"/{name}", mode=mode)
