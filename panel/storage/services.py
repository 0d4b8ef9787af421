"""Snapshots asked for, restored, cloned, deleted. Each is an operation of the environment."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.audit.services import record
from panel.environments.models import Environment
from panel.environments.options import of_a_copy
from panel.environments.secret_values import values_of
from panel.environments.services import Changed, create_environment
from panel.environments.services.intent import advance, change, refuse_protected
from panel.errors import Conflict, Refused
from panel.operations.models import OperationKind
from panel.plans.rules import check_allowance
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.storage.kept import KeptState, before, named, ready_snapshot_of, snapshot_of
from panel.storage.models import Origin, Reason, Snapshot
from runtime.contract import MOST_SNAPSHOTS, DesiredState

#: For how long what a disk was before a restore is kept, where nothing rests in the trash.
UNDO_DAYS = 7
#: Environments of one look of the beat.
_MOST_AT_ONCE = 100


def take_snapshot(actor: Actor, environment_id: UUID, *, name: str = "") -> tuple[Snapshot, Changed]:
    """One of the disk as it is at the moment that the node comes to it; it may run. Without a name it is called
    by the time. Raises `QuotaExceeded`, and `Conflict` where the plan gives no more."""
    made: list[Snapshot] = []

    def mutate(row: Environment) -> dict[str, Any]:
        made.append(add_snapshot(actor, row, name, Reason.ASKED))
        return {"snapshot": str(made[0].pk), "name": made[0].name}

    changed = change(actor, environment_id, Permission.SNAPSHOT_MANAGE, OperationKind.SNAPSHOT, mutate)
    return made[0], changed


#: What a node says of an environment whose disk is gone with the one that it lay on.
_LOST = "root_lost"


def add_snapshot(actor: Actor | None, row: Environment, name: str, reason: Reason) -> Snapshot:
    """In a locked row's next change; the caller makes it. `actor`: None for one that a schedule takes."""
    if row.observed_generation == 0:
        raise Conflict(
            _("It isn't made yet; there is nothing to take a snapshot of."),
            code="not_made",
            next_step=_("Try again when it is."),
        )
    count = Snapshot.objects.wanted().filter(environment=row).count() + 1
    check_allowance(row.plan_version, "snapshots", count)
    if count > MOST_SNAPSHOTS:
        raise Conflict(
            _("An environment has at most %(most)s snapshots.") % {"most": MOST_SNAPSHOTS},
            code="too_many_snapshots",
            next_step=_("Delete one first."),
        )
    quotas.reserve(row.tenant, {Resource.SNAPSHOTS: 1})
    return Snapshot.objects.create(
        environment=row,
        tenant=row.tenant,
        name=named(name),
        reason=reason,
        image=row.image,
        created_by=actor.user if actor is not None else None,
        generation=row.generation + 1,
    )


def keep_undo(actor: Actor | None, row: Environment, reason: Reason) -> dict[str, Any]:
    """Before a locked row gets a fresh root, or a smaller disk: a snapshot that can be gone back to for its
    days in the trash. `undo` is None where there is no room for one: nobody is kept from it by that."""
    if not row.trash_days or row.observed_generation == 0:
        return {}
    name = _("before the reinstall") if reason is Reason.REINSTALL else _("before the smaller disk")
    try:
        with transaction.atomic():
            made = add_undo(actor, row, name, reason)
    except Refused:
        return {"undo": None}
    return {"undo": str(made.pk) if made is not None else None}


def add_undo(actor: Actor | None, row: Environment, name: str, reason: Reason) -> Snapshot | None:
    """As `add_snapshot`; it goes by itself after the days in the trash, or `UNDO_DAYS` where there are none.
    None for a disk that its node has lost: there is nothing to go back to."""
    if row.code == _LOST:
        return None
    made = add_snapshot(actor, row, name, reason)
    made.expires_at = timezone.now() + timedelta(days=row.trash_days or UNDO_DAYS)
    made.save(update_fields=["expires_at"])
    return made


def expire(now: datetime | None = None) -> int:
    """Has those deleted whose time is over; of how many environments. What is in the trash keeps its own."""
    at = now or timezone.now()
    due = Snapshot.objects.wanted().filter(expires_at__lte=at).exclude(made_at=None)
    due = due.filter(environment__trashed_at=None)
    done = 0
    for pk in list(due.order_by().values_list("environment_id", flat=True).distinct()[:_MOST_AT_ONCE]):
        with transaction.atomic():
            rows = Environment.objects.in_use().exclude(desired_state=DesiredState.DELETED)
            row = rows.select_related("tenant", "node").select_for_update(of=("self",)).filter(pk=pk).first()
            if row is None:
                continue
            count = due.filter(environment=row).update(removal=row.generation + 1)
            if not count:
                continue
            details = {"expired": count}
            operation = advance(None, row, OperationKind.SNAPSHOT, details=details)
            record(
                None,
                "environment.snapshot",
                tenant_id=row.tenant_id,
                target=row,
                after=details,
                operation_id=operation.pk,
            )
            done += 1
    return done


