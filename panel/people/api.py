"""/api/v1/tenants/{id}/{members,roles,invitations,support} and /api/v1/environments/{id}/shares"""

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import Field

from panel.access.models import Invitation, Share, SupportAccess
from panel.environments.models import Environment
from panel.errors import NotFound
from panel.http.answers import ListOf
from panel.http.inputs import Input, Moment
from panel.http.inputs import Query as Asked
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.http.versions import expected_version
from panel.people import answers, invitations, members, roles, shares, support
from panel.rights.asking import actor
from panel.rights.permissions import Permission
from panel.tenants.models import Membership, Role, Tenant
from panel.tenants.selectors import tenant_of

tenant_router = Router()
environment_router = Router()
support_router = Router()


class SetRole(Input):
    role: str = Field(description="A role's name, or custom:<id> for one of the tenant's own.", max_length=80)


class NewRole(Input):
    name: str = Field(max_length=200)
    permissions: list[str] = Field(max_length=100)


class ChangedRole(Input):
    name: str | None = Field(default=None, max_length=200)
    permissions: list[str] | None = Field(default=None, max_length=100)


class NewInvitation(Input):
    email: str = Field(max_length=254)
    role: str = Field(max_length=80)


class NewSupport(Input):
    reason: str = Field(max_length=2000, description="The tenant reads it, with your name and the time.")
    minutes: int = Field(default=30, description="5 to 480.")


class Supports(Asked):
    running: bool | None = None
    mine: bool = Field(default=False, description="Only one's own.")


class NewShare(Input):
    email: str = Field(max_length=254)
    permissions: list[str] = Field(default=[], max_length=100)
    ends_at: Moment


def _tenant(request: HttpRequest, pk: str, permission: Permission) -> Tenant:
    who = actor(request)
    row = tenant_of(who, pk)
    who.require(permission, row)
    return row


def show_member(row: Membership) -> answers.Member:
    return {
        "user": str(row.user_id),
        "username": row.user.username,
        "email": row.user.email,
        "role": f"custom:{row.custom_role_id}" if row.custom_role_id else row.role,
        "version": row.version,
    }


def show_role(row: Role) -> answers.Role:
    return {"id": str(row.pk), "name": row.name, "permissions": row.permissions, "version": row.version}


def show_invitation(row: Invitation) -> answers.Invitation:
    """Never its link, which only the mail holds."""
    return {
        "id": str(row.pk),
        "email": row.email,
        "role": f"custom:{row.custom_role_id}" if row.custom_role_id else row.role,
        "environment": str(row.environment_id) if row.environment_id else None,
        "permissions": row.permissions,
        "share_ends_at": row.share_ends_at.isoformat() if row.share_ends_at else None,
        "expires_at": row.expires_at.isoformat(),
    }


def show_share(row: Share) -> answers.Share:
    return {
        "id": str(row.pk),
        "user": str(row.user_id),
        "username": row.user.username,
        "permissions": row.permissions,
        "expires_at": row.expires_at.isoformat(),
    }


def show_support(row: SupportAccess) -> answers.SupportAccess:
    return {
        "id": str(row.pk),
        "tenant": str(row.tenant_id),
        "who": row.user.username,
        "reason": row.reason,
        "started_at": row.started_at.isoformat(),
        "ends_at": row.ends_at.isoformat(),
        "ended_at": row.ended_at.isoformat() if row.ended_at else None,
        "ended_by": row.ended_by,
        "is_running": row.is_running(),
    }


@tenant_router.get("/{pk}/members", response=ListOf[answers.Member], operation_id="members_list")
def list_members(request: HttpRequest, pk: str, page: Query[Page]) -> ListOf[answers.Member]:
    tenant = _tenant(request, pk, Permission.MEMBER_VIEW)
    rows = Membership.objects.filter(tenant=tenant).select_related("user").order_by("user__username")
    return page_of(rows, page, show_member)


