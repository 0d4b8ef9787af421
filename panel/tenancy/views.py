"""Pages of tenants: their quota as bars, their members, what administrators above them decide."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from panel.errors import Forbidden, NotFound, Refused
from panel.folding import finds
from panel.paging import page_of_rows
from panel.quotas.models import Quota, Resource
from panel.quotas.units import shown as units_shown
from panel.quotas.units import shown_or_none
from panel.rights.permissions import Permission
from panel.tenancy import forms, lifecycle, services
from panel.tenancy.preview import preview_limits
from panel.tenancy.usage import living_by_node, show_taker, takers, usage_of
from panel.tenants.chosen import shows
from panel.tenants.models import Membership, Tenant, TenantState
from panel.ui.web import PageRequest, blame, page, signed_in

_PER_PAGE = 50
#: Resources in the list of tenants.
_IN_LIST = ("environments", "cpu", "memory_mb", "disk_mb")
#: Environments on a tenant's page, the largest first; all are in the list of environments.
_TAKERS = 50


def usage_rows(tenant: Tenant) -> list[dict[str, Any]]:
    usage = usage_of(tenant)
    return [{"resource": r, "label": Resource(r).label, **usage[r]} for r in usage]


@require_safe
@signed_in
def tenants(request: PageRequest) -> HttpResponse:
    rows = Tenant.objects.for_actor(request.actor).select_related("parent").order_by("name", "id")
    text = request.GET.get("q", "").strip()[:80]
    if text:
        rows = rows.filter(finds(text, "name", "slug"))
    found = page_of_rows(rows, _PER_PAGE, request.GET.get("page"))
    context = {
        "section": "tenant",
        "rows": found,
        "tenants": [{"row": row, "quota": held.get(row.pk, {})} for held in [_held(found)] for row in found],
        "text": text,
        "may_create": request.actor.is_platform_administrator,
    }
    return page(request, "tenants/list.html", context)


def _held(rows: Iterable[Tenant]) -> dict[UUID, dict[str, dict[str, Any]]]:
    """What is reserved of which limit, by tenant and resource; one query for the whole page."""
    found: dict[UUID, dict[str, dict[str, Any]]] = {}
    shown = Quota.objects.filter(tenant__in=[row.pk for row in rows], resource__in=_IN_LIST)
    for row in shown:
        found.setdefault(row.tenant_id, {})[row.resource] = {
            "resource": row.resource,
            "limit": shown_or_none(row.resource, row.limit),
            "reserved": units_shown(row.resource, row.reserved),
            "alert": row.alerted,
        }
    return found


@signed_in
def create(request: PageRequest) -> HttpResponse:
    request.actor.require(Permission.TENANT_CREATE)
    form = forms.TenantForm(request.POST or None)
    quota = forms.QuotaForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid() and quota.is_valid():
            try:
                made = services.create_tenant(request.actor, **form.cleaned_data, quota=quota.quota())
            except Refused as refusal:
                blame(form if refusal.field in form.fields else quota, refusal)
                status = refusal.status
            else:
                messages.success(request, _("Tenant %(name)s created") % {"name": made})
                return redirect("tenant", made.pk)
    return page(request, "tenants/create.html", {"section": "tenant", "form": form, "quota": quota}, status)


def show_tenant(
    request: PageRequest, tenant_id: UUID, *, status: int = 200, **forms_and_more: Any
) -> HttpResponse:
    """The tenant's page, with a form that came back (`quota`, `deletion`) and what was asked about it."""
    row = Tenant.objects.select_related("parent").get_for(request.actor, tenant_id)
    actor = request.actor
    shows(request, actor, row)
    members = Membership.objects.for_actor(actor).filter(tenant=row).select_related("user", "custom_role")
    may_quota = actor.can(Permission.TENANT_QUOTA, row)
    context = {
        "section": "tenant",
        "tenant": row,
        "usage": usage_rows(row),
        "takers": [show_taker(one) for one in takers(row)[:_TAKERS]],
        "nodes": living_by_node(row),
        "members": members,
        "children": Tenant.objects.for_actor(actor).filter(parent=row),
        "quota": forms.QuotaChangeForm(initial=forms.initial_quota(row)) if may_quota else None,
        "may_quota": may_quota,
        "may_people": actor.can(Permission.MEMBER_VIEW, row),
        "may_suspend": actor.can(Permission.TENANT_SUSPEND, row),
        "may_change": actor.can(Permission.TENANT_CHANGE, row),
        "trash": forms.TrashForm(initial={"trash_days": row.trash_days}),
        "suspension": forms.SuspendForm(),
        "deletion": forms.DeletionForm(),
    }
    return page(request, "tenants/one.html", {**context, **forms_and_more}, status)


