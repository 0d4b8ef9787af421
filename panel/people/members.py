"""Who belongs to a tenant, and as what."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from panel import events
from panel.accounts.models import User
from panel.audit.services import record
from panel.errors import Conflict, NotFound, Stale
from panel.people.roles import of_role
from panel.rights.actor import Actor
from panel.rights.giving import has_all, require_all
from panel.rights.permissions import ROLES, Permission, RoleName
from panel.tenants.grants import permissions_of
from panel.tenants.models import Membership, Role, Tenant

#: Of one tenant; each page of people shows all of them.
MOST = 1000


def set_member(
    actor: Actor,
    tenant: Tenant,
    user: User,
    *,
    role: str,
    custom: Role | None = None,
    version: int | None = None,
) -> Membership:
    """Add a person or change his role. Nobody gives or takes a right that he lacks; one owner stays.

    `version`: what the asker has read; `Stale` when the membership was changed since.
    """
    actor.require(Permission.MEMBER_MANAGE, tenant)
    require_all(actor, of_role(tenant, role, custom), tenant)
    with transaction.atomic():
        found = _locked(tenant, user.pk)
        if version is not None and (found is None or found.version != version):
            raise Stale
        before = _shown(found)
        if found is None and Membership.objects.filter(tenant=tenant).count() >= MOST:
            raise Conflict(_("There are %(most)s members already.") % {"most": MOST}, code="too_many")
        if found is not None:
            require_all(actor, permissions_of(found), tenant)
            if found.role == RoleName.OWNER and role != RoleName.OWNER:
                _keep_an_owner(tenant, found)
        values = {"role": role, "custom_role": custom, "version": found.version + 1 if found else 1}
        member = Membership.objects.update_or_create(tenant=tenant, user=user, defaults=values)[0]
        record(actor, "member.set", tenant_id=tenant.pk, target=user, before=before, after=_shown(member))
        _tell(user.pk, tenant)
    return member


def remove_member(actor: Actor, tenant: Tenant, user_id: UUID) -> None:
    """At once: his sockets close, his tokens for the tenant are refused. Everybody may leave himself."""
    is_leaving = user_id == actor.user.pk and actor.speaks_for_its_person
    if not is_leaving:
        actor.require(Permission.MEMBER_MANAGE, tenant)
    with transaction.atomic():
        found = _locked(tenant, user_id)
        if found is None:
            raise NotFound(_("This member"))
        if not is_leaving:
            require_all(actor, permissions_of(found), tenant)
        if found.role == RoleName.OWNER:
            _keep_an_owner(tenant, found)
        user, before = found.user, _shown(found)
        found.delete()
        record(actor, "member.remove", tenant_id=tenant.pk, target=user, before=before)
        _tell(user.pk, tenant)


def _locked(tenant: Tenant, user_id: UUID) -> Membership | None:
    """Behind the tenant's lock: of two who take the last two owners away at once, one waits, and is told."""
    Tenant.objects.select_for_update(no_key=True).filter(pk=tenant.pk).first()
    rows = Membership.objects.select_for_update(of=("self",)).select_related("user", "custom_role")
    return rows.filter(tenant=tenant, user_id=user_id).first()


def _shown(member: Membership | None) -> dict[str, str]:
    if member is None:
        return {"role": ""}
    return {"role": member.custom_role.name if member.custom_role is not None else member.role}


def _keep_an_owner(tenant: Tenant, member: Membership) -> None:
    others = Membership.objects.filter(tenant=tenant, role=RoleName.OWNER).exclude(pk=member.pk)
    if not others.exists():
        raise Conflict(
            _("A tenant keeps at least one owner."),
            code="last_owner",
            next_step=_("Make somebody else an owner first."),
        )


def _tell(user_id: UUID, tenant: Tenant) -> None:
    events.rights_changed(user_id)
    events.publish("tenant", tenant.pk, tenant.pk)


def roles_to_give(actor: Actor, tenant: Tenant) -> list[tuple[str, str]]:
    """`role` or `custom:<id>` with its name: all whose permissions the actor has himself."""
    ready = [(name, str(RoleName(name).label)) for name in ROLES if has_all(actor, ROLES[name], tenant)]
    own = Role.objects.filter(tenant=tenant).order_by("name")
    return ready + [(f"custom:{row.pk}", row.name) for row in own if has_all(actor, row.permissions, tenant)]


def role_from(tenant: Tenant, text: str) -> tuple[str, Role | None]:
    """What `roles_to_give` calls a role, as the role's name and the tenant's own role."""
    if not text.startswith("custom:"):
        return text, None
    try:
        found = Role.objects.filter(tenant=tenant, pk=UUID(text.removeprefix("custom:"))).first()
    except ValueError:
        found = None
    if found is None:
        raise NotFound(_("This role"))
    return RoleName.CUSTOM, found
