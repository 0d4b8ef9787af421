"""Tenants: making and changing them. Quotas: `quota`; their end: `lifecycle`; their people: `panel.access`."""

import uuid
from collections.abc import Mapping
from typing import Any, Unpack
from uuid import UUID
from zoneinfo import available_timezones

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from panel import events
from panel.audit.services import record
from panel.errors import Conflict, Invalid, NotFound, Stale
from panel.quotas import services as quotas
from panel.quotas.refusals import counting_refusals
from panel.rights.actor import Actor
from panel.rights.giving import has_all
from panel.rights.permissions import ROLES, Permission, RoleName
from panel.storage.schedules import retime
from panel.tenancy.quota import QuotaChanges, change_quota
from panel.tenants.models import MOST_TRASH_DAYS, Membership, Tenant
from panel.tenants.selectors import refuse_suspended
from panel.text import line, slug_of
from runtime.contract.base import NAME

_LONGEST_NAME = 120
#: Tenants below one of those at the top, which its people make; and how deep, whoever makes it: each question
#: about rights and each sum of a quota goes through all above.
MOST_BELOW, MOST_DEEP = 1000, 128


def create_tenant(
    actor: Actor,
    *,
    name: str,
    slug: str = "",
    parent: Tenant | None = None,
    quota: Mapping[str, float | None] | None = None,
    trash_days: int = 0,
) -> Tenant:
    """A tenant at the top (administrators of the installation), or below `parent` (its owners).

    What its quota limits is taken from the quota of `parent` at once (`QuotaExceeded`); what it leaves
    open is shared with `parent` and all others below it. `trash_days`: how long its environments can be brought
    back after they were deleted.
    """
    actor.require(Permission.TENANT_CREATE, parent)
    if parent is not None:
        refuse_suspended(parent)
    name = line(name, most=_LONGEST_NAME)
    limits = quotas.check(quota or {})
    _check_trash_days(trash_days)
    made = _wanted_slug(actor, parent, name, slug)
    if not NAME.fullmatch(made):
        raise Invalid(_("A slug has 1 to 63 lower-case letters, digits and hyphens."), field="slug")
    with counting_refusals(), transaction.atomic():
        if parent is not None:
            _refuse_below(actor, parent)
        tenant = _saved(parent, name, made, is_asked_for=bool(slug), trash_days=trash_days)
        quotas.open_rows(tenant, limits)
        # who has less above it than an owner gets no more below it
        if parent is not None and not actor.user.is_superuser and has_all(actor, ROLES[RoleName.OWNER], parent):
            Membership.objects.create(tenant=tenant, user=actor.user, role=RoleName.OWNER)
        record(
            actor,
            "tenant.create",
            tenant_id=tenant.pk,
            target=tenant,
            after={"name": tenant.name, "parent": str(parent.pk) if parent else None, "quota": limits},
        )
        events.publish("tenant", tenant.pk, tenant.pk)
    return tenant


def _saved(parent: Tenant | None, name: str, slug: str, *, is_asked_for: bool, trash_days: int) -> Tenant:
    """Where the slug is taken and nobody asked for it, under one that isn't. Raises `Conflict`."""
    is_taken = Conflict(
        _("There is a tenant %(slug)s already.") % {"slug": slug}, code="name_taken", field="slug"
    )
    if Tenant.objects.filter(slug=slug).exists():
        if is_asked_for:
            raise is_taken
        slug = f"{slug[:54]}-{uuid.uuid4().hex[:8]}"
    new_id = uuid.uuid4()
    path = f"{parent.path if parent is not None else ''}{new_id.hex}/"
    tenant = Tenant(id=new_id, name=name, slug=slug, parent=parent, path=path, trash_days=trash_days)
    try:
        with transaction.atomic():
            tenant.save(force_insert=True)
    except IntegrityError as error:
        raise is_taken from error
    return tenant


def _refuse_below(actor: Actor, parent: Tenant) -> None:
    if quotas.is_overbooked(parent):
        raise Conflict(
            _("%(parent)s hands out more than its quota; it can't have tenants below it.") % {"parent": parent},
            code="overbooked",
            field="parent",
        )
    if parent.path.count("/") >= MOST_DEEP:
        raise Conflict(
            _("Tenants are at most %(most)s deep.") % {"most": MOST_DEEP}, code="too_deep", field="parent"
        )
    top = parent.path.partition("/")[0]
    if actor.is_platform_administrator:
        return
    if Tenant.objects.filter(path__startswith=f"{top}/").count() > MOST_BELOW:
        raise Conflict(
            _("There are %(most)s tenants below the one at the top already.") % {"most": MOST_BELOW},
            code="too_many",
            field="parent",
        )