@tenant_router.patch("/{pk}/members/{user}", response=answers.Member, operation_id="members_update")
def set_role(request: HttpRequest, pk: str, user: str, payload: SetRole) -> answers.Member:
    """`If-Match` with the version that you have read: 412 when it was changed since."""
    tenant = _tenant(request, pk, Permission.MEMBER_MANAGE)
    rows = Membership.objects.select_related("user").filter(tenant=tenant)
    found = rows.filter(user_id=uuid_of(user, "This member")).first()
    if found is None:
        raise NotFound(_("This member"))
    role, custom = members.role_from(tenant, payload.role)
    version = expected_version(request)
    return show_member(
        members.set_member(actor(request), tenant, found.user, role=role, custom=custom, version=version)
    )


@tenant_router.delete("/{pk}/members/{user}", response={204: None}, operation_id="members_remove")
def remove_member(request: HttpRequest, pk: str, user: str) -> Status[None]:
    tenant = tenant_of(actor(request), pk)
    members.remove_member(actor(request), tenant, uuid_of(user, "This member"))
    return Status(204, None)


@tenant_router.get("/{pk}/roles", response=ListOf[answers.Role], operation_id="roles_list")
def list_roles(request: HttpRequest, pk: str, page: Query[Page]) -> ListOf[answers.Role]:
    tenant = _tenant(request, pk, Permission.MEMBER_VIEW)
    return page_of(Role.objects.filter(tenant=tenant).order_by("name"), page, show_role)


@tenant_router.post("/{pk}/roles", response={201: answers.Role}, operation_id="roles_create")
def create_role(request: HttpRequest, pk: str, payload: NewRole) -> Status[answers.Role]:
    tenant = _tenant(request, pk, Permission.MEMBER_MANAGE)
    return Status(201, show_role(roles.create_role(actor(request), tenant, **payload.model_dump())))


@tenant_router.patch("/{pk}/roles/{role}", response=answers.Role, operation_id="roles_update")
def update_role(request: HttpRequest, pk: str, role: str, payload: ChangedRole) -> answers.Role:
    """`If-Match` with the version that you have read: 412 when it was changed since."""
    row = _role(request, pk, role)
    changes = payload.model_dump(exclude_unset=True)
    return show_role(roles.update_role(actor(request), row.pk, version=expected_version(request), **changes))


@tenant_router.delete("/{pk}/roles/{role}", response={204: None}, operation_id="roles_delete")
def delete_role(request: HttpRequest, pk: str, role: str) -> Status[None]:
    roles.delete_role(actor(request), _role(request, pk, role).pk)
    return Status(204, None)


def _role(request: HttpRequest, pk: str, role: str) -> Role:
    tenant = _tenant(request, pk, Permission.MEMBER_MANAGE)
    return Role.objects.filter(tenant=tenant).get_for(actor(request), uuid_of(role, "This role"))


@tenant_router.get("/{pk}/invitations", response=ListOf[answers.Invitation], operation_id="invitations_list")
def list_invitations(request: HttpRequest, pk: str, page: Query[Page]) -> ListOf[answers.Invitation]:
    tenant = _tenant(request, pk, Permission.MEMBER_MANAGE)
    return page_of(Invitation.objects.open().filter(tenant=tenant), page, show_invitation)


@tenant_router.post("/{pk}/invitations", response={201: answers.Invitation}, operation_id="invitations_create")
def invite(request: HttpRequest, pk: str, payload: NewInvitation) -> Status[answers.Invitation]:
    """The link goes out by mail, and is in no answer."""
    tenant = _tenant(request, pk, Permission.MEMBER_MANAGE)
    role, custom = members.role_from(tenant, payload.role)
    row, _link = invitations.invite(actor(request), tenant, email=payload.email, role=role, custom=custom)
    return Status(201, show_invitation(row))


