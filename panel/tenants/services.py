"""Tenants: making and changing them, and who belongs to them. Quotas: `quota`; their end: `lifecycle`."""

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack
from uuid import UUID

from django.db import IntegrityError, transaction

from panel import events
from panel.accounts.actor import Actor
from panel.accounts.models import User
from panel.audit.services import record
from panel.errors import Conflict, Invalid, NotFound
from panel.quotas import services as quotas
from panel.quotas.refusals import counting_refusals
from panel.tenants.models import Membership, Role, Tenant
from panel.tenants.permissions import GRANTABLE, ROLES, Permission, RoleName
from panel.tenants.selectors import refuse_suspended
from runtime.contract.base import NAME


class QuotaChanges(TypedDict, total=False):
    """What may be set from above a tenant; see `tenants.quota.change_quota`."""

    quota: Mapping[str, float | None]
    soft: Mapping[str, float | None]
    grace_s: Mapping[str, int]
    overbook: Mapping[str, float]
    must_use_plans: bool


def create_tenant(
    actor: Actor,
    *,
    name: str,
    slug: str = "",
    parent: Tenant | None = None,
    quota: Mapping[str, float | None] | None = None,
) -> Tenant:
    """A tenant at the top (administrators of the installation), or below `parent` (its owners).

    What its quota limits is taken from the quota of `parent` at once (`QuotaExceeded`); what it leaves
    open is shared with `parent` and all others below it.
    """
    actor.require(Permission.TENANT_CREATE, parent)
    if parent is not None:
        refuse_suspended(parent)
    if not name.strip() or len(name) > 120:
        raise Invalid("A tenant's name has 1 to 120 characters.", field="name")
    limits = quotas.check(quota or {})
    made = slug or slug_of(name)
    if not NAME.fullmatch(made):
        raise Invalid("A slug has 1 to 63 lower-case letters, digits and hyphens.", field="slug")
    with counting_refusals(), transaction.atomic():
        if parent is not None and quotas.is_overbooked(parent):
            raise Conflict(
                f"{parent} hands out more than its quota; it can't have tenants below it.",
                code="overbooked",
                field="parent",
            )
        if Tenant.objects.filter(slug=made).exists():
            if slug:
                raise Conflict(f"There is a tenant {slug} already.", code="name_taken", field="slug")
            made = f"{made[:54]}-{uuid.uuid4().hex[:8]}"
        new_id = uuid.uuid4()
        above = parent.path if parent is not None else ""
        tenant = Tenant(id=new_id, name=name.strip(), slug=made, parent=parent, path=f"{above}{new_id.hex}/")
        try:
            with transaction.atomic():
                tenant.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(f"There is a tenant {made} already.", code="name_taken", field="slug") from error
        quotas.open_rows(tenant, limits)
        if not actor.user.is_superuser:
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


def slug_of(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].strip("-") or "tenant"


def update_tenant(
    actor: Actor,
    tenant_id: UUID,
    *,
    name: str | None = None,
    time_zone: str | None = None,
    **quota: Unpack[QuotaChanges],
) -> Tenant:
    """Change what is given. The quota is set from above the tenant, and reaches the kernel of its nodes."""
    from panel.tenants.quota import change_quota  # noqa: PLC0415 - environments need tenants

    with counting_refusals(), transaction.atomic():
        tenant = locked(actor, tenant_id)
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        if name is not None and name != tenant.name:
            actor.require(Permission.TENANT_CHANGE, tenant)
            if not name.strip() or len(name) > 120:
                raise Invalid("A tenant's name has 1 to 120 characters.", field="name")
            before["name"], tenant.name, after["name"] = tenant.name, name.strip(), name.strip()
        if time_zone is not None and time_zone != tenant.time_zone:
            actor.require(Permission.TENANT_CHANGE, tenant)
            _check_time_zone(time_zone)
            before["time_zone"], tenant.time_zone, after["time_zone"] = tenant.time_zone, time_zone, time_zone
        tenant.save(update_fields=["name", "time_zone"])
        if quota:
            was, now = change_quota(actor, tenant, quota)
            before |= was
            after |= now
        if after:
            record(actor, "tenant.change", tenant_id=tenant.pk, target=tenant, before=before, after=after)
            events.publish("tenant", tenant.pk, tenant.pk)
    return tenant


