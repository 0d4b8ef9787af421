"""Page of plans, for administrators of the installation."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from panel.errors import Refused
from panel.plans import services
from panel.plans.forms import PlanForm
from panel.plans.models import Plan
from panel.tenants.permissions import Permission
from panel.ui.web import PageRequest, blame, page, signed_in


@signed_in
def plans(request: PageRequest) -> HttpResponse:
    request.actor.require(Permission.PLAN_MANAGE)
    form = PlanForm(
        request.POST or None, initial={"cpu": 1, "memory_mb": 1024, "disk_mb": 10240, "processes": 512}
    )
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                made = services.create_plan(
                    request.actor,
                    name=form.cleaned_data["name"],
                    description=form.cleaned_data["description"],
                    limits=form.limits(),
                )
            except Refused as refusal:
                blame(form, refusal)
                status = refusal.status
            else:
                messages.success(request, _("Plan %(name)s created") % {"name": made})
                return redirect("plans")
    rows = [
        {"row": plan, "version": max(plan.versions.all(), key=lambda v: v.number, default=None)}
        for plan in Plan.objects.for_actor(request.actor).select_related("tenant").prefetch_related("versions")
    ]
    return page(request, "plans/list.html", {"section": "plan", "plans": rows, "form": form}, status)


@require_POST
@signed_in
def retire(request: PageRequest, plan_id: UUID) -> HttpResponse:
    plan = services.retire_plan(request.actor, plan_id)
    messages.success(request, _("Plan %(name)s retired") % {"name": plan})
    return redirect("plans")
