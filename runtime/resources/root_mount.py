"""The environment's user namespace, and the id-mapped view of the root volume that its processes see as `/`."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.host import mounts
from runtime.node import IDS_PER_SLOT
from runtime.resources.base import Found, Resource


class RootMount(Resource):
    name = "id-mapped root"

    def ensure(self, spec: EnvironmentSpec) -> str | None:
        point, pin = self.node.mount_point(spec.id), self.node.user_namespace(spec.id)
        is_pinned = mounts.is_mounted(pin)
        is_right = self._is_right(spec.id)
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

    def _is_right(self, environment_id: UUID) -> bool:
        """Each subvolume has a device number of its own, which the view of it shares."""
        with suppress(FileNotFoundError):
            view = self.node.mount_point(environment_id).stat()
            root = self.node.root_volume(environment_id).stat()
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
        point = self.node.mount_point(environment_id)
        return {"mounted": str(point)} if mounts.is_mounted(point) else None

    def drifted(self, spec: EnvironmentSpec) -> str | None:
        if not mounts.is_mounted(self.node.user_namespace(spec.id)):
            return "its user namespace is not kept"
        return None if self._is_right(spec.id) else "its root is not mounted"

    def inventory(self) -> Iterable[Found]:
        for kind in ("roots", "users"):
            directory = self.node.mounts / kind
            for entry in directory.iterdir() if directory.is_dir() else ():
                with suppress(ValueError):
                    yield Found(self.name, UUID(entry.name), f"{kind}/{entry.name}")