def _wanted_slug(actor: Actor, parent: Tenant | None, name: str, slug: str) -> str:
    """Slugs are unique in the installation. Below a tenant they begin with its own, so that its owner hears
    nothing of whether a stranger's is taken; administrators of the installation choose as they like."""
    made = slug or slug_of(name)
    if parent is None or actor.is_platform_administrator:
        return made
    prefix = f"{parent.slug[:40].strip('-')}-"
    if slug and not slug.startswith(prefix):
        raise Invalid(
            _("A slug below %(parent)s begins with %(prefix)s.") % {"parent": parent, "prefix": prefix},
            field="slug",
        )
    return slug or f"{prefix}{made}"[:63].strip("-")


def update_tenant(
    actor: Actor,
    tenant_id: UUID,
    *,
    name: str | None = None,
    time_zone: str | None = None,
    requires_mfa: bool | None = None,
    trash_days: int | None = None,
    version: int | None = None,
    **quota: Unpack[QuotaChanges],
) -> Tenant:
    """Change what is given. The quota is set from above the tenant, and reaches the kernel of its nodes.

    `requires_mfa`: members of it and of those below it set up a second factor before they go on. `trash_days`
    holds for what is deleted from now on. `version`: what the asker has read; `Stale` when it was changed
    since.
    """
    with counting_refusals(), transaction.atomic():
        tenant = locked(actor, tenant_id, version)
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        if name is not None and name != tenant.name:
            actor.require(Permission.TENANT_CHANGE, tenant)
            wanted = line(name, most=_LONGEST_NAME)
            before["name"], tenant.name, after["name"] = tenant.name, wanted, wanted
        if time_zone is not None and time_zone != tenant.time_zone:
            actor.require(Permission.TENANT_CHANGE, tenant)
            _check_time_zone(time_zone)
            before["time_zone"], tenant.time_zone, after["time_zone"] = tenant.time_zone, time_zone, time_zone
        if requires_mfa is not None and requires_mfa != tenant.requires_mfa:
            actor.require(Permission.TENANT_CHANGE, tenant)
            before["requires_mfa"], after["requires_mfa"] = tenant.requires_mfa, requires_mfa
            tenant.requires_mfa = requires_mfa
        if trash_days is not None and trash_days != tenant.trash_days:
            actor.require(Permission.TENANT_CHANGE, tenant)
            _check_trash_days(trash_days)
            before["trash_days"], after["trash_days"] = tenant.trash_days, trash_days
            tenant.trash_days = trash_days
        tenant.version += 1
        tenant.save(update_fields=["name", "time_zone", "requires_mfa", "trash_days", "version"])
        if "time_zone" in after:
            retime(tenant)
        if quota:
            was, now = change_quota(actor, tenant, quota)
            before |= was
            after |= now
        if after:
            record(actor, "tenant.change", tenant_id=tenant.pk, target=tenant, before=before, after=after)
            events.publish("tenant", tenant.pk, tenant.pk)
    return tenant


def locked(actor: Actor, tenant_id: UUID, version: int | None = None) -> Tenant:
    """The row until the transaction ends; `Stale` when its version isn't the one that the asker has read."""
    # no_key: rows that point to the tenant go on being written meanwhile
    tenant = Tenant.objects.for_actor(actor).select_for_update(no_key=True).filter(pk=tenant_id).first()
    if tenant is None:
        raise NotFound(_("This tenant"))
    if version is not None and version != tenant.version:
        raise Stale
    return tenant


def _check_trash_days(days: int) -> None:
    if not 0 <= days <= MOST_TRASH_DAYS:
        raise Invalid(
            _("What is deleted is kept for 0 to %(most)s days.") % {"most": MOST_TRASH_DAYS}, field="trash_days"
        )


def _check_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise Invalid(
            _("There is no time zone %(name)s; try Asia/Jakarta.") % {"name": name[:64]}, field="time_zone"
        )
