"""Reads of tenants."""

from typing import Any
from uuid import UUID

from panel.accounts.actor import Actor
from panel.errors import NotFound
from panel.tenants.models import Tenant


def tenant_of(actor: Actor, text: str) -> Tenant:
    """By id or slug; `NotFound` when there is none that the actor sees."""
    rows = Tenant.objects.for_actor(actor)
    try:
        found = rows.filter(pk=UUID(text)).first()
    except ValueError:
        found = rows.filter(slug=text).first()
    if found is None:
        raise NotFound("This tenant")
    return found


def show(row: Tenant) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "name": row.name,
        "slug": row.slug,
        "parent": str(row.parent_id) if row.parent_id else None,
        "state": row.state,
    }
