"""Tenants: making, changing, suspending; and who belongs to them."""

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from panel import events
from panel.accounts.actor import Actor
from panel.accounts.models import User
from panel.audit.services import record
from panel.environments.models import Environment, EnvironmentUsage
from panel.environments.services import push_tenant
from panel.errors import Conflict, Invalid, NotFound
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.tenants.models import Membership, Role, Tenant, TenantState
from panel.tenants.permissions import GRANTABLE, ROLES, Permission, RoleName
from runtime.contract.base import NAME

_MIB = 2**20
_DEEPEST = 8
_WITH_PARENT = "the tenant above is suspended"


def create_tenant(
    actor: Actor,
    *,
    name: str,
    slug: str = "",
    parent: Tenant | None = None,
    quota: Mapping[str, float | None] | None = None,
) -> Tenant:
    """A tenant at the top (administrators of the installation), or below `parent` (its owners).

    The quota of `parent` holds for the sum of all below it, so a child's own may be larger than what is left.
    """
    actor.require(Permission.TENANT_CREATE, parent)
    if not name.strip() or len(name) > 120:
        raise Invalid("A tenant's name has 1 to 120 characters.", field="name")
    if parent is not None and len(parent.chain) >= _DEEPEST:
        raise Invalid(f"Tenants are at most {_DEEPEST} deep.", field="parent")
    limits = quotas.check(quota or {})
    made = slug or slug_of(name)
    if not NAME.fullmatch(made):
        raise Invalid("A slug has 1 to 63 lower-case letters, digits and hyphens.", field="slug")
    with transaction.atomic():
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
    quota: Mapping[str, float | None] | None = None,
) -> Tenant:
    """Change what is given. The quota is set from above the tenant, and reaches the kernel of its nodes."""
    with transaction.atomic():
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
        if quota is not None:
            actor.require(Permission.TENANT_QUOTA, tenant)
            old = quotas.limits_of(tenant)
            quotas.set_limits(tenant, quota)
            before["quota"], after["quota"] = {r: old[r] for r in quota}, dict(quota)
            if set(quota) & {Resource.CPU, Resource.MEMORY_MB, Resource.DISK_MB}:
                push_tenant(_below(tenant))
        if after:
            record(actor, "tenant.change", tenant_id=tenant.pk, target=tenant, before=before, after=after)
            events.publish("tenant", tenant.pk, tenant.pk)
    return tenant


def locked(actor: Actor, tenant_id: UUID) -> Tenant:
    tenant = Tenant.objects.for_actor(actor).select_for_update().filter(pk=tenant_id).first()
    if tenant is None:
        raise NotFound("This tenant")
    return tenant


def _check_time_zone(name: str) -> None:
    from zoneinfo import available_timezones  # noqa: PLC0415

    if name not in available_timezones():
        raise Invalid(f"There is no time zone {name[:64]}; try Asia/Jakarta.", field="time_zone")


def _below(tenant: Tenant) -> list[UUID]:
    """The tenant and all below it."""
    return list(Tenant.objects.filter(path__startswith=tenant.path).values_list("pk", flat=True))


def suspend_tenant(actor: Actor, tenant_id: UUID, *, reason: str = "") -> Tenant:
    """Stop everything of the tenant and of those below it, and allow no start. Asked again: a no-op."""
    with transaction.atomic():
        tenant = locked(actor, tenant_id)
        actor.require(Permission.TENANT_SUSPEND, tenant)
        if tenant.state == TenantState.SUSPENDED:
            return tenant
        children = Tenant.objects.filter(path__startswith=tenant.path, state=TenantState.ACTIVE).exclude(
            pk=tenant.pk
        )
        ids = [tenant.pk, *children.values_list("pk", flat=True)]
        children.update(state=TenantState.SUSPENDED, suspended_reason=_WITH_PARENT)
        tenant.state, tenant.suspended_reason = TenantState.SUSPENDED, reason[:400]
        tenant.save(update_fields=["state", "suspended_reason"])
        push_tenant(ids)
        record(actor, "tenant.suspend", tenant_id=tenant.pk, target=tenant, after={"reason": reason[:400]})
        events.publish("tenant", tenant.pk, tenant.pk)
    return tenant


def resume_tenant(actor: Actor, tenant_id: UUID) -> Tenant:
    """What ran before runs again. Asked again: a no-op."""
    with transaction.atomic():
        tenant = locked(actor, tenant_id)
        actor.require(Permission.TENANT_SUSPEND, tenant)
        if tenant.state == TenantState.ACTIVE:
            return tenant
        if Tenant.objects.filter(pk__in=tenant.chain[:-1], state=TenantState.SUSPENDED).exists():
            raise Conflict("The tenant above it is suspended; resume that one first.", code="parent_suspended")
        children = Tenant.objects.filter(
            path__startswith=tenant.path, state=TenantState.SUSPENDED, suspended_reason=_WITH_PARENT
        ).exclude(pk=tenant.pk)
        ids = [tenant.pk, *children.values_list("pk", flat=True)]
        children.update(state=TenantState.ACTIVE, suspended_reason="")
        tenant.state, tenant.suspended_reason = TenantState.ACTIVE, ""
        tenant.save(update_fields=["state", "suspended_reason"])
        push_tenant(ids)
        record(actor, "tenant.resume", tenant_id=tenant.pk, target=tenant)
        events.publish("tenant", tenant.pk, tenant.pk)
    return tenant


def usage_of(tenant: Tenant) -> dict[str, dict[str, Any]]:
    """Per resource `limit reserved used highest hits`: `used` as the nodes last saw it, all below included."""
    rows = list(
        EnvironmentUsage.objects.filter(
            environment__tenant__path__startswith=tenant.path, environment__deleted_at=None
        ).values_list("cpu", "memory_bytes", "disk_bytes")
    )
    used: dict[str, float] = {
        Resource.CPU: round(sum(row[0] for row in rows), 3),
        Resource.MEMORY_MB: round(sum(row[1] for row in rows) / _MIB),
        Resource.DISK_MB: round(sum(row[2] for row in rows) / _MIB),
        Resource.ENVIRONMENTS: Environment.objects.living()
        .filter(tenant__path__startswith=tenant.path)
        .count(),
    }
    return quotas.usage_of(tenant, used)


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
