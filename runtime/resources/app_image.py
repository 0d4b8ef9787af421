"""Which image an app is made from: noted when its reference was resolved, one for each install."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from runtime import health
from runtime.contract import EnvironmentSpec
from runtime.contract.said import Said
from runtime.glance import Glance
from runtime.images.oci.library import Library
from runtime.resources.base import Found, Resource


class AppImage(Resource):
    """Fetched before anything of the environment is made (`Kind.get_ready`); here is who is made from what."""

    name = "app image"
    lifetime = "environment"

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        return None

    def remove(self, environment_id: UUID) -> Said | None:
        Library(self.node).forget(environment_id)
        health.forget(self.node, environment_id)
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        chosen = Library(self.node).chosen(environment_id)
        return None if chosen is None else {"image": chosen.image, "digest": chosen.digest}

    def inventory(self) -> Iterable[Found]:
        return ()

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        return None  # a root that stands needs its image no more

    def sweep(self) -> int:
        return Library(self.node).sweep()
