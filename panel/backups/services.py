"""Backups asked for and deleted: each is an operation about the environment, done by a job of its node."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.audit.services import record
from panel.backups import about, keeping
from panel.backups.locked import locked, node_of, repository_of
from panel.backups.models import Backup, BackupState, Reason, Target
from panel.backups.targets import refuse_other_node
from panel.environments.models import Environment
from panel.environments.services.intent import locked as locked_environment
from panel.environments.trash import refuse_trashed
from panel.errors import Conflict, NotFound
from panel.jobs import services as jobs
from panel.jobs.services import Wanted
from panel.operations.models import Operation, OperationKind, SubjectType
from panel.operations.services import Subject
from panel.plans.rules import check_allowance
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.quotas.refusals import counting_refusals
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.selectors import refuse_suspended
from panel.text import line
from runtime.contract import BackUp, DesiredState, ForgetBackup, ProveBackup, PutBackFiles
from runtime.contract import Subject as About
from runtime.contract import SubjectType as AboutType

#: Of one environment, whatever its plan and its tenant's quota say.
MOST = 1000
#: What the jobs are as operations, and how long they may take.
_KINDS = {
    "back_up": (OperationKind.BACKUP, 12 * 3600.0),
    "forget_backup": (OperationKind.DELETE_BACKUP, 6 * 3600.0),
    "prove_backup": (OperationKind.PROVE_BACKUP, 6 * 3600.0),
    "put_back_files": (OperationKind.PUT_BACK, 3600.0),
}


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
    kept_until = keeping.after_days(keep_days)
    _refuse_what_has_no_disk(row)
    target = _target_for(row, target_id)
    known = Backup.objects.filter(of=row.pk)
    if known.filter(made_at=None).exists():
        raise Conflict(_("A backup of it is being made."), code="busy", next_step=_("Wait until it has ended."))
    check_allowance(row.plan_version, "backups", known.count() + 1)
    if known.count() >= MOST:
        raise Conflict(
            _("An environment has at most %(most)s backups.") % {"most": MOST},
            code="too_many",
            next_step=_("Delete one first."),
        )
    quotas.reserve(row.tenant, {Resource.BACKUPS: 1})
    made = Backup.objects.create(
        tenant=row.tenant,
        target=target,
        environment=row,
        of=row.pk,
        of_name=row.name,
        name=line(name or f"{timezone.now():%Y-%m-%d %H:%M:%S}", field="name", most=63, least=1),
        reason=reason,
        kept_until=kept_until,
        document=about.document_of(row),
        created_by=actor.user if actor is not None else None,
    )
    work = BackUp(
        environment_id=row.pk,
        backup=made.pk,
        repository=repository_of(target),
        repository_id=target.repository_id or None,
        secrets=locked(target, row.node, about=about.text_of(row)),
        tags={"environment": str(row.pk), "name": row.name, "tenant": row.tenant.slug},
    )
    details: dict[str, Any] = {"backup": str(made.pk), "name": made.name, "target": str(target.pk)}
    if keep_days is not None:
        details["keep_days"] = keep_days
    if reason is Reason.SCHEDULE:
        details["scheduled"] = True
    return made, ask(actor, made, work, details, retry_of)


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


def _target_for(row: Environment, target_id: UUID) -> Target:
    """Of its own tenant or one above: who may back up may use them all."""
    chain = row.tenant.chain
    rows = Target.objects.select_for_update(of=("self",)).select_related("node", "tenant")
    target = rows.filter(pk=target_id, tenant_id__in=chain).first()
    if target is None:
        raise NotFound(_("This target"))
    refuse_other_node(target, row)
    return target


def delete_backup(actor: Actor, backup_id: UUID, *, retry_of: Operation | None = None) -> Operation:
    """Gone from the list when it is gone from its target; until then it counts. Raises `Conflict` for the last
    one of an environment that is protected."""
    with transaction.atomic():
        row = locked_backup(actor, backup_id)
        actor.require(Permission.BACKUP_MANAGE, row.environment or row.tenant)
        if row.state != BackupState.READY:
            raise not_ready()
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
        if row.state != BackupState.READY:
            raise not_ready()
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
    work = ForgetBackup(
        repository=repository_of(first.target),
        secrets=locked(first.target, node_of(first)),
        snapshot=first.snapshot,
        others=tuple(one.snapshot for one in rows[1:]),
    )
    details: dict[str, Any] = {"delete_backup": str(first.pk), "name": first.name}
    if rows[1:]:
        details |= {"others": [str(one.pk) for one in rows[1:]], "deleted": len(rows)}
    return ask(actor, first, work, details, retry_of)


def ask(
    actor: Actor | None,
    row: Backup,
    work: BackUp | ForgetBackup | ProveBackup | PutBackFiles,
    details: dict[str, Any],
    retry_of: Operation | None,
) -> Operation:
    """An operation about the environment that the backup is of, and its audit."""
    kind, within_s = _KINDS[work.kind]
    subject_type, about = SubjectType.ENVIRONMENT, About(type=AboutType.ENVIRONMENT, id=str(row.of))
    if row.is_of_volume:  # nothing else that is asked of the volume waits for it
        subject_type, about = SubjectType.VOLUME, About(type=AboutType.VOLUME, id=str(row.pk))
    subject = Subject(subject_type, str(row.of), row.of_name, row.tenant_id, row.environment_id)
    wanted = Wanted(node_of(row), work, about, within_s)
    operation = jobs.ask(actor, subject, kind, wanted, details=details, retry_of=retry_of)
    record(
        actor,
        f"{subject_type}.{kind}",
        tenant_id=row.tenant_id,
        target=row.environment or row.volume or row,
        after=details,
        operation_id=operation.pk,
    )
    return operation


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


def not_ready() -> Conflict:
    return Conflict(
        _("This backup is not ready."), code="backup_not_ready", next_step=_("Wait until it is made.")
    )


def drop(row: Backup) -> None:
    """It isn't at its target: what it took of the quota goes back."""
    if Backup.objects.filter(pk=row.pk).delete()[0]:
        quotas.release(row.tenant, {Resource.BACKUPS: 1})
