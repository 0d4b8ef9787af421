"""Suspending and resuming a tenant, and deleting it with all that it owns after a waiting time."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from panel import events
from panel.audit.services import record
from panel.environments.features import FEATURES
from panel.environments.models import Environment
from panel.environments.services import advance
from panel.errors import Conflict, Invalid
from panel.operations.models import Operation, OperationKind
from panel.plans.models import Plan
from panel.quotas import services as quotas
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenancy.holding import hold
from panel.tenancy.services import locked
from panel.tenants.models import Membership, SuspendedHow, Tenant, TenantState
from panel.text import line
from runtime.contract import DesiredState

log = structlog.get_logger()

_WITH_PARENT = "the tenant above is suspended"
_TO_BE_DELETED = "it will be deleted"
#: Longest waiting time before a deletion.
_LONGEST_WAIT = timedelta(days=90)
#: Of protected environments, in a refusal.
_MOST_NAMED = 20
#: Environments told to go in one tick, so that a node isn't flooded.
_MOST_PER_TICK = 200


def _tree(tenant: Tenant) -> QuerySet[Tenant]:
    """The tenant and all below it."""
    return Tenant.objects.filter(path__startswith=tenant.path)


def suspend_tenant(
    actor: Actor,
    tenant_id: UUID,
    *,
    reason: str = "",
    how: str = SuspendedHow.STOP,
    version: int | None = None,
) -> Tenant:
    """Stop or freeze everything of the tenant and of those below it, and allow no start.

    Asked again with another `how` it changes over; with the same it is a no-op. `version`, here and below: what
    the asker has read; `Stale` when the tenant was changed since.
    """
    if how not in SuspendedHow.values:
        raise Invalid(
            _("how is one of %(suspendedhow)s.") % {"suspendedhow": ", ".join(SuspendedHow.values)}, field="how"
        )
    why = line(reason, field="reason", most=400, least=0)
    with transaction.atomic():
        tenant = locked(actor, tenant_id, version)
        actor.require(Permission.TENANT_SUSPEND, tenant)
        if tenant.state == TenantState.SUSPENDED and tenant.suspended_how == how:
            return tenant
        _suspend(actor, tenant, why, how)
    return tenant


def _suspend(actor: Actor, tenant: Tenant, reason: str, how: str) -> None:
    with_it = _tree(tenant).exclude(pk=tenant.pk)
    children = with_it.filter(state=TenantState.ACTIVE) | with_it.filter(suspended_reason=_WITH_PARENT)
    ids = [tenant.pk, *children.values_list("pk", flat=True)]
    children.update(state=TenantState.SUSPENDED, suspended_reason=_WITH_PARENT, suspended_how=how)
    tenant.state, tenant.suspended_reason, tenant.suspended_how = TenantState.SUSPENDED, reason, how
    tenant.version += 1
    tenant.save(update_fields=["state", "suspended_reason", "suspended_how", "version"])
    operation = hold(actor, tenant, OperationKind.SUSPEND, ids)
    record(
        actor,
        "tenant.suspend",
        tenant_id=tenant.pk,
        target=tenant,
        after={"reason": reason, "how": str(how)},
        operation_id=operation.pk if operation else None,
    )
    events.publish("tenant", tenant.pk, tenant.pk)


def resume_tenant(actor: Actor, tenant_id: UUID, *, version: int | None = None) -> Tenant:
    """What ran before runs again. Asked again: a no-op."""
    with transaction.atomic():
        tenant = locked(actor, tenant_id, version)
        actor.require(Permission.TENANT_SUSPEND, tenant)
        if tenant.state == TenantState.ACTIVE:
            return tenant
        if tenant.delete_at is not None:
            raise Conflict(
                _("It will be deleted; take the deletion back first."),
                code="to_be_deleted",
                next_step=_("Cancel its deletion."),
            )
        _resume(actor, tenant)
    return tenant


def _resume(actor: Actor, tenant: Tenant) -> None:
    if Tenant.objects.filter(pk__in=tenant.chain[:-1], state=TenantState.SUSPENDED).exists():
        raise Conflict(_("The tenant above it is suspended; resume that one first."), code="parent_suspended")
    children = (
        _tree(tenant).filter(state=TenantState.SUSPENDED, suspended_reason=_WITH_PARENT).exclude(pk=tenant.pk)
    )
    ids = [tenant.pk, *children.values_list("pk", flat=True)]
    children.update(state=TenantState.ACTIVE, suspended_reason="")
    tenant.state, tenant.suspended_reason = TenantState.ACTIVE, ""
    tenant.version += 1
    tenant.save(update_fields=["state", "suspended_reason", "version"])
    operation = hold(actor, tenant, OperationKind.RESUME, ids)
    record(
        actor,
        "tenant.resume",
        tenant_id=tenant.pk,
        target=tenant,
        operation_id=operation.pk if operation else None,
    )
    events.publish("tenant", tenant.pk, tenant.pk)


# deletion -----------------------------------------------------------------------------------------


def schedule_deletion(
    actor: Actor, tenant_id: UUID, *, wait_s: int | None = None, version: int | None = None
) -> Tenant:
    """Suspend the tenant now and delete it, all below it and all that they own after the waiting time.

    `wait_s` None: WADAH_TENANT_DELETE_WAIT_S, a week. Asked again: the time begins anew.
    """
    seconds = settings.WADAH.tenant_delete_wait_s if wait_s is None else wait_s
    most = int(_LONGEST_WAIT.total_seconds())
    if not 0 <= seconds <= most:
        raise Invalid(
            _("wait_s is 0 to %(most)s seconds (%(days)s days).") % {"most": most, "days": _LONGEST_WAIT.days},
            field="wait_s",
        )
    wait = timedelta(seconds=seconds)
    with transaction.atomic():
        tenant = locked(actor, tenant_id, version)
        actor.require(Permission.TENANT_SUSPEND, tenant)
        if tenant.is_due:
            return tenant
        _refuse_protected(tenant)
        if tenant.state == TenantState.ACTIVE:
            _suspend(actor, tenant, _TO_BE_DELETED, SuspendedHow.STOP)
        tenant.delete_at = timezone.now() + wait
        tenant.version += 1
        tenant.save(update_fields=["delete_at", "version"])
        after = {"delete_at": tenant.delete_at.isoformat()}
        record(actor, "tenant.delete_later", tenant_id=tenant.pk, target=tenant, after=after)
        events.publish("tenant", tenant.pk, tenant.pk)
    return tenant


def _refuse_protected(tenant: Tenant) -> None:
    """Raises `Conflict` that names what is protected, of the tenant and of all below it."""
    rows = Environment.objects.living().filter(tenant__path__startswith=tenant.path, intent__protected=True)
    names = list(rows.order_by("name").values_list("name", flat=True)[:_MOST_NAMED])
    if names:
        raise Conflict(
            _("Protected from being deleted: %(names)s.") % {"names": ", ".join(names)},
            code="protected",
            next_step=_("Take their protection off first, in their settings."),
        )


def cancel_deletion(actor: Actor, tenant_id: UUID, *, version: int | None = None) -> Tenant:
    """Keep it; it runs again unless it was suspended before. `Conflict` once the waiting time is over."""
    with transaction.atomic():
        tenant = locked(actor, tenant_id, version)
        actor.require(Permission.TENANT_SUSPEND, tenant)
        if tenant.delete_at is None:
            return tenant
        if tenant.is_due:
            raise Conflict(_("Its waiting time is over; it is being deleted."), code="too_late")
        tenant.delete_at = None
        tenant.version += 1
        tenant.save(update_fields=["delete_at", "version"])
        record(actor, "tenant.keep", tenant_id=tenant.pk, target=tenant)
        if tenant.suspended_reason == _TO_BE_DELETED:
            _resume(actor, tenant)
        events.publish("tenant", tenant.pk, tenant.pk)
    return tenant


def delete_due(now: datetime | None = None) -> int:
    """Go on with the deletion of every tenant whose time has come; how many are gone.

    Safe to be killed anywhere and to run twice. First the nodes leave nothing, then the rows go; those
    of environments rest as long as their user ids do, since nobody else may get these before.
    """
    due = Tenant.objects.filter(delete_at__lte=now or timezone.now())
    gone = 0
    for root in list(due):
        deepest_first = sorted(_tree(root), key=lambda one: -len(one.path))
        empty = [tenant for tenant in deepest_first if _empty(tenant)]
        gone += sum(_remove(tenant) for tenant in empty)
    return gone


def _empty(tenant: Tenant) -> bool:
    """Ask the nodes to leave nothing of the tenant; whether no row of an environment is left."""
    rows = Environment.objects.filter(tenant=tenant)
    standing = rows.living().exclude(desired_state=DesiredState.DELETED).values_list("pk", flat=True)
    for pk in list(standing[:_MOST_PER_TICK]):
        with transaction.atomic():
            row = rows.select_related("tenant", "node").select_for_update(of=("self",)).get(pk=pk)
            row.desired_state = DesiredState.DELETED
            operation = advance(None, row, OperationKind.DELETE)
            record(
                None,
                "environment.delete",
                tenant_id=tenant.pk,
                target=row,
                after={"because": "tenant.delete"},
                operation_id=operation.pk,
            )
    rows.filter(deleted_at__isnull=False, slot=None).delete()
    if rows.exists():
        return False
    emptied = [feature.emptied(tenant) for feature in FEATURES]
    return all(emptied)


def _remove(tenant: Tenant) -> int:
    """The rows of a tenant without environments or tenants below it; 0 when one came in meanwhile."""
    with transaction.atomic():
        row = Tenant.objects.select_for_update().filter(pk=tenant.pk).first()
        if row is None or row.children.exists() or Environment.objects.filter(tenant=row).exists():
            return 0
        people = list(Membership.objects.filter(tenant=row).values_list("user_id", flat=True))
        after: dict[str, Any] = {"name": row.name, "slug": row.slug}
        quotas.close_rows(row)
        Operation.objects.filter(tenant=row).delete()
        Membership.objects.filter(tenant=row).delete()
        Plan.objects.filter(tenant=row).delete()
        record(None, "tenant.delete", tenant_id=row.pk, target=row, before=after)
        record(None, "tenant.delete", tenant_id=row.parent_id, target=row, before=after)
        row.delete()
        for person in people:
            events.rights_changed(person)
        events.publish("tenant", tenant.pk, tenant.parent_id)
    log.info("tenant deleted", tenant=str(tenant.pk))
    return 1
