"""Snapshots of volumes asked for, deleted, gone back to, made into new volumes: operations of the volume."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from panel.errors import Conflict, NotFound
from panel.operations.models import Operation, OperationKind
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.quotas.refusals import counting_refusals
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.storage.kept import before, named, ready_snapshot_of
from panel.storage.models import Reason
from panel.tenants.selectors import refuse_suspended
from panel.volumes import services
from panel.volumes.beginnings import Beginning
from panel.volumes.models import Volume, VolumeSnapshot, VolumeState
from runtime.contract import (
    MOST_SNAPSHOTS,
    DropVolumeSnapshot,
    JobReport,
    RestoreVolume,
    SnapshotVolume,
    VolumeSnapshotOf,
)

#: Under which a new volume's operation has the snapshot that it is made of.
COPY_OF = "copy_of"


def take(
    actor: Actor, volume_id: UUID, *, name: str = "", retry_of: Operation | None = None
) -> tuple[VolumeSnapshot, Operation]:
    """One of the volume as it is when the node comes to it; in use or not. Without a name it is called by the
    time. Raises `QuotaExceeded`."""
    with counting_refusals(), transaction.atomic():
        row = locked(actor, volume_id)
        made = _add(actor, row, name, Reason.ASKED)
        work = SnapshotVolume(volume_id=row.pk, tenant_id=row.tenant_id, size_mb=row.size_mb, snapshot=made.pk)
        details = {"snapshot": str(made.pk), "name": made.name}
        return made, services.ask(actor, row, OperationKind.SNAPSHOT_VOLUME, work, details, retry_of=retry_of)


def take_scheduled(row: Volume) -> VolumeSnapshot:
    """One more of a locked one that is ready, asked for by nobody."""
    made = _add(None, row, "", Reason.SCHEDULE)
    work = SnapshotVolume(volume_id=row.pk, tenant_id=row.tenant_id, size_mb=row.size_mb, snapshot=made.pk)
    details = {"snapshot": str(made.pk), "name": made.name, "scheduled": True}
    services.ask(None, row, OperationKind.SNAPSHOT_VOLUME, work, details)
    return made


def delete(actor: Actor, volume_id: UUID, snapshot_id: UUID, *, retry_of: Operation | None = None) -> Operation:
    """Its space comes back a little after the node took it away; until then it counts."""
    with transaction.atomic():
        row = locked(actor, volume_id)
        return let_go(actor, row, ready(row, snapshot_id), retry_of=retry_of)


def let_go(
    actor: Actor | None, row: Volume, found: VolumeSnapshot, *, retry_of: Operation | None = None
) -> Operation:
    """Of a locked volume, one that is ready."""
    found.is_going = True
    found.save(update_fields=["is_going"])
    work = DropVolumeSnapshot(volume_id=row.pk, tenant_id=row.tenant_id, size_mb=row.size_mb, snapshot=found.pk)
    details = {"delete_snapshot": str(found.pk), "name": found.name}
    return services.ask(actor, row, OperationKind.DELETE_SNAPSHOT, work, details, retry_of=retry_of)


def restore(
    actor: Actor,
    volume_id: UUID,
    snapshot_id: UUID,
    *,
    keep_current: bool = True,
    retry_of: Operation | None = None,
) -> Operation:
    """The volume as it was; refused while it is attached. With `keep_current` a snapshot of it as it is now is
    kept, so that it can be undone; it counts as any other."""
    with counting_refusals(), transaction.atomic():
        row = locked(actor, volume_id)
        found = ready(row, snapshot_id)
        kept = begin_restore(actor, row, found.name) if keep_current else begin_restore(actor, row)
        work = RestoreVolume(
            **restored_part(row), before=kept.pk if kept is not None else None, snapshot=found.pk
        )
        details = {
            "restore": str(found.pk),
            "name": found.name,
            "kept": str(kept.pk) if kept is not None else None,
        }
        return services.ask(actor, row, OperationKind.RESTORE_VOLUME, work, details, retry_of=retry_of)


def begin_restore(actor: Actor, row: Volume, keep_as: str | None = None) -> VolumeSnapshot | None:
    """Of a locked one: until the node has answered nobody attaches it. `keep_as`: of what it goes back to, for
    the name of the snapshot that is kept of what it is now; None: none is kept."""
    services.refuse_attached(row)
    row.is_restoring = True
    row.save(update_fields=["is_restoring"])
    if keep_as is None:
        return None
    return _add(actor, row, before(keep_as), Reason.RESTORE)


def restored_part(row: Volume) -> Mapping[str, Any]:
    """Of the contract's `RestoreVolume`."""
    return {
        "volume_id": row.pk,
        "tenant_id": row.tenant_id,
        "size_mb": row.size_mb,
        "volume_class": row.volume_class,
    }


