"""What nodes are asked about volumes: to have one, to snapshot it, to have it as it was, to have it gone."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from runtime.contract.backup import BackupSource
from runtime.contract.base import Message
from runtime.contract.volume import VolumeClass

SizeMb = Annotated[int, Field(ge=16, le=1_073_741_824)]


class VolumeSnapshotOf(Message):
    """A snapshot of a volume, as what another tree is made from."""

    volume_id: UUID
    snapshot: UUID


class KeepVolume(Message):
    """Have the volume on the node, of this size: made where it isn't, grown or shrunk where it is."""

    kind: Literal["keep_volume"] = "keep_volume"
    volume_id: UUID
    tenant_id: UUID
    size_mb: SizeMb
    volume_class: VolumeClass = VolumeClass.STANDARD
    """Of one that is made; one that is there keeps its own."""
    is_new: bool = False
    """It was never made. One that was and isn't there is lost, and no empty one takes its place."""
    copy_of: VolumeSnapshotOf | None = None
    """A new one has what is in this."""
    backup: BackupSource | None = None
    """A new one has what is in this."""


class DropVolume(Message):
    """Have it gone, with all that is on it and all its snapshots. Refused while something holds it."""

    kind: Literal["drop_volume"] = "drop_volume"
    volume_id: UUID
    tenant_id: UUID | None = None


class SnapshotVolume(Message):
    """Have a snapshot of it, as it is when the node comes to it."""

    kind: Literal["snapshot_volume"] = "snapshot_volume"
    volume_id: UUID
    tenant_id: UUID
    size_mb: SizeMb
    snapshot: UUID
    gone: Annotated[tuple[UUID, ...], Field(max_length=500)] = ()
    """Snapshots that it isn't to have any more, once this is made."""


class DropVolumeSnapshot(Message):
    """Have the snapshot gone, with what it alone holds."""

    kind: Literal["drop_volume_snapshot"] = "drop_volume_snapshot"
    volume_id: UUID
    tenant_id: UUID
    size_mb: SizeMb
    snapshot: UUID


class RestoreVolume(Message):
    """Have it as it was in a snapshot or a backup. Refused while something holds it."""

    kind: Literal["restore_volume"] = "restore_volume"
    volume_id: UUID
    tenant_id: UUID
    size_mb: SizeMb
    volume_class: VolumeClass = VolumeClass.STANDARD
    before: UUID | None = None
    """The snapshot that is made first, of what it is now; None: what it is now goes."""
    snapshot: UUID | None = None
    """One of its own."""
    backup: BackupSource | None = None
    """In place of a snapshot."""


class SnapshotMeasured(Message):
    """What one snapshot holds on the disk."""

    snapshot: UUID
    bytes: Annotated[int, Field(ge=0)]
    own_bytes: Annotated[int, Field(ge=0)]
    """Of them: in neither the volume as it is nor another of its snapshots."""


class VolumeMeasured(Message):
    """What the snapshots of a volume hold, as the work left them."""

    snapshots: Annotated[tuple[SnapshotMeasured, ...], Field(max_length=1000)] = ()
