"""Pages of plans, for administrators of the installation."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from panel.errors import NotFound, Refused
from panel.offers.forms import PlanForm, initial_of
from panel.offers.preview import preview_update
from panel.plans import services
from panel.plans.models import Plan
from panel.plans.selectors import plan_of, versions_of
from panel.rights.permissions import Permission
from panel.ui.web import PageRequest, blame, page, signed_in, tried

_NEW = {"cpu": 1, "memory_mb": 1024, "disk_mb": 10240, "processes": 512, "traffic_action": "slow"}


@signed_in
def plans(request: PageRequest) -> HttpResponse:
    request.actor.require(Permission.PLAN_MANAGE)
    form = PlanForm(request.POST or None, initial=_NEW)
    status = 200
    if request.method == "POST":

        def create(_sent: dict[str, Any]) -> Plan:
            values: dict[str, Any] = {**_texts(form), **form.terms()}
            return services.create_plan(request.actor, **values)

        made, status = tried(form, create)
        if made is not None:
            messages.success(request, _("Plan %(name)s created") % {"name": made})
            return redirect("plans")
    living = Q(versions__environments__deleted_at=None, versions__environments__isnull=False)
    rows = [
        {"row": plan, "version": max(plan.versions.all(), key=lambda v: v.number, default=None)}
        for plan in Plan.objects.for_actor(request.actor)
        .select_related("tenant")
        .prefetch_related("versions")
        .annotate(environments=Count("versions__environments", filter=living))
    ]
    return page(request, "plans/list.html", {"section": "plan", "plans": rows, "form": form}, status)


def _texts(form: PlanForm) -> dict[str, Any]:
    return {"name": form.cleaned_data["name"], "description": form.cleaned_data["description"]}


@signed_in
def plan(request: PageRequest, plan_id: UUID) -> HttpResponse:
    """What the plan gives. A change is shown with what it means first, and made when that was read."""
    request.actor.require(Permission.PLAN_MANAGE)
    row = plan_of(request.actor, plan_id)
    version = row.versions.order_by("-number").first()
    if version is None:
        raise NotFound(_("This plan"))
    texts = {"name": row.name, "description": row.description, "revision": row.revision}
    initial = {**texts, **initial_of(version)}
    form = PlanForm(request.POST or None, initial=initial)
    context: dict[str, Any] = {"section": "plan", "plan": row, "version": version, "form": form}
    context["versions"] = versions_of(row)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            changes = {**_texts(form), **form.terms()}
            try:
                if "preview" in request.POST:
                    context["preview"] = preview_update(request.actor, plan_id, changes)
                    return page(request, "plans/one.html", context)
                services.update_plan(request.actor, plan_id, changes, form.cleaned_data["revision"])
            except Refused as refusal:
                blame(form, refusal)
                status = refusal.status
            else:
                messages.success(request, _("Plan %(name)s saved") % {"name": row})
                return redirect("plan", plan_id)
    return page(request, "plans/one.html", context, status)


@require_POST
@signed_in
def retire(request: PageRequest, plan_id: UUID) -> HttpResponse:
    row = services.retire_plan(request.actor, plan_id)
    messages.success(request, _("Plan %(name)s retired") % {"name": row})
    return redirect("plans")