@tenant_router.delete("/{pk}/invitations/{invitation}", response={204: None}, operation_id="invitations_revoke")
def revoke_invitation(request: HttpRequest, pk: str, invitation: str) -> Status[None]:
    tenant = tenant_of(actor(request), pk)
    row = Invitation.objects.filter(tenant=tenant, pk=uuid_of(invitation, "This invitation")).first()
    if row is None:
        raise NotFound(_("This invitation"))
    invitations.revoke_invitation(actor(request), row.pk)
    return Status(204, None)


@tenant_router.get("/{pk}/support", response=ListOf[answers.SupportAccess], operation_id="support_list")
def list_support(request: HttpRequest, pk: str, page: Query[Page]) -> ListOf[answers.SupportAccess]:
    """Administrators of the installation in this tenant's view: who, when and why."""
    tenant = _tenant(request, pk, Permission.MEMBER_VIEW)
    rows = SupportAccess.objects.filter(tenant=tenant).select_related("user")
    return page_of(rows, page, show_support)


@tenant_router.post("/{pk}/support", response={201: answers.EnteredSupport}, operation_id="support_enter")
def enter_support(request: HttpRequest, pk: str, payload: NewSupport) -> Status[answers.EnteredSupport]:
    """Enter a tenant's view: what the answer's `token` does is marked in the audit record; it ends with it."""
    tenant = _tenant(request, pk, Permission.USER_MANAGE)
    row, text = support.enter_by_token(actor(request), tenant, **payload.model_dump())
    return Status(201, {**show_support(row), "token": text})


@tenant_router.delete("/{pk}/support/{support_id}", response={204: None}, operation_id="support_end")
def end_support(request: HttpRequest, pk: str, support_id: str) -> Status[None]:
    tenant = tenant_of(actor(request), pk)
    rows = SupportAccess.objects.filter(tenant=tenant)
    row = rows.get_for(actor(request), uuid_of(support_id, "This support access"))
    support.end(actor(request), row.pk)
    return Status(204, None)


@support_router.get("", response=ListOf[answers.SupportAccess], operation_id="support_accesses")
def list_supports(
    request: HttpRequest, page: Query[Page], filters: Query[Supports]
) -> ListOf[answers.SupportAccess]:
    """Of all tenants whose people one sees; of administrators of the installation, all."""
    rows = support.accesses(actor(request), is_running=filters.running, is_own=filters.mine)
    return page_of(rows, page, show_support)


def _shared(request: HttpRequest, pk: str) -> Environment:
    who = actor(request)
    living = Environment.objects.living().select_related("tenant")
    row = living.get_for(who, uuid_of(pk, "This environment"))
    who.require(Permission.ENVIRONMENT_SHARE, row)
    return row


@environment_router.get("/{pk}/shares", response=ListOf[answers.Share], operation_id="shares_list")
def list_shares(request: HttpRequest, pk: str, page: Query[Page]) -> ListOf[answers.Share]:
    rows = Share.objects.filter(environment=_shared(request, pk), expires_at__gt=timezone.now())
    return page_of(rows.select_related("user"), page, show_share)


@environment_router.post("/{pk}/shares", response={201: answers.Invitation}, operation_id="shares_create")
def share(request: HttpRequest, pk: str, payload: NewShare) -> Status[answers.Invitation]:
    """Invites the person by mail; the share begins when the invitation is accepted."""
    row, _link = invitations.invite_to_environment(actor(request), _shared(request, pk), **payload.model_dump())
    return Status(201, show_invitation(row))


@environment_router.delete("/{pk}/shares/{share_id}", response={204: None}, operation_id="shares_remove")
def remove_share(request: HttpRequest, pk: str, share_id: str) -> Status[None]:
    living = Environment.objects.living()
    row = living.get_for(actor(request), uuid_of(pk, "This environment"))
    found = Share.objects.filter(environment=row, pk=uuid_of(share_id, "This share")).first()
    if found is None:
        raise NotFound(_("This share"))
    shares.remove_share(actor(request), found.pk)
    return Status(204, None)
