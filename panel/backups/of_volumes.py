"""Backups of volumes: asked for, put back, made into new volumes. They lie beside those of environments, count
with them, and are deleted as they are."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.backups import keeping, services
from panel.backups.locked import locked, node_of, repository_of, source_for
from panel.backups.models import Backup, BackupState, Target
from panel.backups.targets import refuse_other_node
from panel.errors import Conflict, Invalid, NotFound
from panel.operations.models import Operation, OperationKind
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.quotas.refusals import counting_refusals
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.text import line
from panel.volumes import services as volumes
from panel.volumes import snapshots
from panel.volumes.beginnings import Beginning
from panel.volumes.models import Volume
from runtime.contract import BackUp, RestoreVolume

#: Under which an operation has the backup that a volume is made of, or goes back to.
RESTORED_FROM = "restore_backup"
#: All that it holds comes from elsewhere first.
_WITHIN_S = 12 * 3600.0
_MIB = 2**20


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
    kept_until = keeping.after_days(keep_days)
    with counting_refusals(), transaction.atomic():
        row = snapshots.locked(actor, volume_id)
        actor.require(Permission.BACKUP_MANAGE, row.tenant)
        target = _target_for(row, target_id)
        _refuse_many(row)
        quotas.reserve(row.tenant, {Resource.BACKUPS: 1})
        made = _row(actor, row, target, name, kept_until)
        work = BackUp(
            volume_id=row.pk,
            backup=made.pk,
            repository=repository_of(target),
            repository_id=target.repository_id or None,
            secrets=locked(target, row.node, about=_text_of(row)),
            tags={"volume": str(row.pk), "name": row.name, "tenant": row.tenant.slug},
        )
        details: dict[str, Any] = {"backup": str(made.pk), "name": made.name, "target": str(target.pk)}
        if keep_days is not None:
            details["keep_days"] = keep_days
        return made, services.ask(actor, made, work, details, retry_of)


def _refuse_many(row: Volume) -> None:
    known = Backup.objects.filter(of=row.pk)
    if known.filter(made_at=None).exists():
        raise Conflict(_("A backup of it is being made."), code="busy", next_step=_("Wait until it has ended."))
    if known.count() >= services.MOST:
        raise Conflict(
            _("A volume has at most %(most)s backups.") % {"most": services.MOST},
            code="too_many",
            next_step=_("Delete one first."),
        )


def _row(actor: Actor, row: Volume, target: Target, name: str, kept_until: datetime | None) -> Backup:
    return Backup.objects.create(
        tenant=row.tenant,
        target=target,
        volume=row,
        is_of_volume=True,
        of=row.pk,
        of_name=row.name,
        name=line(name or f"{timezone.now():%Y-%m-%d %H:%M:%S}", field="name", most=63, least=1),
        kept_until=kept_until,
        document=_document_of(row),
        created_by=actor.user,
    )


def _document_of(row: Volume) -> dict[str, Any]:
    """What the volume is, to make one like it."""
    return {
        "kind": "volume",
        "image": "",
        "name": row.name,
        "size_mb": row.size_mb,
        "volume_class": str(row.volume_class),
        "is_shared": row.is_shared,
    }


def _text_of(row: Volume) -> str:
    return json.dumps({"id": str(row.pk), "tenant": row.tenant.slug, **_document_of(row)}, indent=1)


def _target_for(row: Volume, target_id: UUID) -> Target:
    """Of its own tenant or one above: who may back up may use them all."""
    rows = Target.objects.select_for_update(of=("self",)).select_related("node", "tenant")
    target = rows.filter(pk=target_id, tenant_id__in=row.tenant.chain).first()
    if target is None:
        raise NotFound(_("This target"))
    refuse_other_node(target, row)
    return target


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
    actor: Actor, backup_id: UUID, *, name: str, size_mb: int | None = None
) -> tuple[Volume, Operation]:
    """A new volume of the backup's tenant, on the node that its target is of (of a server: that of the volume).
    Without a size as large as the other was."""
    backup = ready(actor, backup_id)
    actor.require(Permission.BACKUP_MANAGE, backup.tenant)
    document = backup.document
    size = document["size_mb"] if size_mb is None else size_mb
    refuse_what_does_not_fit(backup, size)
    return volumes.create_volume(
        actor,
        backup.tenant,
        name=name,
        size_mb=size,
        node=str(node_of(backup).pk),
        is_shared=document["is_shared"],
        volume_class=document["volume_class"],
        begins=_beginning(backup),
    )


def begins_again(actor: Actor, backup_id: UUID) -> Beginning:
    """What a new volume of the backup begins with. Raises a `Refused`."""
    return _beginning(ready(actor, backup_id))


def _beginning(backup: Backup) -> Beginning:
    part = {"backup": source_for(backup, node_of(backup))}
    return Beginning(part, {RESTORED_FROM: str(backup.pk)}, _WITHIN_S)


def ready(actor: Actor, backup_id: UUID) -> Backup:
    """Raises `NotFound` for one that the actor may not see or that is of no volume, `Conflict` for one that
    isn't whole."""
    rows = Backup.objects.for_actor(actor).select_related("target__node", "volume__node", "tenant")
    row = rows.filter(pk=backup_id, is_of_volume=True).first()
    if row is None:
        raise NotFound(_("This backup"))
    if row.state != BackupState.READY:
        raise services.not_ready()
    return row


def refuse_what_does_not_fit(backup: Backup, size_mb: int) -> None:
    """What holes take no room for counts here: the node has the last word on what is a little above."""
    needed = -(-backup.bytes // _MIB)
    if needed > size_mb:
        raise Invalid(
            _("The backup holds %(needed)s MiB in files, and the volume has %(size)s MiB.")
            % {"needed": needed, "size": size_mb},
            field="size_mb",
            code="does_not_fit",
            next_step=_("Choose a larger size."),
        )
