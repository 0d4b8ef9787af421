"""Reads of tenants."""

from uuid import UUID

from django.db.models import UUIDField
from django.utils.translation import gettext as _

from panel.errors import NotFound, Suspended
from panel.prepared import Given, Prepared
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants import answers
from panel.tenants.models import Tenant, TenantState

MOST_OFFERED = 200

_LOCKED = Prepared(lambda: Tenant.objects.select_for_update(no_key=True).filter(pk=Given("pk", UUIDField())))


def tenant_of(actor: Actor, text: str) -> Tenant:
    """By id or slug; `NotFound` when there is none that the actor sees."""
    rows = Tenant.objects.for_actor(actor)
    try:
        found = rows.filter(pk=UUID(text)).first()
    except ValueError:
        found = rows.filter(slug=text).first()
    if found is None:
        raise NotFound(_("This tenant"))
    return found


def tenants_with(actor: Actor, permission: Permission) -> list[Tenant]:
    """Those to choose from in a form, where the actor has it; of very many the first."""
    return list(Tenant.objects.for_actor(actor, permission)[:MOST_OFFERED])


def show(row: Tenant) -> answers.Tenant:
    return {
        "id": str(row.pk),
        "name": row.name,
        "slug": row.slug,
        "parent": str(row.parent_id) if row.parent_id else None,
        "state": row.state,
        "suspended_reason": row.suspended_reason,
        "suspended_how": row.suspended_how,
        "delete_at": row.delete_at.isoformat() if row.delete_at else None,
        "must_use_plans": row.must_use_plans,
        "trash_days": row.trash_days,
        "requires_mfa": row.requires_mfa,
        "time_zone": row.time_zone,
        "version": row.version,
    }


def refuse_suspended(tenant: Tenant) -> None:
    """Raises `Suspended`, with the reason that was given, when nothing of the tenant may be changed."""
    if tenant.state == TenantState.SUSPENDED:
        raise Suspended(tenant.name, tenant.suspended_reason)


def locked_state(tenant: Tenant) -> Tenant:
    """The tenant as it is now, and stays until the transaction ends; rows that point to it can be written."""
    row = _LOCKED.first(pk=tenant.pk)
    if row is None:
        raise NotFound(_("This tenant"))
    return row
