"""The id-mapped view of the root volume that the environment's processes see as `/`."""

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
        point = self.node.mount_point(spec.id)
        if self._is_right(spec.id):
            return None
        while mounts.unmount(point):  # another root: that of before a reinstall
            pass
        point.mkdir(mode=0o700, exist_ok=True)
        first = self.node.first_uid(spec.slot)
        mounts.mount_idmapped(self.node.root_volume(spec.id), point, first_uid=first, count=IDS_PER_SLOT)
        return f"root is {first} outside"

    def _is_right(self, environment_id: UUID) -> bool:
        """Each subvolume has a device number of its own, which the view of it shares."""
        with suppress(FileNotFoundError):
            view = self.node.mount_point(environment_id).stat()
            root = self.node.root_volume(environment_id).stat()
            return (view.st_dev, view.st_ino) == (root.st_dev, root.st_ino)
        return False

    def remove(self, environment_id: UUID) -> str | None:
        point = self.node.mount_point(environment_id)
        while mounts.unmount(point):
            pass
        with suppress(FileNotFoundError):
            point.rmdir()
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        point = self.node.mount_point(environment_id)
        return {"mounted": str(point)} if mounts.is_mounted(point) else None

    def drifted(self, spec: EnvironmentSpec) -> str | None:
        return None if self._is_right(spec.id) else "its root is not mounted"

    def inventory(self) -> Iterable[Found]:
        for entry in (self.node.mounts / "roots").iterdir():
            with suppress(ValueError):
                yield Found(self.name, UUID(entry.name), entry.name)