def locked(actor: Actor, tenant_id: UUID) -> Tenant:
    # no_key: rows that point to the tenant go on being written meanwhile
    tenant = Tenant.objects.for_actor(actor).select_for_update(no_key=True).filter(pk=tenant_id).first()
    if tenant is None:
        raise NotFound("This tenant")
    return tenant


def _check_time_zone(name: str) -> None:
    from zoneinfo import available_timezones  # noqa: PLC0415

    if name not in available_timezones():
        raise Invalid(f"There is no time zone {name[:64]}; try Asia/Jakarta.", field="time_zone")


# members ------------------------------------------------------------------------------------------


def set_member(
    actor: Actor, tenant: Tenant, user: User, *, role: str, custom: Role | None = None
) -> Membership:
    """Add a person or change his role. Nobody gives a right that he lacks; the last owner stays one."""
    actor.require(Permission.MEMBER_MANAGE, tenant)
    if role not in RoleName.values or (role == RoleName.CUSTOM) != (custom is not None):
        raise Invalid(f"The role is one of {', '.join(RoleName.values)}.", field="role")
    wanted = frozenset(custom.permissions) if custom is not None else frozenset(ROLES[role])
    _require_all(actor, tenant, wanted)
    with transaction.atomic():
        found = Membership.objects.select_for_update().filter(tenant=tenant, user=user).first()
        before = found.role if found else ""
        if found is not None and found.role == RoleName.OWNER and role != RoleName.OWNER:
            _keep_an_owner(actor, tenant, found)
        member, _ = Membership.objects.update_or_create(
            tenant=tenant, user=user, defaults={"role": role, "custom_role": custom}
        )
        record(
            actor,
            "member.set",
            tenant_id=tenant.pk,
            target=user,
            before={"role": before},
            after={"role": role},
        )
        events.rights_changed(user.pk)
    return member


def remove_member(actor: Actor, tenant: Tenant, user_id: UUID) -> None:
    actor.require(Permission.MEMBER_MANAGE, tenant)
    with transaction.atomic():
        found = Membership.objects.select_for_update().filter(tenant=tenant, user_id=user_id).first()
        if found is None:
            raise NotFound("This member")
        if found.role == RoleName.OWNER:
            _keep_an_owner(actor, tenant, found)
        user = found.user
        found.delete()
        record(actor, "member.remove", tenant_id=tenant.pk, target=user, before={"role": found.role})
        events.rights_changed(user.pk)


def _keep_an_owner(actor: Actor, tenant: Tenant, member: Membership) -> None:
    """Locks all owners, so that two removals at once can't take the last two."""
    _require_all(actor, tenant, frozenset(ROLES[RoleName.OWNER]))
    owners = list(Membership.objects.select_for_update().filter(tenant=tenant, role=RoleName.OWNER))
    if [owner.pk for owner in owners] == [member.pk]:
        raise Conflict("A tenant keeps at least one owner.", code="last_owner")


def _require_all(actor: Actor, tenant: Tenant, permissions: frozenset[str]) -> None:
    """Nobody hands out more than he has (what only counts from above is handed out by owners)."""
    from panel.tenants.permissions import FROM_ABOVE  # noqa: PLC0415

    for permission in permissions - FROM_ABOVE:
        actor.require(Permission(permission), tenant)


def create_role(actor: Actor, tenant: Tenant, *, name: str, permissions: Sequence[str]) -> Role:
    """A role of the tenant's own."""
    actor.require(Permission.MEMBER_MANAGE, tenant)
    known = check_permissions(permissions)
    _require_all(actor, tenant, frozenset(known))
    if not name.strip() or len(name) > 60:
        raise Invalid("A role's name has 1 to 60 characters.", field="name")
    with transaction.atomic():
        if Role.objects.filter(tenant=tenant, name=name.strip()).exists():
            raise Conflict(f"There is a role {name} already.", code="name_taken", field="name")
        role = Role.objects.create(tenant=tenant, name=name.strip(), permissions=known)
        record(actor, "role.create", tenant_id=tenant.pk, target=role, after={"permissions": known})
    return role


def check_permissions(permissions: Sequence[str]) -> list[str]:
    unknown = [p for p in permissions if p not in GRANTABLE]
    if unknown:
        known = ", ".join(sorted(GRANTABLE))
        raise Invalid(
            f"{unknown[0][:64]} is not a permission that can be given; known are {known}.",
            field="permissions",
        )
    return sorted(set(permissions))
