"""One environment: what its pages have in common, overview, activity, power."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from panel.environments import services
from panel.environments.features import FEATURES, Tab, tabs_for
from panel.environments.forms import UndeleteForm
from panel.environments.models import Environment, EnvironmentUsage
from panel.environments.points import placed, points_of
from panel.environments.selectors import node_events
from panel.environments.services import POWER
from panel.environments.shortages import shortages
from panel.environments.states import State
from panel.environments.views.new_password import secret_of
from panel.errors import Invalid
from panel.operations.models import Operation, Operations
from panel.rights.permissions import Permission
from panel.tenants.chosen import shows
from panel.ui.web import PageRequest, back, page, signed_in
from runtime.contract import DesiredState, Kind, Rescue, wants_of

_MIB = 2**20
#: Of what a disk can go back to, that an overview names.
_MOST_POINTS = 30
_TABS = (
    Tab("overview", gettext_lazy("Overview"), 0),
    Tab("activity", gettext_lazy("Activity"), 40),
    Tab("settings", gettext_lazy("Settings"), 50),
)


def get(request: PageRequest, environment_id: UUID) -> Environment:
    row = (
        Environment.objects.select_related("tenant", "node", "plan_version__plan", "usage", "created_by")
        .prefetch_related(*(one for feature in FEATURES for one in feature.prefetched()), "tags")
        .get_for(request.actor, environment_id)
    )
    shows(request, request.actor, row.tenant)
    return row


def context_of(request: PageRequest, row: Environment, tab: str) -> dict[str, Any]:
    actor = request.actor
    wants = wants_of(Kind(row.kind))
    current = Operation.objects.filter(pk=row.operation_id).first() if row.operation_id else None
    return {
        "section": "environment",
        "tab": tab,
        "tabs": [
            {"name": one.name, "label": one.label, "url": _url_of(row, one.name)}
            for one in tabs_for(lambda permission: actor.can(permission, row), _TABS, boots=wants.boots)
        ],
        "tab_url": _url_of(row, tab),
        "environment": row,
        "limits": row.contract_limits(),
        "state": row.state,
        "usage": usage_of(row),
        "operation": current,
        "is_at_work": current is not None and current.is_open,
        "is_new": row.state in (State.PROVISIONING, State.FAILED) and row.observed_generation == 0,
        "memory_limit": row.limits["memory_mb"] * _MIB,
        "disk_limit": row.limits["disk_mb"] * _MIB,
        "may_power": actor.can(Permission.ENVIRONMENT_POWER, row),
        "wants": wants,
        "may_rescue": wants.boots
        and all(actor.can(one, row) for one in (Permission.ENVIRONMENT_POWER, Permission.ENVIRONMENT_EXEC)),
        "in_rescue": row.intent.get("rescue", Rescue.OFF) != Rescue.OFF,
        "may_change": actor.can(Permission.ENVIRONMENT_CHANGE, row),
        "may_resize": actor.can(Permission.ENVIRONMENT_RESIZE, row),
        "may_credentials": wants.boots and actor.can(Permission.ENVIRONMENT_CREDENTIALS, row),
        "may_network": actor.can(Permission.NETWORK_CHANGE, row),
        "may_forward": actor.can(Permission.FORWARD_CHANGE, row),
        "may_share": actor.can(Permission.ENVIRONMENT_SHARE, row),
        "may_console": actor.can(Permission.ENVIRONMENT_CONSOLE, row),
        "may_delete": actor.can(Permission.ENVIRONMENT_DELETE, row),
        "may_reinstall": actor.can(Permission.ENVIRONMENT_REINSTALL, row),
        "may_control": actor.can(Permission.OPERATION_CONTROL, row),
        "wants_running": row.desired_state == DesiredState.RUNNING,
    }


def _url_of(row: Environment, tab: str) -> str:
    return reverse("environment" if tab == "overview" else f"environment-{tab}", args=[row.pk])


def _operations(request: PageRequest, row: Environment) -> Operations:
    return Operation.objects.for_actor(request.actor).filter(environment=row)


def usage_of(row: Environment) -> EnvironmentUsage | None:
    return getattr(row, "usage", None)


@require_safe
@signed_in
def overview(request: PageRequest, environment_id: UUID) -> HttpResponse:
    return show_overview(request, get(request, environment_id))


def show_overview(
    request: PageRequest, row: Environment, *, undelete: UndeleteForm | None = None, status: int = 200
) -> HttpResponse:
    """`undelete`: a form that was refused."""
    context = context_of(request, row, "overview")
    for feature in FEATURES:
        context.update(feature.overview(row, request.GET))
    context["marks"] = [
        {"at": one.finished_at.timestamp(), "label": one.get_kind_display()}
        for one in _operations(request, row)[:50]
        if one.finished_at
    ]
    is_up = row.state == State.RUNNING
    context["shortages"] = shortages(row.contract_limits(), usage_of(row)) if is_up else []
    points = points_of(row, _MOST_POINTS)
    context["points"] = placed(points.newest, timezone.now())
    context["more_points"] = points.count - len(points.newest)
    context["secret"] = secret_of(request, row)
    context["recent"] = list(_operations(request, row)[:6])
    context["undelete"] = undelete or UndeleteForm(initial={"name": row.name})
    return page(request, "environments/overview.html", context, status)


@require_safe
@signed_in
def activity(request: PageRequest, environment_id: UUID) -> HttpResponse:
    row = get(request, environment_id)
    context = context_of(request, row, "activity")
    context["operations"] = list(_operations(request, row)[:100])
    context["node_events"] = node_events(row)
    return page(request, "environments/activity.html", context)


@require_POST
@signed_in
def power(request: PageRequest, environment_id: UUID) -> HttpResponse:
    action = request.POST.get("action", "")
    if action == "kill":
        services.stop(request.actor, environment_id, timeout_s=0)
    elif action in POWER:
        POWER[action](request.actor, environment_id)
    else:
        raise Invalid(_("There is no such action."))
    return back(request, reverse("environment", args=[environment_id]))
