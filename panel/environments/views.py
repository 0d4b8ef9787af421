"""Pages of environments. They hold no rule: services decide, and say no in sentences."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from panel.environments import forms, services
from panel.environments.create_page import CreatePage
from panel.environments.listing import FILTER_STATES, list_environments
from panel.environments.models import Environment, EnvironmentUsage, State
from panel.environments.selectors import happenings
from panel.environments.services import Changed
from panel.errors import Invalid, NotFound, Refused
from panel.images.models import Image
from panel.metering.history import history
from panel.metering.history import sparks as curves
from panel.nodes.models import Node
from panel.operations.models import Operation, Operations
from panel.tenants.permissions import Permission
from panel.ui.shell import chosen_tenant
from panel.ui.web import PageRequest, back, blame, page, sentence, signed_in
from runtime.contract import DesiredState

_MIB = 2**20
#: Key of the session for a password that the next pages show until it was noted.
_SECRET = "shown-once"  # noqa: S105 - a key, no secret
_SECRET_LIFE_S = 600

_POWER: dict[str, Callable[..., Changed]] = {
    "start": services.start,
    "stop": services.stop,
    "restart": services.restart,
    "pause": services.pause,
    "resume": services.resume,
}


#: Of one page of the list.
_MOST_SPARKS = 50
#: Hours that the graphs may show, and how they are called.
_SPANS = {"1": "1 h", "6": "6 h", "24": "24 h"}
_BULK: dict[str, Callable[..., Changed]] = {**_POWER, "delete": services.delete_environment}

# list and create ----------------------------------------------------------------------------------


@require_safe
@signed_in
def environments(request: PageRequest) -> HttpResponse:
    tenant = chosen_tenant(request, request.actor)
    listing = list_environments(request.actor, tenant, request.GET)
    context = {
        "section": "environment",
        "listing": listing,
        "rows": listing.rows,
        "sort": listing.sort,
        "states": FILTER_STATES,
        "shows_tenant": tenant is None,
        "nodes": list(Node.objects.values_list("name", flat=True).order_by("name"))
        if request.actor.is_platform_administrator
        else [],
    }
    return page(request, "environments/list.html", context)


@signed_in
def create(request: PageRequest) -> HttpResponse:
    shown = CreatePage(request.actor, chosen_tenant(request, request.actor), request.POST.get("tenant", ""))
    status = 200
    if request.method == "POST":
        form = forms.CreateForm(request.POST)
        if form.is_valid():
            try:
                changed = _create(request, shown, form)
            except NotFound:
                raise
            except Refused as refusal:
                blame(form, refusal)
                status = refusal.status
            else:
                _show_once(request, changed)
                return redirect("environment", changed.environment.pk)
        else:
            status = 422
    else:
        form = forms.CreateForm(initial=shown.initial())
    return page(request, "environments/create.html", shown.context(form), status)


def _create(request: PageRequest, shown: CreatePage, form: forms.CreateForm) -> Changed:
    values = form.cleaned_data
    if shown.tenant is None:
        raise Invalid(_("Choose the tenant that it belongs to."), field="tenant")
    return services.create_environment(
        request.actor,
        shown.tenant,
        name=values["name"],
        image=values["image"],
        plan=values["plan"],
        limits=form.limits() if not values["plan"] else None,
        kind=values["kind"],
        kernel=values["kernel"],
        description=values["description"],
        ssh_keys=forms.split_lines(values["ssh_keys"]),
        ipv4=values["ipv4"],
        ipv6=values["ipv6"],
        is_started=values["is_started"],
    )


@require_safe
@signed_in
def sparks(request: PageRequest) -> HttpResponse:
    """`{"<id>": [vCPUs, …]}` of those named by `id` that one may see; asked for once the list is there."""
    wanted = list[UUID]()
    for value in request.GET.getlist("id")[:_MOST_SPARKS]:
        with suppress(ValueError):
            wanted.append(UUID(value))
    seen = Environment.objects.for_actor(request.actor).filter(pk__in=wanted).values_list("pk", flat=True)
    return JsonResponse(curves(seen))


@require_POST
@signed_in
def bulk(request: PageRequest) -> HttpResponse:
    """The same action for many; says how many were done, and why the others weren't.

    Deleting many asks for their number, typed: as much of a pause as the name of one.
    """
    if request.POST.get("action") == "delete" and request.POST.get("typed") != str(
        len(request.POST.getlist("id"))
    ):
        messages.error(request, _("Nothing was deleted: type how many are to go, to say that you mean it."))
        return back(request, reverse("environments"))
    act = _BULK.get(request.POST.get("action", ""))
    done, refusals = 0, list[str]()
    for value in request.POST.getlist("id")[:200]:
        try:
            if act is None:
                raise Invalid(_("There is no such action."))
            act(request.actor, UUID(value))
            done += 1
        except ValueError:
            continue
        except Refused as refusal:
            refusals.append(sentence(refusal))
    if done:
        messages.success(request, _("%(n)d asked for.") % {"n": done})
    if refusals:
        why = " ".join(dict.fromkeys(refusals))
        messages.error(request, _("%(n)d refused: %(why)s") % {"n": len(refusals), "why": why})
    return back(request, reverse("environments"))


# one ----------------------------------------------------------------------------------------------


def get(request: PageRequest, environment_id: UUID) -> Environment:
    return (
        Environment.objects.select_related("tenant", "node", "plan_version__plan", "usage", "created_by")
        .prefetch_related("addresses", "forwards")
        .get_for(request.actor, environment_id)
    )


def context_of(request: PageRequest, row: Environment, tab: str) -> dict[str, Any]:
    actor = request.actor
    current = Operation.objects.filter(pk=row.operation_id).first() if row.operation_id else None
    return {
        "section": "environment",
        "tab": tab,
        "environment": row,
        "limits": row.contract_limits(),
        "state": row.state,
        "usage": _usage(row),
        "operation": current,
        "is_at_work": current is not None and current.is_open,
        "is_new": row.state in (State.PROVISIONING, State.FAILED) and row.observed_generation == 0,
        "memory_limit": row.limits["memory_mb"] * _MIB,
        "disk_limit": row.limits["disk_mb"] * _MIB,
        "may_power": actor.can(Permission.ENVIRONMENT_POWER, row),
        "may_change": actor.can(Permission.ENVIRONMENT_CHANGE, row),
        "may_resize": actor.can(Permission.ENVIRONMENT_RESIZE, row),
        "may_share": actor.can(Permission.ENVIRONMENT_SHARE, row),
        "may_console": actor.can(Permission.ENVIRONMENT_CONSOLE, row),
        "may_delete": actor.can(Permission.ENVIRONMENT_DELETE, row),
        "may_reinstall": actor.can(Permission.ENVIRONMENT_REINSTALL, row),
        "may_control": actor.can(Permission.OPERATION_CONTROL, row),
        "wants_running": row.desired_state == DesiredState.RUNNING,
    }


def _operations(request: PageRequest, row: Environment) -> Operations:
    return Operation.objects.for_actor(request.actor).filter(environment=row)


def _usage(row: Environment) -> EnvironmentUsage | None:
    return getattr(row, "usage", None)


@require_safe
@signed_in
def overview(request: PageRequest, environment_id: UUID) -> HttpResponse:
    row = get(request, environment_id)
    context = context_of(request, row, "overview")
    hours = request.GET.get("hours", "1")
    hours = hours if hours in _SPANS else "1"
    context["hours"], context["spans"] = hours, _SPANS
    context["history"] = history(row, int(hours))
    context["marks"] = [
        {"at": one.finished_at.timestamp(), "label": one.get_kind_display()}
        for one in _operations(request, row)[:50]
        if one.finished_at
    ]
    context["secret"] = _secret(request, row)
    context["recent"] = list(_operations(request, row)[:6])
    return page(request, "environments/overview.html", context)


@require_safe
@signed_in
def activity(request: PageRequest, environment_id: UUID) -> HttpResponse:
    row = get(request, environment_id)
    context = context_of(request, row, "activity")
    context["operations"] = list(_operations(request, row)[:100])
    context["happenings"] = happenings(row)
    return page(request, "environments/activity.html", context)


@require_POST
@signed_in
def power(request: PageRequest, environment_id: UUID) -> HttpResponse:
    action = request.POST.get("action", "")
    if action == "kill":
        services.stop(request.actor, environment_id, timeout_s=0)
    elif action in _POWER:
        _POWER[action](request.actor, environment_id)
    else:
        raise Invalid(_("There is no such action."))
    return back(request, reverse("environment", args=[environment_id]))


# settings -----------------------------------------------------------------------------------------


def _forms(row: Environment) -> dict[str, Form]:
    limits = row.limits
    return {
        "resize": forms.LimitsForm(initial=limits),
        "general": forms.GeneralForm(initial={"name": row.name, "description": row.description}),
        "restart": forms.RestartForm(
            initial={"mode": row.restart.get("mode", "always"), "stop_timeout_s": row.stop_timeout_s}
        ),
        "keys": forms.KeysForm(initial={"ssh_keys": "\n".join(row.ssh_keys)}),
        "password": forms.PasswordForm(),
        "reinstall": forms.ReinstallForm(initial={"image": row.image}),
        "delete": forms.DeleteForm(),
    }


def _settings(request: PageRequest, row: Environment, bound: dict[str, Form], status: int) -> HttpResponse:
    context = context_of(request, row, "settings")
    context["forms"] = {**_forms(row), **bound}
    context["images"] = list(Image.objects.filter(on_nodes__node=row.node, on_nodes__observed_revision__gt=0))
    context["secret"] = _secret(request, row)
    usage = _usage(row)
    context["disk_used_mb"] = None if usage is None else -(-usage.disk_bytes // _MIB)
    return page(request, "environments/settings.html", context, status)


@require_safe
@signed_in
def settings(request: PageRequest, environment_id: UUID) -> HttpResponse:
    return _settings(request, get(request, environment_id), {}, 200)


def _network(request: PageRequest, row: Environment, bound: dict[str, Form], status: int) -> HttpResponse:
    context = context_of(request, row, "network")
    context["leases"] = list(row.addresses.filter(released_at=None).order_by("family", "offset"))
    options = row.network_options
    known = {**options, "nameservers": "\n".join(options.get("nameservers", []))}
    unbound = {
        "forward": forms.ForwardForm(),
        "network": forms.NetworkForm(initial=known, may_open=_may_open(request, row)),
    }
    context["forms"] = {**unbound, **bound}
    return page(request, "environments/network.html", context, status)


def _may_open(request: PageRequest, row: Environment) -> bool:
    return request.actor.can(Permission.SECURITY_MANAGE, row.tenant)


@require_safe
@signed_in
def network(request: PageRequest, environment_id: UUID) -> HttpResponse:
    return _network(request, get(request, environment_id), {}, 200)


#: Forms of the network page; the others stand on the settings page.
_OF_NETWORK = {"forward", "network"}
_FORMS: dict[str, type[Form]] = {
    "resize": forms.LimitsForm,
    "general": forms.GeneralForm,
    "restart": forms.RestartForm,
    "forward": forms.ForwardForm,
    "network": forms.NetworkForm,
    "keys": forms.KeysForm,
    "password": forms.PasswordForm,
    "reinstall": forms.ReinstallForm,
}


@require_POST
@signed_in
def change(request: PageRequest, environment_id: UUID, what: str) -> HttpResponse:
    """One form of the settings or network page; errors come back beside its fields."""
    row = get(request, environment_id)
    if what not in _FORMS:
        raise NotFound(_("This form"))
    on_network = what in _OF_NETWORK
    form = _bound(request, row, what)
    status = 422
    if form.is_valid():
        try:
            changed = _apply(request, row, what, form)
        except Refused as refusal:
            blame(form, refusal)
            status = refusal.status
        else:
            if changed is not None:
                _show_once(request, changed)
            messages.success(request, _DONE[what])
            tab = "environment-network" if on_network else "environment-settings"
            return redirect(f"{reverse(tab, args=[environment_id])}#{what}")
    return (_network if on_network else _settings)(request, row, {what: form}, status)


def _bound(request: PageRequest, row: Environment, what: str) -> Form:
    if what == "network":
        return forms.NetworkForm(request.POST, may_open=_may_open(request, row))
    return _FORMS[what](request.POST)


_DONE = {
    "resize": gettext_lazy("New size asked for"),
    "general": gettext_lazy("Name and description saved"),
    "restart": gettext_lazy("Restart policy saved"),
    "forward": gettext_lazy("Port forward added"),
    "network": gettext_lazy("Network options saved"),
    "keys": gettext_lazy("SSH keys replaced"),
    "password": gettext_lazy("Root password changed"),
    "reinstall": gettext_lazy("Reinstall asked for"),
}


def _apply(request: PageRequest, row: Environment, what: str, form: Form) -> Changed | None:
    actor, values = request.actor, form.cleaned_data
    if what == "resize":
        assert isinstance(form, forms.LimitsForm)
        return services.update_environment(actor, row.pk, {"limits": form.limits()})
    if what == "general":
        changes = {k: v for k, v in values.items() if v != getattr(row, k)}
        return services.update_environment(actor, row.pk, changes) if changes else None
    if what == "restart":
        return services.update_environment(
            actor, row.pk, {"restart": {"mode": values["mode"]}, "stop_timeout_s": values["stop_timeout_s"]}
        )
    if what == "forward":
        services.add_forward(actor, row.pk, **values)
        return None
    if what == "network":
        assert isinstance(form, forms.NetworkForm)
        return services.update_environment(actor, row.pk, {"network": form.options()})
    if what == "keys":
        return services.set_credentials(actor, row.pk, ssh_keys=forms.split_lines(values["ssh_keys"]))
    if what == "password":
        return services.set_credentials(actor, row.pk, root_password=values["root_password"])
    return services.reinstall(actor, row.pk, image=values["image"], keep_old=values["keep_old"])


@require_POST
@signed_in
def remove_forward(request: PageRequest, environment_id: UUID, forward_id: UUID) -> HttpResponse:
    services.remove_forward(request.actor, environment_id, forward_id)
    messages.success(request, _("Port forward removed"))
    return redirect(f"{reverse('environment-network', args=[environment_id])}#forward")


@require_POST
@signed_in
def delete(request: PageRequest, environment_id: UUID) -> HttpResponse:
    row = get(request, environment_id)
    form = forms.DeleteForm(request.POST)
    if not form.is_valid() or form.cleaned_data["typed_name"].strip() != row.name:
        form.add_error("typed_name", _("This is not its name: type %(name)s.") % {"name": row.name})
        return _settings(request, row, {"delete": form}, 422)
    try:
        changed = services.delete_environment(request.actor, environment_id)
    except Refused as refusal:
        form.add_error(None, sentence(refusal))
        return _settings(request, row, {"delete": form}, refusal.status)
    if changed.operation is None:
        return redirect("environments")
    return redirect("operation", changed.operation.pk)


# secrets ------------------------------------------------------------------------------------------


def _show_once(request: PageRequest, changed: Changed) -> None:
    """Keep a made password in the session until its reader has noted it, for ten minutes at most."""
    if changed.root_password:
        until = time.time() + _SECRET_LIFE_S
        request.session[_SECRET] = {
            "of": str(changed.environment.pk),
            "text": changed.root_password,
            "until": until,
        }


def _secret(request: PageRequest, row: Environment) -> str:
    """The password, if one was just made for this environment by this session. Expired: it is dropped."""
    kept = request.session.get(_SECRET)
    if kept and kept["until"] < time.time():
        del request.session[_SECRET]
        return ""
    return str(kept["text"]) if kept and kept["of"] == str(row.pk) else ""


@require_POST
@signed_in
def forget_secret(request: PageRequest, environment_id: UUID) -> HttpResponse:
    Environment.objects.get_for(request.actor, environment_id)
    request.session.pop(_SECRET, None)
    return back(request, reverse("environment", args=[environment_id]))