def clone(
    actor: Actor,
    volume_id: UUID,
    snapshot_id: UUID,
    *,
    name: str,
    size_mb: int | None = None,
    is_shared: bool = False,
) -> tuple[Volume, Operation]:
    """A new volume of its tenant, on its node, with what is in the snapshot; of the same class, and without a
    size as large as the other is now."""
    row = Volume.objects.for_actor(actor).select_related("tenant", "node").filter(pk=volume_id).first()
    if row is None:
        raise NotFound(_("This volume"))
    found = ready(row, snapshot_id)
    return services.create_volume(
        actor,
        row.tenant,
        name=name,
        size_mb=row.size_mb if size_mb is None else size_mb,
        node=str(row.node_id),
        is_shared=is_shared,
        volume_class=row.volume_class,
        begins=_beginning(found),
    )


def begins_again(actor: Actor, snapshot_id: UUID, _node: str) -> Beginning:
    """What a new volume of the snapshot begins with. Raises `NotFound`."""
    found = VolumeSnapshot.objects.filter(
        pk=snapshot_id, volume__in=Volume.objects.for_actor(actor), is_going=False
    ).first()
    if found is None:
        raise NotFound(_("This snapshot"))
    return _beginning(found)


def _beginning(found: VolumeSnapshot) -> Beginning:
    of = VolumeSnapshotOf(volume_id=found.volume_id, snapshot=found.pk)
    return Beginning({COPY_OF: of}, {COPY_OF: str(found.pk)})


def ready(row: Volume, snapshot_id: UUID) -> VolumeSnapshot:
    """Raises `NotFound`, and `Conflict` for one that isn't made yet or goes."""
    return ready_snapshot_of(row.snapshots.all(), snapshot_id)


def locked(actor: Actor, volume_id: UUID) -> Volume:
    """One that is there, and whose snapshots the actor may change."""
    row = services.locked_volume(actor, volume_id)
    actor.require(Permission.SNAPSHOT_MANAGE, row.tenant)
    refuse_suspended(row.tenant)
    services.refuse_going(row)
    if row.state == VolumeState.MAKING:
        raise Conflict(_("This volume isn't made yet."), code="not_made", next_step=_("Try again when it is."))
    if row.state != VolumeState.READY:
        raise services.busy()
    return row


def _add(actor: Actor | None, row: Volume, name: str, reason: Reason) -> VolumeSnapshot:
    if VolumeSnapshot.objects.filter(volume=row).count() >= MOST_SNAPSHOTS:
        raise Conflict(
            _("A volume has at most %(most)s snapshots.") % {"most": MOST_SNAPSHOTS},
            code="too_many_snapshots",
            next_step=_("Delete one first."),
        )
    quotas.reserve(row.tenant, {Resource.SNAPSHOTS: 1})
    return VolumeSnapshot.objects.create(
        volume=row,
        tenant=row.tenant,
        name=named(name),
        reason=reason,
        created_by=actor.user if actor is not None else None,
    )


# what nodes say of them ------------------------------------------------------------------------------


def made(snapshot_id: UUID | str | None, report: JobReport, *, is_done: bool) -> None:
    """One that was asked for is there, or came to nothing. A no-op for None."""
    found = VolumeSnapshot.objects.filter(pk=snapshot_id).first() if snapshot_id else None
    if found is None:
        return
    if is_done:
        VolumeSnapshot.objects.filter(pk=found.pk).update(made_at=report.at)
    else:
        drop(found)


def gone(snapshot_id: UUID | str, *, is_done: bool) -> None:
    found = VolumeSnapshot.objects.filter(pk=snapshot_id).first()
    if found is not None and is_done:
        drop(found)
    elif found is not None:
        VolumeSnapshot.objects.filter(pk=found.pk).update(is_going=False)


def drop(found: VolumeSnapshot) -> None:
    """It isn't there: what it took of the quota goes back."""
    if VolumeSnapshot.objects.filter(pk=found.pk).delete()[0]:
        quotas.release(found.tenant, {Resource.SNAPSHOTS: 1})


def drop_all(row: Volume) -> None:
    """They went with their volume."""
    count = VolumeSnapshot.objects.filter(volume=row).delete()[0]
    if count:
        quotas.release(row.tenant, {Resource.SNAPSHOTS: count})


def measured(row: Volume, report: JobReport) -> None:
    """A no-op where nothing was counted."""
    if report.volume is None:
        return
    told = {one.snapshot: one for one in report.volume.snapshots}
    rows = list(VolumeSnapshot.objects.filter(volume=row, pk__in=told))
    for one in rows:
        one.bytes, one.own_bytes = told[one.pk].bytes, told[one.pk].own_bytes
        one.measured_at = report.at
    VolumeSnapshot.objects.bulk_update(rows, ["bytes", "own_bytes", "measured_at"])
