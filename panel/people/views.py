"""Pages of people: members, invitations, roles of one's own, shares, support accesses."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import login
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from panel.access.auth import SUPPORT_KEY
from panel.access.models import Invitation, Share, SupportAccess
from panel.accounts.models import User
from panel.environments.views import one
from panel.errors import NotFound, Refused
from panel.http.client import client_address
from panel.paging import page_of_rows
from panel.people import forms, invitations, members, roles, shares, support
from panel.rights.labels import words
from panel.rights.permissions import Permission, RoleName
from panel.tenancy.services import update_tenant
from panel.tenants.chosen import shows
from panel.tenants.models import Membership, Role, Tenant
from panel.ui.once import keep_once, take_once
from panel.ui.web import PageRequest, blame, page, sentence, signed_in, tried, version_of

_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


# people of a tenant -------------------------------------------------------------------------------


def _tenant(request: PageRequest, tenant_id: UUID, permission: Permission) -> Tenant:
    row = Tenant.objects.get_for(request.actor, tenant_id)
    shows(request, request.actor, row)
    request.actor.require(permission, row)
    return row


def _people(request: PageRequest, tenant: Tenant, bound: dict[str, Form], status: int = 200) -> HttpResponse:
    actor = request.actor
    may_manage = actor.can(Permission.MEMBER_MANAGE, tenant)
    given = members.roles_to_give(actor, tenant) if may_manage else []
    rows = Membership.objects.filter(tenant=tenant).select_related("user", "custom_role")
    context = {
        "section": "people",
        "tenant": tenant,
        "members": rows.order_by("user__username"),
        "roles": given,
        "own_roles": Role.objects.filter(tenant=tenant).order_by("name"),
        "invitations": Invitation.objects.for_actor(actor).open().filter(tenant=tenant, environment=None),
        "shares": Share.objects.filter(tenant=tenant, expires_at__gt=timezone.now()).select_related(
            "user", "environment"
        )
        if may_manage
        else [],
        "supports": SupportAccess.objects.filter(tenant=tenant).select_related("user")[:20],
        "link": take_once(request, f"link-{tenant.pk}"),
        "may_manage": may_manage,
        "may_change": actor.can(Permission.TENANT_CHANGE, tenant),
        "may_support": actor.is_platform_administrator,
        "invite": bound.get("invite") or forms.InviteForm(roles=given, initial={"role": RoleName.VIEWER}),
        "enter": bound.get("enter") or forms.SupportForm(),
    }
    return page(request, "access/people.html", context, status)


@require_safe
@signed_in
def people(request: PageRequest, tenant_id: UUID) -> HttpResponse:
    return _people(request, _tenant(request, tenant_id, Permission.MEMBER_VIEW), {})


@require_POST
@signed_in
def invite(request: PageRequest, tenant_id: UUID) -> HttpResponse:
    tenant = _tenant(request, tenant_id, Permission.MEMBER_MANAGE)
    form = forms.InviteForm(request.POST, roles=members.roles_to_give(request.actor, tenant))

    def send(sent: dict[str, Any]) -> tuple[Invitation, str]:
        role, custom = members.role_from(tenant, sent["role"])
        return invitations.invite(request.actor, tenant, email=sent["email"], role=role, custom=custom)

    made, status = tried(form, send)
    if made is None:
        return _people(request, tenant, {"invite": form}, status)
    row, link = made
    _say_sent(request, row, tenant.pk, link)
    return redirect("people", tenant.pk)


def _say_sent(request: PageRequest, row: Invitation, place: UUID, link: str) -> None:
    """`place`: whose page shows the link next. Administrators see it: they could read their own mail log."""
    values = {"email": row.email, "role": row.custom_role or row.role}
    before = row.replaces
    if before is None:
        said = _("An invitation goes to %(email)s") % values
    elif (before.role, before.custom_role_id) == (row.role, row.custom_role_id):
        said = _("A new invitation goes to %(email)s; the link sent before no longer works.") % values
    else:
        said = _(
            "A new invitation goes to %(email)s, now as %(role)s in place of %(before)s; the link sent before "
            "no longer works."
        ) % {**values, "before": before.custom_role or before.role}
    messages.success(request, said)
    if request.actor.is_platform_administrator:
        keep_once(request, f"link-{place}", link)


@require_POST
@signed_in
def set_role(request: PageRequest, tenant_id: UUID, user_id: UUID) -> HttpResponse:
    tenant = _tenant(request, tenant_id, Permission.MEMBER_MANAGE)
    member = Membership.objects.select_related("user").filter(tenant=tenant, user_id=user_id).first()
    if member is None:
        raise NotFound(_("This member"))
    role, custom = members.role_from(tenant, request.POST.get("role", ""))
    members.set_member(
        request.actor,
        tenant,
        member.user,
        role=role,
        custom=custom,
        version=version_of(request.POST.get("version", "")),
    )
    messages.success(request, _("%(name)s has another role now") % {"name": member.user})
    return redirect("people", tenant.pk)


@require_POST
@signed_in
def remove_member(request: PageRequest, tenant_id: UUID, user_id: UUID) -> HttpResponse:
    tenant = Tenant.objects.get_for(request.actor, tenant_id)
    members.remove_member(request.actor, tenant, user_id)
    messages.success(request, _("Removed from %(name)s") % {"name": tenant})
    return redirect("home" if user_id == request.actor.user.pk else reverse("people", args=[tenant.pk]))


@require_POST
@signed_in
def second_factor(request: PageRequest, tenant_id: UUID) -> HttpResponse:
    tenant = _tenant(request, tenant_id, Permission.TENANT_CHANGE)
    update_tenant(request.actor, tenant.pk, requires_mfa=request.POST.get("is_required") == "1")
    messages.success(request, _("Saved"))
    return redirect("people", tenant.pk)


@require_POST
@signed_in
def revoke_invitation(request: PageRequest, invitation_id: UUID) -> HttpResponse:
    row = invitations.revoke_invitation(request.actor, invitation_id)
    messages.success(request, _("The invitation of %(email)s is revoked") % {"email": row.email})
    if row.environment_id:
        return redirect("environment-shares", row.environment_id)
    return redirect("people", row.tenant_id)


# roles --------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def create_role(request: PageRequest, tenant_id: UUID) -> HttpResponse:
    tenant = _tenant(request, tenant_id, Permission.MEMBER_MANAGE)
    form = forms.RoleForm(request.POST or None)
    status = 200
    if request.method == "POST":

        def create(sent: dict[str, Any]) -> Role:
            return roles.create_role(request.actor, tenant, name=sent["name"], permissions=sent["permissions"])

        made, status = tried(form, create)
        if made is not None:
            messages.success(request, _("Role %(name)s created") % {"name": made})
            return redirect("people", tenant.pk)
    return _role(request, tenant, None, form, status)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def role(request: PageRequest, role_id: UUID) -> HttpResponse:
    row = Role.objects.select_related("tenant").get_for(request.actor, role_id)
    request.actor.require(Permission.MEMBER_MANAGE, row.tenant)
    initial = {"name": row.name, "permissions": row.permissions, "version": row.version}
    form = forms.RoleForm(request.POST or None, initial=initial)
    status = 200
    if request.method == "POST":
        _done, status = tried(form, lambda sent: roles.update_role(request.actor, row.pk, **sent))
        if status == 200:
            messages.success(request, _("Role %(name)s saved") % {"name": form.cleaned_data["name"]})
            return redirect("people", row.tenant_id)
    return _role(request, row.tenant, row, form, status)


def _role(
    request: PageRequest, tenant: Tenant, row: Role | None, form: forms.RoleForm, status: int
) -> HttpResponse:
    shows(request, request.actor, tenant)
    context = {"section": "people", "tenant": tenant, "role": row, "form": form}
    return page(request, "access/role.html", context, status)


@require_POST
@signed_in
def delete_role(request: PageRequest, role_id: UUID) -> HttpResponse:
    row = roles.delete_role(request.actor, role_id)
    messages.success(request, _("Role %(name)s deleted") % {"name": row})
    return redirect("people", row.tenant_id)


# shares -------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def environment_shares(request: PageRequest, environment_id: UUID) -> HttpResponse:
    row = one.get(request, environment_id)
    request.actor.require(Permission.ENVIRONMENT_SHARE, row)
    form = forms.ShareForm(request.POST or None)
    status = 200
    if request.method == "POST":

        def send(sent: dict[str, Any]) -> tuple[Invitation, str]:
            ends_at = timezone.now() + timedelta(days=sent.pop("days"))
            return invitations.invite_to_environment(request.actor, row, **sent, ends_at=ends_at)

        made, status = tried(form, send)
        if made is not None:
            _say_sent(request, made[0], row.pk, made[1])
            return redirect("environment-shares", row.pk)
    given: list[dict[str, Any]] = [
        {"row": share, "words": words(share.permissions)}
        for share in Share.objects.filter(environment=row).select_related("user")
    ]
    context = {
        **one.context_of(request, row, "shares"),
        "form": form,
        "shares": given,
        "invitations": Invitation.objects.open().filter(environment=row),
        "link": take_once(request, f"link-{row.pk}"),
    }
    return page(request, "access/shares.html", context, status)


@require_POST
@signed_in
def remove_share(request: PageRequest, share_id: UUID) -> HttpResponse:
    row = shares.remove_share(request.actor, share_id)
    messages.success(request, _("%(name)s is no longer shared with %(who)s") % {
        "name": row.environment, "who": row.user
    })  # fmt: skip
    if row.user_id == request.actor.user.pk:
        return redirect("environments")
    return redirect("environment-shares", row.environment_id)


# support ------------------------------------------------------------------------------------------


@require_POST
@signed_in
def enter_support(request: PageRequest, tenant_id: UUID) -> HttpResponse:
    tenant = _tenant(request, tenant_id, Permission.USER_MANAGE)
    form = forms.SupportForm(request.POST)
    row, status = tried(form, lambda sent: support.enter(request.actor, tenant, **sent))
    if row is None:
        return _people(request, tenant, {"enter": form}, status)
    request.session[SUPPORT_KEY] = str(row.pk)
    return redirect(f"{reverse('environments')}?tenant={tenant.slug}")


@require_safe
@signed_in
def supports(request: PageRequest) -> HttpResponse:
    """Of all tenants whose people one sees."""
    rows = support.accesses(request.actor)
    context = {"section": "support", "rows": page_of_rows(rows, 50, request.GET.get("page"))}
    return page(request, "access/supports.html", context)


@require_POST
@signed_in
def end_support(request: PageRequest, support_id: UUID) -> HttpResponse:
    row = support.end(request.actor, support_id)
    if request.session.get(SUPPORT_KEY) == str(row.pk):
        del request.session[SUPPORT_KEY]
    messages.success(request, _("The support access has ended"))
    return redirect("people", row.tenant_id)


# coming in ----------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: HttpRequest, key: str) -> HttpResponse:
    """The link of an invitation, for people with an account and without one."""
    row = invitations.find(key)
    if row is None:
        return render(request, "access/no_invitation.html", status=404)
    user = request.user
    if isinstance(user, User) and user.is_authenticated:
        return _accept_signed_in(request, row, key, user)
    has_account = User.objects.filter(email__iexact=row.email).exists()
    form = forms.JoinForm(request.POST or None)
    status = 200
    if request.method == "POST" and not has_account:
        status = 422
        if form.is_valid():
            try:
                row, made = invitations.accept_as_new(
                    key, **form.cleaned_data, address=client_address(request.META)
                )
            except NotFound:
                return render(request, "access/no_invitation.html", status=404)
            except Refused as refusal:
                blame(form, refusal)
                status = refusal.status
            else:
                login(request, made, backend=_BACKEND)
                return _welcome(request, row)
    context = {"row": row, "form": form, "has_account": has_account, "what": words(row.permissions)}
    return render(request, "access/accept.html", context, status=status)


def _accept_signed_in(request: HttpRequest, row: Invitation, key: str, user: User) -> HttpResponse:
    refusal_text, status = "", 200
    if request.method == "POST":
        try:
            invitations.accept(user, key, client_address(request.META))
        except NotFound:
            return render(request, "access/no_invitation.html", status=404)
        except Refused as refusal:
            refusal_text, status = sentence(refusal), refusal.status
        else:
            return _welcome(request, row)
    context = {"row": row, "refusal": refusal_text, "what": words(row.permissions)}
    return render(request, "access/accept.html", context, status=status)


def _welcome(request: HttpRequest, row: Invitation) -> HttpResponse:
    messages.success(request, _("Welcome to %(name)s") % {"name": row.environment or row.tenant})
    if row.environment_id:
        return redirect("environment", row.environment_id)
    return redirect(f"{reverse('environments')}?tenant={row.tenant.slug}")
