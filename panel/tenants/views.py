"""Pages of tenants: their quota as bars, their members, what administrators above them decide."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from panel.errors import Refused
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.tenants import forms, lifecycle, services
from panel.tenants.models import Membership, Tenant, TenantState
from panel.tenants.permissions import Permission
from panel.tenants.usage import usage_of
from panel.ui.web import PageRequest, blame, page, signed_in


def usage_rows(tenant: Tenant) -> list[dict[str, Any]]:
    usage = usage_of(tenant)
    return [{"resource": r, "label": Resource(r).label, **usage[r]} for r in usage]


@require_safe
@signed_in
def tenants(request: PageRequest) -> HttpResponse:
    rows = Tenant.objects.for_actor(request.actor).select_related("parent")
    text = request.GET.get("q", "").strip()[:80]
    if text:
        rows = rows.filter(name__icontains=text)
    shown = [{"row": row, "usage": {u["resource"]: u for u in usage_rows(row)}} for row in rows[:100]]
    context = {
        "section": "tenant",
        "tenants": shown,
        "text": text,
        "may_create": request.actor.is_platform_administrator,
    }
    return page(request, "tenants/list.html", context)


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
                made = services.create_tenant(
                    request.actor, name=form.cleaned_data["name"], quota=quota.quota()
                )
            except Refused as refusal:
                blame(form if refusal.field in form.fields else quota, refusal)
                status = refusal.status
            else:
                messages.success(request, _("Tenant %(name)s created") % {"name": made})
                return redirect("tenant", made.pk)
    return page(request, "tenants/create.html", {"section": "tenant", "form": form, "quota": quota}, status)


def _one(request: PageRequest, tenant_id: UUID, quota: forms.QuotaForm | None, status: int) -> HttpResponse:
    row = Tenant.objects.select_related("parent").get_for(request.actor, tenant_id)
    actor = request.actor
    members = Membership.objects.for_actor(actor).filter(tenant=row).select_related("user", "custom_role")
    context = {
        "section": "tenant",
        "tenant": row,
        "usage": usage_rows(row),
        "members": members,
        "children": Tenant.objects.for_actor(actor).filter(parent=row),
        "quota": quota or forms.QuotaForm(initial=quotas.limits_of(row)),
        "may_people": actor.can(Permission.MEMBER_VIEW, row),
        "may_quota": actor.can(Permission.TENANT_QUOTA, row),
        "may_suspend": actor.can(Permission.TENANT_SUSPEND, row),
    }
    return page(request, "tenants/one.html", context, status)


@require_safe
@signed_in
def tenant(request: PageRequest, tenant_id: UUID) -> HttpResponse:
    return _one(request, tenant_id, None, 200)


@require_POST
@signed_in
def quota(request: PageRequest, tenant_id: UUID) -> HttpResponse:
    form = forms.QuotaForm(request.POST)
    status = 422
    if form.is_valid():
        try:
            services.update_tenant(request.actor, tenant_id, quota=form.quota())
        except Refused as refusal:
            blame(form, refusal)
            status = refusal.status
        else:
            messages.success(request, _("Quota saved"))
            return redirect("tenant", tenant_id)
    return _one(request, tenant_id, form, status)


@require_POST
@signed_in
def state(request: PageRequest, tenant_id: UUID) -> HttpResponse:
    if request.POST.get("state") == TenantState.SUSPENDED:
        row = lifecycle.suspend_tenant(request.actor, tenant_id, reason=request.POST.get("reason", ""))
        messages.success(request, _("%(name)s suspended") % {"name": row})
    else:
        row = lifecycle.resume_tenant(request.actor, tenant_id)
        messages.success(request, _("%(name)s resumed") % {"name": row})
    return redirect("tenant", tenant_id)
