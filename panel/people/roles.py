"""Roles of a tenant's own."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from panel import events
from panel.audit.services import record
from panel.errors import Conflict, Invalid, NotFound, Stale
from panel.rights.actor import Actor
from panel.rights.giving import check_permissions, require_all
from panel.rights.permissions import ROLES, Permission, RoleName
from panel.tenants.models import Membership, Role, Tenant
from panel.text import line

#: Of one tenant.
MOST = 100


def create_role(actor: Actor, tenant: Tenant, *, name: str, permissions: Sequence[str]) -> Role:
    """Of permissions that the actor has himself."""
    actor.require(Permission.MEMBER_MANAGE, tenant)
    known = check_permissions(permissions)
    require_all(actor, known, tenant)
    with transaction.atomic():
        if Role.objects.filter(tenant=tenant).count() >= MOST:
            raise Conflict(_("There are %(most)s roles already.") % {"most": MOST}, code="too_many")
        role = Role(tenant=tenant, name=_free_name(tenant, name), permissions=known)
        role.save(force_insert=True)
        record(actor, "role.create", tenant_id=tenant.pk, target=role, after={"permissions": known})
        events.publish("tenant", tenant.pk, tenant.pk)
    return role


def update_role(
    actor: Actor,
    role_id: UUID,
    *,
    name: str | None = None,
    permissions: Sequence[str] | None = None,
    version: int | None = None,
) -> Role:
    """Holds at once for everybody who has it. `version`: what the asker has read; `Stale` when it is older."""
    with transaction.atomic():
        role = _locked(actor, role_id)
        if version is not None and role.version != version:
            raise Stale
        before = {"name": role.name, "permissions": role.permissions}
        require_all(actor, role.permissions, role.tenant)
        if name is not None and name.strip() != role.name:
            role.name = _free_name(role.tenant, name)
        if permissions is not None:
            known = check_permissions(permissions)
            require_all(actor, known, role.tenant)
            role.permissions = known
        after = {"name": role.name, "permissions": role.permissions}
        if after != before:
            role.version += 1
            role.save(update_fields=["name", "permissions", "version"])
            record(actor, "role.change", tenant_id=role.tenant_id, target=role, before=before, after=after)
            for user_id in Membership.objects.filter(custom_role=role).values_list("user_id", flat=True):
                events.rights_changed(user_id)
            events.publish("tenant", role.tenant_id, role.tenant_id)
    return role


def delete_role(actor: Actor, role_id: UUID) -> Role:
    """Only while nobody has it. Invitations to it end with it."""
    with transaction.atomic():
        role = _locked(actor, role_id)
        require_all(actor, role.permissions, role.tenant)
        count = Membership.objects.filter(custom_role=role).count()
        if count:
            raise Conflict(
                _("%(count)s people have this role.") % {"count": count},
                code="role_in_use",
                next_step=_("Give them another one first."),
            )
        record(
            actor,
            "role.delete",
            tenant_id=role.tenant_id,
            target=role,
            before={"permissions": role.permissions},
        )
        events.publish("tenant", role.tenant_id, role.tenant_id)
        role.delete()
    return role


def _locked(actor: Actor, role_id: UUID) -> Role:
    rows = Role.objects.for_actor(actor).select_related("tenant").select_for_update(of=("self",))
    role = rows.filter(pk=role_id).first()
    if role is None:
        raise NotFound(_("This role"))
    actor.require(Permission.MEMBER_MANAGE, role.tenant)
    return role


def _free_name(tenant: Tenant, name: str) -> str:
    wanted = line(name, most=60)
    if Role.objects.filter(tenant=tenant, name=wanted).exists():
        raise Conflict(
            _("There is a role %(wanted)s already.") % {"wanted": wanted}, code="name_taken", field="name"
        )
    return wanted


def of_role(tenant: Tenant, role: str, custom: Role | None) -> frozenset[str]:
    """Permissions of a role that is to be given in the tenant."""
    if role not in RoleName.values or (role == RoleName.CUSTOM) != (custom is not None):
        raise Invalid(
            _("The role is one of %(rolename)s.") % {"rolename": ", ".join(RoleName.values)}, field="role"
        )
    if custom is None:
        return frozenset(ROLES[role])
    if custom.tenant_id != tenant.pk:
        raise Invalid(_("This role belongs to another tenant."), field="role")
    return frozenset(custom.permissions)