@require_safe
@signed_in
def tenant(request: PageRequest, tenant_id: UUID) -> HttpResponse:
    return show_tenant(request, tenant_id)


@require_POST
@signed_in
def quota(request: PageRequest, tenant_id: UUID) -> HttpResponse:
    """Save the quota, or only say what saving it would mean."""
    form = forms.QuotaChangeForm(request.POST)
    status = 422
    if form.is_valid():
        try:
            if "preview" in request.POST:
                row = Tenant.objects.get_for(request.actor, tenant_id)
                request.actor.require(Permission.TENANT_QUOTA, row)
                return show_tenant(request, tenant_id, quota=form, preview=preview_limits(row, form.quota()))
            services.update_tenant(request.actor, tenant_id, **form.changes())
        except (Forbidden, NotFound):
            raise
        except Refused as refusal:
            blame(form, refusal)
            status = refusal.status
        else:
            messages.success(request, _("Quota saved"))
            return redirect("tenant", tenant_id)
    return show_tenant(request, tenant_id, status=status, quota=form)


@require_POST
@signed_in
def trash(request: PageRequest, tenant_id: UUID) -> HttpResponse:
    form = forms.TrashForm(request.POST)
    if not form.is_valid():
        return show_tenant(request, tenant_id, status=422, trash=form)
    services.update_tenant(request.actor, tenant_id, **form.cleaned_data)
    messages.success(request, _("Days in the trash saved"))
    return redirect("tenant", tenant_id)


@require_POST
@signed_in
def state(request: PageRequest, tenant_id: UUID) -> HttpResponse:
    if request.POST.get("state") == TenantState.SUSPENDED:
        row = lifecycle.suspend_tenant(
            request.actor,
            tenant_id,
            reason=request.POST.get("reason", ""),
            how=request.POST.get("how", "stop"),
        )
        messages.success(request, _("%(name)s suspended") % {"name": row})
    else:
        row = lifecycle.resume_tenant(request.actor, tenant_id)
        messages.success(request, _("%(name)s resumed") % {"name": row})
    return redirect("tenant", tenant_id)


@require_POST
@signed_in
def delete(request: PageRequest, tenant_id: UUID) -> HttpResponse:
    """Asks for the name, since a whole tenant goes; until the waiting time is over it can be kept."""
    row = Tenant.objects.get_for(request.actor, tenant_id)
    request.actor.require(Permission.TENANT_SUSPEND, row)
    form = forms.DeletionForm(request.POST)
    if form.is_valid() and form.cleaned_data["typed_name"].strip() != row.name:
        form.add_error("typed_name", _("This is not its name: type %(name)s.") % {"name": row.name})
    if not form.is_valid():
        return show_tenant(request, tenant_id, status=422, deletion=form)
    wait_s = round(form.cleaned_data["wait_days"] * 86_400)
    lifecycle.schedule_deletion(request.actor, tenant_id, wait_s=wait_s)
    messages.success(request, _("%(name)s will be deleted") % {"name": row})
    return redirect("tenant", tenant_id)


@require_POST
@signed_in
def keep(request: PageRequest, tenant_id: UUID) -> HttpResponse:
    row = lifecycle.cancel_deletion(request.actor, tenant_id)
    messages.success(request, _("%(name)s is kept") % {"name": row})
    return redirect("tenant", tenant_id)
