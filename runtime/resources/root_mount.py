"""The id-mapped view of the root volume that the environment's processes see as `/`; below a rescue system's
own root while somebody repairs it.

It stands in the node's mount namespace only while init is being made: from then on init's own mount
namespace holds it. A mount for each environment there would be copied with the namespace at every start:
with 500 environments a start took twice as long (docs/performance.md).
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.contract import Base, EnvironmentSpec, Rescue
from runtime.contract.said import Said
from runtime.contract.words import drift, steps
from runtime.glance import Glance
from runtime.host import mounts
from runtime.resources.base import Found, Sandboxed, names_in
from runtime.resources.base_layers import lay_base
from runtime.resources.rescue import DISK, mount_rescue_system
from runtime.storage.bases import Bases


class RootMount(Sandboxed):
    name = "id-mapped root"

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        if self.sandbox.is_there(spec.id):
            return None
        point, disk = self.node.mount_point(spec.id), self.node.disk_point(spec.id)
        is_thin = spec.jail is not None and spec.jail.base is Base.THIN
        if spec.rescue is Rescue.OFF and not is_thin and self._shows_root(spec.id, point):
            return None
        _unmount(point)  # another root: that of before a reinstall, or of a start that was cut off
        point.mkdir(mode=0o700, exist_ok=True)
        if spec.rescue is Rescue.OFF:
            self._show_disk(spec.id, point, is_thin=is_thin)
            return steps.own_user_ids()
        mount_rescue_system(self.node, spec, point)
        _unmount(disk)
        disk.mkdir(mode=0o700, exist_ok=True)
        self._show_disk(spec.id, disk, is_thin=False)
        return steps.rescue_system(DISK)

    def _show_disk(self, environment_id: UUID, point: Path, *, is_thin: bool) -> None:
        root = self.node.root_volume(environment_id)
        namespace = os.open(self.node.user_namespace(environment_id), os.O_RDONLY | os.O_CLOEXEC)
        try:
            mounts.mount_idmapped(root, point, namespace=namespace)
            if is_thin:
                lay_base(Bases(self.node), root, point, namespace)
        finally:
            os.close(namespace)

    def tidy(self, spec: EnvironmentSpec) -> None:
        """What init's root is isn't looked at: it was made with this one, and may have gone since to a tree
        that it serves itself, which never answers."""
        if self.sandbox.is_there(spec.id):
            self.remove(spec.id)

    def _shows_root(self, environment_id: UUID, point: Path) -> bool:
        """Each subvolume has a device number of its own, which every view of it shares."""
        with suppress(OSError):
            view, root = point.stat(), self.node.root_volume(environment_id).stat()
            return (view.st_dev, view.st_ino) == (root.st_dev, root.st_ino)
        return False

    def remove(self, environment_id: UUID) -> Said | None:
        for point in self._points(environment_id):
            _unmount(point)
            with suppress(FileNotFoundError):
                point.rmdir()
        return None

    def _points(self, environment_id: UUID) -> tuple[Path, Path]:
        return self.node.mount_point(environment_id), self.node.disk_point(environment_id)

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        if self.sandbox.is_there(environment_id):
            return {"held_by": "init"}
        mounted = [str(point) for point in self._points(environment_id) if mounts.is_mounted(point)]
        return {"mounted": ", ".join(mounted)} if mounted else None

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        """A start that was cut off left what it had mounted, which `tidy` of the next apply takes away. Without
        an init its process says what is wrong."""
        left = any(str(spec.id) in names_in(glance, point.parent) for point in self._points(spec.id))
        return drift.mounts_left() if left and self.sandbox.is_there(spec.id) else None

    def inventory(self) -> Iterable[Found]:
        for name in ("roots", "disks"):
            directory = self.node.mounts / name
            for entry in directory.iterdir() if directory.is_dir() else ():
                with suppress(ValueError):
                    yield Found(self.name, UUID(entry.name), f"{name}/{entry.name}")


def _unmount(point: Path) -> None:
    """Whatever is mounted there, one above another; a no-op when nothing is."""
    while mounts.unmount(point):
        pass
