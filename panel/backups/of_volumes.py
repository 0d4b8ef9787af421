"""Backups of volumes: asked for, put back, made into new volumes. They lie beside those of environments, count
with them, and are deleted as they are."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from panel.backups import about
from panel.backups.locked import node_for, node_of, source_for
from panel.backups.making import begin
from panel.backups.models import Backup
from panel.backups.services import ready_backup
from panel.backups.targets import refuse_other_node
from panel.errors import Conflict, Invalid
from panel.nodes.models import Node
from panel.operations.models import Operation, OperationKind
from panel.quotas.refusals import counting_refusals
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.volumes import services as volumes
from panel.volumes import snapshots
from panel.volumes.beginnings import Beginning
from panel.volumes.models import Volume
from runtime.contract import RestoreVolume

#: Under which an operation has the backup that a volume is made of, or goes back to.
RESTORED_FROM = "restore_backup"
#: All that it holds comes from elsewhere first.
_WITHIN_S = 12 * 3600.0


def back_up(
    actor: Actor,
    volume_id: UUID,
    target_id: UUID,
    *,
    name: str = "",
    keep_days: int | None = None,
    retry_of: Operation | None = None,
) -> tuple[Backup, Operation]:
    """The volume as it is when the node comes to it, in use or not. Without a name it is called by the time.
    Raises `QuotaExceeded`, and `Conflict` where one is under way."""
    with counting_refusals(), transaction.atomic():
        row = snapshots.locked(actor, volume_id)
        actor.require(Permission.BACKUP_MANAGE, row.tenant)
        of = about.volume(row)
        return begin(actor, of, target_id, name=name, keep_days=keep_days, retry_of=retry_of)


def restore_in_place(actor: Actor, backup_id: UUID, *, retry_of: Operation | None = None) -> Operation:
    """The volume as it was; refused while it is attached. A snapshot of it as it is now is kept, so that it can
    be undone; it counts as any other."""
    backup = ready(actor, backup_id)
    if backup.volume is None:
        raise Conflict(
            _("The volume of this backup is gone."), code="gone", next_step=_("Restore it as a new one.")
        )
    with counting_refusals(), transaction.atomic():
        row = snapshots.locked(actor, backup.of)
        actor.require(Permission.BACKUP_MANAGE, row.tenant)
        refuse_what_does_not_fit(backup, row.size_mb)
        refuse_other_node(backup.target, row)
        kept = snapshots.begin_restore(actor, row, backup.name)
        work = RestoreVolume(
            **snapshots.restored_part(row),
            before=kept.pk if kept is not None else None,
            backup=source_for(backup, row.node),
        )
        details = {
            RESTORED_FROM: str(backup.pk),
            "name": backup.name,
            "kept": str(kept.pk) if kept is not None else None,
        }
        kind = OperationKind.RESTORE_VOLUME
        return volumes.ask(actor, row, kind, work, details, retry_of=retry_of, within_s=_WITHIN_S)


def restore_again(actor: Actor, backup_id: UUID, failed: Operation) -> Operation:
    return restore_in_place(actor, backup_id, retry_of=failed)


def restore_as_new(
    actor: Actor, backup_id: UUID, *, name: str, size_mb: int | None = None, node: str = ""
) -> tuple[Volume, Operation]:
    """A new volume of the backup's tenant, on the node that is named, or whose directory its target is (of
    others: that of the volume). Without a size as large as the other was."""
    backup = ready(actor, backup_id)
    actor.require(Permission.BACKUP_MANAGE, backup.tenant)
    document = backup.document
    size = document["size_mb"] if size_mb is None else size_mb
    refuse_what_does_not_fit(backup, size)
    on = node_for(backup, node) or node_of(backup)
    return volumes.create_volume(
        actor,
        backup.tenant,
        name=name,
        size_mb=size,
        node=str(on.pk),
        is_shared=document["is_shared"],
        volume_class=document["volume_class"],
        begins=_beginning(backup, on),
    )


def begins_again(actor: Actor, backup_id: UUID, node: str) -> Beginning:
    """What a new volume of the backup begins with, on a node. Raises a `Refused`."""
    backup = ready(actor, backup_id)
    return _beginning(backup, node_for(backup, node) or node_of(backup))


def _beginning(backup: Backup, node: Node) -> Beginning:
    part = {"backup": source_for(backup, node)}
    return Beginning(part, {RESTORED_FROM: str(backup.pk)}, _WITHIN_S)


def ready(actor: Actor, backup_id: UUID) -> Backup:
    """As `ready_backup`, and `NotFound` for one that is of no volume."""
    return ready_backup(actor, backup_id, is_of_volume=True)


def refuse_what_does_not_fit(backup: Backup, size_mb: int) -> None:
    """What holes take no room for counts here: the node has the last word on what is a little above."""
    needed = backup.mib
    if needed > size_mb:
        raise Invalid(
            _("The backup holds %(needed)s MiB in files, and the volume has %(size)s MiB.")
            % {"needed": needed, "size": size_mb},
            field="size_mb",
            code="does_not_fit",
            next_step=_("Choose a larger size."),
        )
