"""The environment's user namespace, and the id-mapped view of the root volume that its processes see as `/`.

Both stand in the node's mount namespace only while init is being made: from then on init's own mount
namespace holds the view, and init the user namespace. A mount for each environment there would be copied
with the namespace at every start: with 500 environments a start took twice as long (docs/performance.md).
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.host import mounts
from runtime.host.oci import init_pid
from runtime.node import IDS_PER_SLOT
from runtime.resources.base import Found, Resource


class RootMount(Resource):
    name = "id-mapped root"

    def ensure(self, spec: EnvironmentSpec) -> str | None:
        if self._is_held_by_init(spec.id):
            return None
        point, pin = self.node.mount_point(spec.id), self.node.user_namespace(spec.id)
        is_pinned = mounts.is_mounted(pin)
        is_right = self._shows_root(spec.id, point)
        if is_pinned and is_right:
            return None
        first = self.node.first_uid(spec.slot)
        if is_pinned:
            namespace = os.open(pin, os.O_RDONLY | os.O_CLOEXEC)
        else:
            namespace = mounts.user_namespace(first, IDS_PER_SLOT)
        try:
            if not is_pinned:
                mounts.pin_namespace(namespace, pin)
            if not is_right:
                while mounts.unmount(point):  # another root: that of before a reinstall
                    pass
                point.mkdir(mode=0o700, exist_ok=True)
                mounts.mount_idmapped(self.node.root_volume(spec.id), point, namespace=namespace)
        finally:
            os.close(namespace)
        return f"root is {first} outside"

    def tidy(self, spec: EnvironmentSpec) -> None:
        if self._is_held_by_init(spec.id):
            self.remove(spec.id)

    def _is_held_by_init(self, environment_id: UUID) -> bool:
        pid = init_pid(self.node, environment_id)
        return pid is not None and self._shows_root(environment_id, Path(f"/proc/{pid}/root"))

    def _shows_root(self, environment_id: UUID, point: Path) -> bool:
        """Each subvolume has a device number of its own, which every view of it shares."""
        with suppress(OSError):
            view, root = point.stat(), self.node.root_volume(environment_id).stat()
            return (view.st_dev, view.st_ino) == (root.st_dev, root.st_ino)
        return False

    def remove(self, environment_id: UUID) -> str | None:
        point, pin = self.node.mount_point(environment_id), self.node.user_namespace(environment_id)
        for one in (point, pin):
            while mounts.unmount(one):
                pass
        with suppress(FileNotFoundError):
            point.rmdir()
        pin.unlink(missing_ok=True)
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        if self._is_held_by_init(environment_id):
            return {"held_by": "init"}
        point = self.node.mount_point(environment_id)
        return {"mounted": str(point)} if mounts.is_mounted(point) else None

    def drifted(self, spec: EnvironmentSpec) -> str | None:
        """Init has another root, or a start that was cut off left what it had mounted, which `tidy`
        of the next apply takes away. Without an init its process says what is wrong."""
        pid = init_pid(self.node, spec.id)
        if pid is None:
            return None
        if not self._shows_root(spec.id, Path(f"/proc/{pid}/root")):
            return "its root is not its root volume"
        left = self.node.mount_point(spec.id).exists() or self.node.user_namespace(spec.id).exists()
        return "what its start mounted was left" if left else None

    def inventory(self) -> Iterable[Found]:
        for kind in ("roots", "users"):
            directory = self.node.mounts / kind
            for entry in directory.iterdir() if directory.is_dir() else ():
                with suppress(ValueError):
                    yield Found(self.name, UUID(entry.name), f"{kind}/{entry.name}")
