"""Volumes of a test, and environments that they are attached to."""

import uuid

from runtime.contract import AttachedVolume, EnvironmentSpec, ObservedState, Report
from runtime.engine import Engine
from runtime.node import Node
from runtime.storage.volumes import Volumes
from tests.host.support.node import Specs

TENANT = uuid.UUID("5f0c1c1e-0000-4000-8000-00000000c0de")


class Disks:
    """Volumes of a test, and environments that they are attached to."""

    def __init__(self, node: Node, engine: Engine, specs: Specs):
        self.node, self.engine, self.specs, self.volumes = node, engine, specs, Volumes(node)
        self.made: list[uuid.UUID] = []

    def new(self, size_mb: int = 64, *, in_place: bool = False) -> uuid.UUID:
        volume = uuid.uuid4()
        self.volumes.keep(volume, TENANT, size_mb, is_new=True, in_place=in_place)
        self.made.append(volume)
        return volume

    def apply(self, spec: EnvironmentSpec, **changes: object) -> tuple[EnvironmentSpec, Report]:
        changed = self.specs.change(spec, **changes)
        report = self.engine.apply(changed)
        assert report is not None
        return changed, report

    def attach(
        self, spec: EnvironmentSpec, volume: uuid.UUID, path: str = "/mnt/data", *, read_only: bool = False
    ) -> EnvironmentSpec:
        one = AttachedVolume(volume_id=volume, path=path, read_only=read_only)
        changed, report = self.apply(spec, volumes=(*spec.volumes, one))
        assert not report.code, f"{report.code}: {report.message}"
        assert report.state is ObservedState.RUNNING
        return changed
