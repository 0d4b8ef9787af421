"""Backups restored: in the place of the disk that an environment has, or as a new environment."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from panel.backups.locked import locked, node_for, node_of, source_for
from panel.backups.models import Backup
from panel.backups.services import ready_backup
from panel.environments.models import Environment
from panel.environments.services import Changed, create_environment
from panel.environments.services.intent import change
from panel.environments.specs import RESTORE_DEADLINE_S
from panel.errors import Conflict, Invalid, Refused
from panel.nodes.models import Node
from panel.operations.models import OperationKind
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.storage.kept import before
from panel.storage.models import Reason
from panel.storage.services import add_undo, set_origin
from runtime.contract import BackupSource


def source_of(backup: UUID, node: Node) -> BackupSource | None:
    """For the node that makes a root from it; None: it is gone, or can't be opened any more."""
    row = Backup.objects.select_related("target__node").filter(pk=backup).first()
    if row is None or not row.snapshot:
        return None
    try:
        return source_for(row, node)
    except Refused:
        return None


def restore_in_place(actor: Actor, backup_id: UUID) -> Changed:
    """The disk as it was; what runs goes on until the files are here, and starts again if it ran. A snapshot of
    the disk as it is now is kept for some days, so that the restore can be undone; it counts as any other."""
    backup = ready_backup(actor, backup_id)
    if backup.environment is None or backup.environment.deleted_at is not None:
        raise Conflict(
            _("The environment of this backup is gone."),
            code="gone",
            next_step=_("Restore it as a new one."),
        )

    def mutate(row: Environment) -> dict[str, Any]:
        return restore_now(actor, row, backup)

    changed = change(actor, backup.of, Permission.ENVIRONMENT_REINSTALL, OperationKind.RESTORE, mutate)
    return _with_time(changed)


def _with_time(changed: Changed) -> Changed:
    """All that a backup holds comes from elsewhere first."""
    operation = changed.operation
    if operation is not None:
        operation.deadline += timedelta(seconds=RESTORE_DEADLINE_S)
        operation.save(update_fields=["deadline"])
    return changed


def restore_now(actor: Actor, row: Environment, backup: Backup) -> dict[str, Any]:
    """In a locked row's next change."""
    actor.require(Permission.BACKUP_MANAGE, row)
    locked(backup.target, row.node)  # refused where nobody can open it
    if backup.target.only_node not in (None, row.node):
        raise Conflict(_("The backup is on another node than the environment."), code="other_node")
    refuse_what_does_not_fit(backup, row.limits["disk_mb"])
    kept = add_undo(actor, row, before(backup.name), Reason.RESTORE)
    set_origin(row, source=row.pk, snapshot=backup.pk, backup=backup.pk)
    row.image = backup.document["image"]
    row.installs += 1
    row.keep_old_root = False
    return {
        "restore_backup": str(backup.pk),
        "name": backup.name,
        "kept": str(kept.pk) if kept is not None else None,
    }


def restore_as_new(
    actor: Actor,
    backup_id: UUID,
    *,
    name: str,
    node: str = "",
    limits: Mapping[str, Any] | None = None,
    plan: str = "",
    is_started: bool = True,
) -> Changed:
    """A new environment of the backup's tenant, on the node that is named, or whose directory its target is
    (of others: where there is room), with names, addresses, machine id and host keys of its own. Without limits
    and plan it has those of the one that was backed up. All that was on the disk comes with it, so it takes the
    right to run commands inside as well."""
    backup = ready_backup(actor, backup_id)
    for needed in (Permission.BACKUP_MANAGE, Permission.ENVIRONMENT_EXEC):
        actor.require(needed, backup.environment or backup.tenant)
    on = node_for(backup, node)
    locked(backup.target, on or node_of(backup))
    document = backup.document
    if not limits and not plan:
        plan, limits = document["plan"], None if document["plan"] else document["limits"]
    if limits and isinstance(limits.get("disk_mb"), int):
        refuse_what_does_not_fit(backup, limits["disk_mb"])
    changed = create_environment(
        actor,
        backup.tenant,
        name=name,
        image=document["image"],
        limits=limits,
        plan=plan,
        kind=document["kind"],
        kernel=document["kernel"],
        ssh_keys=document["ssh_keys"],
        **document["options"],
        is_started=is_started,
        features={"backup": backup, "node": on.pk if on is not None else None},
    )
    return _with_time(changed)


def refuse_what_does_not_fit(backup: Backup, disk_mb: int) -> None:
    """What holes take no room for counts here: the node has the last word on what is a little above."""
    needed = backup.mib
    if needed > disk_mb:
        raise Invalid(
            _("The backup holds %(needed)s MiB in files, and the disk has %(disk)s MiB.")
            % {"needed": needed, "disk": disk_mb},
            field="limits.disk_mb",
            code="does_not_fit",
            next_step=_("Choose a larger disk."),
        )
