"""The capacity page, for administrators of the installation."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from panel.environments.capacity import MOST_TRIED, capacities, overall, what_if
from panel.errors import Refused
from panel.nodes.services import RATIOS, update_node
from panel.plans.models import Plan
from panel.plans.selectors import limits_named
from panel.rights.permissions import Permission
from panel.ui.web import PageRequest, page, sentence, signed_in, version_of


class WhatIfForm(forms.Form):
    count = forms.IntegerField(
        label=gettext_lazy("How many more"), min_value=1, max_value=MOST_TRIED, initial=20,
        widget=forms.NumberInput(attrs={"min": 1, "max": MOST_TRIED}),
    )  # fmt: skip
    plan = forms.CharField(label=gettext_lazy("Of which plan"), max_length=63, widget=forms.Select)


@require_safe
@signed_in
def capacity(request: PageRequest) -> HttpResponse:
    request.actor.require(Permission.NODE_VIEW)
    found = capacities()
    plans = [(plan.slug, plan.name) for plan in Plan.objects.for_actor(request.actor).filter(retired_at=None)]
    form = WhatIfForm(request.GET if "count" in request.GET else None)
    form.fields["plan"].widget.choices = plans
    context = {
        "section": "capacity",
        "nodes": found,
        "overall": overall(found),
        "form": form,
        "has_plans": bool(plans),
    }
    if form.is_bound and form.is_valid():
        try:
            limits = limits_named(request.actor, form.cleaned_data["plan"])
        except Refused as refusal:
            form.add_error("plan", sentence(refusal))
        else:
            context["answer"] = what_if(capacities(), limits, form.cleaned_data["count"])
    return page(request, "nodes/capacity.html", context)


@require_POST
@signed_in
def overcommit(request: PageRequest, node_id: UUID) -> HttpResponse:
    """An empty field: no bound. Refused when the node was changed since the page was loaded."""
    ratios: dict[str, float | None] = {}
    for name in RATIOS:
        text = request.POST.get(name, "").strip().replace(",", ".")
        try:
            ratios[name] = float(text) if text else None
        except ValueError:
            messages.error(request, _("A ratio is a number, or empty for no bound."))
            return redirect("capacity")
    version = version_of(request.POST.get("version", ""))
    node = update_node(request.actor, node_id, overcommit=ratios, version=version)
    messages.success(request, _("Overcommit of %(name)s saved") % {"name": node})
    return redirect("capacity")
