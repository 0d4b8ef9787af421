"""Backups asked for and deleted: each is an operation about the environment, done by a job of its node."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from panel.audit.services import record
from panel.backups import about, keeping
from panel.backups.asking import ask
from panel.backups.locked import locked, node_of, repository_of
from panel.backups.making import begin
from panel.backups.models import Backup, Reason
from panel.environments.models import Environment
from panel.environments.services.intent import locked as locked_environment
from panel.environments.trash import refuse_trashed
from panel.errors import Conflict, NotFound
from panel.operations.models import Operation
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.quotas.refusals import counting_refusals
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.storage.kept import KeptState
from panel.tenants.selectors import refuse_suspended
from runtime.contract import DesiredState, ForgetBackup


def back_up(
    actor: Actor,
    environment_id: UUID,
    target_id: UUID,
    *,
    name: str = "",
    keep_days: int | None = None,
    retry_of: Operation | None = None,
) -> tuple[Backup, Operation]:
    """The disk as it is when the node comes to it; it may run. Without a name it is called by the time. After
    `keep_days` it goes by itself. Raises `QuotaExceeded`, and `Conflict` where the plan gives no more or one is
    under way."""
    with counting_refusals(), transaction.atomic():
        row = locked_environment(actor, environment_id)
        actor.require(Permission.BACKUP_MANAGE, row)
        return add_backup(actor, row, target_id, name=name, keep_days=keep_days, retry_of=retry_of)


def add_backup(
    actor: Actor | None,
    row: Environment,
    target_id: UUID,
    *,
    name: str = "",
    keep_days: int | None = None,
    reason: Reason = Reason.ASKED,
    retry_of: Operation | None = None,
) -> tuple[Backup, Operation]:
    """Of a locked row. `actor`: None for one that a schedule takes."""
    _refuse_what_has_no_disk(row)
    return begin(
        actor,
        about.environment(row),
        target_id,
        name=name,
        keep_days=keep_days,
        reason=reason,
        retry_of=retry_of,
    )


def _refuse_what_has_no_disk(row: Environment) -> None:
    refuse_suspended(row.tenant)
    if row.desired_state == DesiredState.DELETED:
        raise Conflict(_("This environment is being deleted."), code="deleting")
    refuse_trashed(row)
    if row.observed_generation == 0:
        raise Conflict(
            _("It isn't made yet; there is nothing to back up."),
            code="not_made",
            next_step=_("Try again when it is."),
        )


def delete_backup(actor: Actor, backup_id: UUID, *, retry_of: Operation | None = None) -> Operation:
    """Gone from the list when it is gone from its target; until then it counts. Raises `Conflict` for the last
    one of an environment that is protected."""
    with transaction.atomic():
        row = locked_backup(actor, backup_id)
        actor.require(Permission.BACKUP_MANAGE, row.environment or row.tenant)
        refuse_unready(row)
        if keeping.is_held(row):
            raise Conflict(
                _("%(name)s is protected, and this is the last backup of it.") % {"name": row.of_name},
                code="protected",
                next_step=_("Take its protection off first, in its settings."),
            )
        return forget(actor, [row], retry_of=retry_of)


def keep(actor: Actor, backup_id: UUID, until: datetime | None) -> Backup:
    """Until then, and deleted by itself; None: until somebody deletes it, or its schedule keeps it no more."""
    wanted = keeping.checked(until)
    with transaction.atomic():
        row = locked_backup(actor, backup_id)
        actor.require(Permission.BACKUP_MANAGE, row.environment or row.tenant)
        refuse_unready(row)
        before = row.kept_until.isoformat() if row.kept_until else None
        row.kept_until = wanted
        row.save(update_fields=["kept_until"])
        record(
            actor,
            "environment.keep_backup",
            tenant_id=row.tenant_id,
            target=row.environment or row,
            before={"kept_until": before},
            after={"kept_until": wanted.isoformat() if wanted else None, "name": row.name},
        )
    return row


def forget(actor: Actor | None, rows: Sequence[Backup], *, retry_of: Operation | None = None) -> Operation:
    """Locked ones of one environment and target, at least one: they go together."""
    first = rows[0]
    Backup.objects.filter(pk__in=[one.pk for one in rows]).update(is_going=True)
    for one in rows:
        one.is_going = True
    node = node_of(first)
    work = ForgetBackup(
        repository=repository_of(first.target),
        secrets=locked(first.target, node),
        snapshot=first.snapshot,
        others=tuple(one.snapshot for one in rows[1:]),
    )
    details: dict[str, Any] = {"delete_backup": str(first.pk), "name": first.name}
    if rows[1:]:
        details |= {"others": [str(one.pk) for one in rows[1:]], "deleted": len(rows)}
    return ask(actor, first, work, details, retry_of, node=node)


def locked_backup(actor: Actor, backup_id: UUID) -> Backup:
    """With all that there are of its environment, so that of two the last isn't deleted twice over. Raises
    `NotFound` for one that the actor may not see."""
    known = Backup.objects.for_actor(actor).filter(pk=backup_id).values_list("pk", "of").first()
    seen = None
    if known is not None:
        seen, of = known
        list(Backup.objects.select_for_update().filter(of=of).order_by("pk").values_list("pk"))
    rows = Backup.objects.select_for_update(of=("self",))
    row = (
        rows.select_related("tenant", "target__node", "environment__node", "volume__node")
        .filter(pk=seen)
        .first()
        if seen
        else None
    )
    if row is None:
        raise NotFound(_("This backup"))
    return row


def ready_backup(actor: Actor, backup_id: UUID, **only: Any) -> Backup:
    """`only`: what it has to be besides. Raises `NotFound` for one that the actor may not see, `Conflict` for
    one that isn't whole."""
    rows = Backup.objects.for_actor(actor).filter(pk=backup_id, **only)
    row = rows.select_related("target__node", "environment__node", "volume__node", "tenant").first()
    if row is None:
        raise NotFound(_("This backup"))
    refuse_unready(row)
    return row


def refuse_unready(row: Backup) -> None:
    if row.state != KeptState.READY:
        raise Conflict(
            _("This backup is not ready."), code="backup_not_ready", next_step=_("Wait until it is made.")
        )


def drop(row: Backup) -> None:
    """It isn't at its target: what it took of the quota goes back."""
    if Backup.objects.filter(pk=row.pk).delete()[0]:
        quotas.release(row.tenant, {Resource.BACKUPS: 1})
