"""What the API answers about volumes."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import As, Id, Moment
from panel.operations.answers import Operation


class Attached(TypedDict):
    environment: Id
    environment_name: str
    path: str
    read_only: bool
    state: Annotated[str, As(Literal["attaching", "attached", "detaching"])]


class Volume(TypedDict):
    id: Id
    tenant: Id
    node: Id
    name: str
    size_mb: Annotated[int, Field(description="MiB; counts against the tenant's disk.")]
    used_bytes: Annotated[int, Field(description="As its node last said.")]
    volume_class: Annotated[str, As(Literal["standard", "database"])]
    is_shared: Annotated[bool, Field(description="Several may have it attached at once, writable.")]
    state: Annotated[str, As(Literal["making", "ready", "resizing", "restoring", "going"])]
    attached: list[Attached]
    created_at: Moment


class ChangedVolume(Volume):
    operation: Annotated[Operation | None, Field(description="Null: the node has nothing to do.")]


class VolumeSnapshot(TypedDict):
    id: Id
    volume: Id
    name: str
    state: Annotated[str, As(Literal["making", "ready", "going"])]
    reason: Annotated[str, As(Literal["asked", "restore", "reinstall", "schedule"])]
    own_bytes: Annotated[
        int | None,
        Field(description="On the disk for it alone: in neither the volume nor another of its snapshots."),
    ]
    shared_bytes: Annotated[int | None, Field(description="On the disk for others as well.")]
    measured_at: Annotated[Moment | None, Field(description="When its node counted that; null: it hasn't.")]
    created_at: Moment
    made_at: Annotated[Moment | None, Field(description="When the node said that it is there.")]


class ChangedVolumeSnapshot(VolumeSnapshot):
    operation: Operation