def delete_snapshot(actor: Actor, environment_id: UUID, snapshot_id: UUID) -> Changed:
    """Its space comes back a little after the node took it away; until then it counts."""

    def mutate(row: Environment) -> dict[str, Any]:
        found = snapshot_of(row.snapshots.all(), snapshot_id)
        if found.state == KeptState.GOING:
            raise Conflict(_("This snapshot is being deleted."), code="deleting")
        found.removal = row.generation + 1
        found.save(update_fields=["removal"])
        return {"delete_snapshot": str(found.pk), "name": found.name}

    return change(actor, environment_id, Permission.SNAPSHOT_MANAGE, OperationKind.SNAPSHOT, mutate)


def restore_snapshot(
    actor: Actor, environment_id: UUID, snapshot_id: UUID, *, keeps_current: bool = True
) -> Changed:
    """The disk as it was; what runs ends first, and starts again if it ran. With `keeps_current` a snapshot of
    the disk as it is now is kept for some days, so that the restore can be undone; it counts as any other."""

    def mutate(row: Environment) -> dict[str, Any]:
        return _restore(actor, row, snapshot_id, keeps_current=keeps_current)

    return change(actor, environment_id, Permission.ENVIRONMENT_REINSTALL, OperationKind.RESTORE, mutate)


def _restore(actor: Actor, row: Environment, snapshot_id: UUID, *, keeps_current: bool) -> dict[str, Any]:
    actor.require(Permission.SNAPSHOT_MANAGE, row)
    found = ready_snapshot(row, snapshot_id)
    kept = None
    if not keeps_current:
        refuse_protected(row)
    else:
        kept = add_undo(actor, row, before(found.name), Reason.RESTORE)
    set_origin(row, source=row.pk, snapshot=found.pk)
    row.image = found.image
    row.installs += 1
    row.keep_old_root = False
    return {"restore": str(found.pk), "name": found.name, "kept": str(kept.pk) if kept else None}


def add_again(actor: Actor, row: Environment, details: Mapping[str, Any]) -> dict[str, Any]:
    """The snapshot of a failed operation is asked for anew; under way or there, it is left as it is."""
    actor.require(Permission.SNAPSHOT_MANAGE, row)
    if Snapshot.objects.filter(environment=row, pk=details["snapshot"]).exists():
        return {}
    return {"snapshot": str(add_snapshot(actor, row, details.get("name", ""), Reason.ASKED).pk)}


def restore_again(actor: Actor, row: Environment, details: Mapping[str, Any]) -> dict[str, Any]:
    """The restore of a failed operation, with a snapshot of the disk as it is now if it had one."""
    return _restore(actor, row, UUID(details["restore"]), keeps_current=bool(details.get("kept")))


def set_origin(row: Environment, *, source: UUID, snapshot: UUID, backup: UUID | None = None) -> None:
    """For the next count of installs, with what to go back to where the node refuses."""
    known = Origin.objects.filter(environment=row).first()
    before: dict[str, Any] = {"installs": row.installs, "image": row.image}
    if known is not None and known.installs == row.installs:
        before |= {"source": str(known.source), "snapshot": str(known.snapshot)}
        before["backup"] = str(known.backup) if known.backup else None
    Origin.objects.update_or_create(
        environment=row,
        defaults={
            "source": source,
            "snapshot": snapshot,
            "backup": backup,
            "installs": row.installs + 1,
            "generation": row.generation + 1,
            "before": before,
        },
    )


def clone_snapshot(
    actor: Actor,
    environment_id: UUID,
    snapshot_id: UUID,
    *,
    name: str,
    limits: Mapping[str, Any] | None = None,
    plan: str = "",
    is_started: bool = True,
) -> Changed:
    """A new environment of the same tenant, on the same node, whose disk is that of the snapshot. It has names,
    addresses, machine id and host keys of its own, and the same SSH keys. Without limits and plan it has
    those of the one that the snapshot is of. A copy of the disk has all that is on it, so it takes the right to
    run commands inside as well."""
    row = Environment.objects.select_related("tenant", "plan_version__plan").get_for(actor, environment_id)
    for needed in (Permission.SNAPSHOT_MANAGE, Permission.ENVIRONMENT_EXEC):
        actor.require(needed, row)
    snapshot = ready_snapshot(row, snapshot_id)
    if not limits and not plan:
        follows = row.plan_version is not None and row.follows_plan
        plan = row.plan_version.plan.slug if follows and row.plan_version is not None else ""
        limits = None if plan else row.limits
    options = of_a_copy(row.intent)
    if options["app"]:
        options["app"] = {**options["app"], "secrets": values_of(row)}
    return create_environment(
        actor,
        row.tenant,
        name=name,
        image=snapshot.image,
        limits=limits,
        plan=plan,
        kind=row.kind,
        kernel=row.kernel,
        ssh_keys=row.ssh_keys,
        **options,
        is_started=is_started,
        features={"snapshot": snapshot, "node": row.node_id},
    )


def ready_snapshot(row: Environment, snapshot_id: UUID) -> Snapshot:
    """Raises `NotFound`, and `Conflict` for one that isn't made yet or goes."""
    return ready_snapshot_of(row.snapshots.all(), snapshot_id)
