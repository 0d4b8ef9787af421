"""Pages of domains: all that a reader sees, one of them, and those of one environment."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from panel.domains import services
from panel.domains.feature import targets_of, url_of
from panel.domains.forms import DomainForm, NameForm, OptionsForm, TargetForm, UserForm
from panel.domains.models import Domain
from panel.domains.naming import shown_name
from panel.domains.owning import record_of
from panel.domains.requests import requests_of
from panel.domains.selectors import front, problem_of
from panel.domains.table import state_of
from panel.environments.models import Environment
from panel.environments.views.one import context_of, get
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.chosen import shows
from panel.ui.web import PageRequest, page, signed_in, tried

#: On one page, in the field of a form, of the log.
_MOST_SHOWN, _MOST_CHOICES, _MOST_REQUESTS = 500, 500, 50


def _shown(row: Domain) -> dict[str, Any]:
    return {
        "row": row,
        "name": shown_name(row.name),
        "url": url_of(row),
        "state": state_of(row),
        "problem": problem_of(row),
        "targets": list(row.targets.all()),
    }


def _usable(actor: Actor, tenant_id: UUID | None = None) -> list[Environment]:
    rows = Environment.objects.in_use().for_actor(actor, Permission.DOMAIN_MANAGE).select_related("tenant")
    return list((rows.filter(tenant=tenant_id) if tenant_id else rows)[:_MOST_CHOICES])


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def everywhere(request: PageRequest) -> HttpResponse:
    actor, status = request.actor, 200
    usable = _usable(actor)
    given = request.POST if request.method == "POST" else None
    form = DomainForm(given, environments=usable, gives_names=bool(settings.WADAH.domains_wildcard))
    if form.is_bound:

        def add(values: dict[str, Any]) -> Domain:
            chosen = next(one for one in usable if str(one.pk) == values["environment"])
            targets = [(chosen, values["port"])]
            return services.add_domain(actor, chosen.tenant, name=values["name"], targets=targets)

        made, status = tried(form, add)
        if made is not None:
            messages.success(request, _("%(name)s was added") % {"name": made})
            return redirect("domain", made.pk)
    rows = Domain.objects.for_actor(actor).select_related("tenant").prefetch_related("targets__environment")
    context = {
        "section": "domain",
        "domains": [_shown(row) for row in rows[:_MOST_SHOWN]],
        "form": form,
        "may_add": bool(usable),
        "front": front(),
    }
    return page(request, "domains/list.html", context, status)


def _one(request: PageRequest, row: Domain, status: int = 200, **bound: Form) -> HttpResponse:
    shows(request, request.actor, row.tenant)
    may = request.actor.can(Permission.DOMAIN_MANAGE, row.tenant)
    name, value = record_of(row)
    options = {one: getattr(row, one) for one in OptionsForm.base_fields}
    behind = {one.environment_id for one in row.targets.all()}
    usable = [one for one in _usable(request.actor, row.tenant_id) if one.pk not in behind] if may else []
    context: dict[str, Any] = {
        "section": "domain",
        "each": _shown(row),
        "record": {"name": name, "value": value},
        "addresses": [one for one in settings.WADAH.domains_addresses.split(",") if one],
        "users": sorted(row.users),
        "may": may,
        "usable": usable,
        "front": front(),
        "requests": requests_of(row, _MOST_REQUESTS),
        "options_form": OptionsForm(initial=options),
        "target_form": TargetForm(environments=usable, auto_id="id_target_%s"),
        "user_form": UserForm(auto_id="id_user_%s"),
    }
    return page(request, "domains/one.html", {**context, **bound}, status)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def domain(request: PageRequest, domain_id: UUID) -> HttpResponse:
    row = services.found_domain(request.actor, domain_id)
    if request.method != "POST":
        return _one(request, row)
    form = OptionsForm(request.POST)
    _row, status = tried(form, lambda sent: services.change_domain(request.actor, domain_id, **sent))
    if status != 200:
        return _one(request, row, status, options_form=form)
    messages.success(request, _("Saved"))
    return redirect("domain", domain_id)


@require_POST
@signed_in
def look(request: PageRequest, domain_id: UUID) -> HttpResponse:
    services.look_now(request.actor, domain_id)
    messages.success(request, _("DNS is being asked"))
    return redirect("domain", domain_id)


@require_POST
@signed_in
def remove(request: PageRequest, domain_id: UUID) -> HttpResponse:
    services.remove_domain(request.actor, domain_id)
    messages.success(request, _("The domain is served no more"))
    return redirect("domains")


@require_POST
@signed_in
def add_target(request: PageRequest, domain_id: UUID) -> HttpResponse:
    row = services.found_domain(request.actor, domain_id)
    request.actor.require(Permission.DOMAIN_MANAGE, row.tenant)
    usable = _usable(request.actor, row.tenant_id)
    form = TargetForm(request.POST, environments=usable, auto_id="id_target_%s")

    def add(values: dict[str, Any]) -> None:
        chosen = next(one for one in usable if str(one.pk) == values["environment"])
        services.add_target(request.actor, domain_id, chosen, values["port"])

    _done, status = tried(form, add)
    if status != 200:
        return _one(request, row, status, target_form=form)
    messages.success(request, _("It gets requests as soon as it runs"))
    return redirect("domain", domain_id)


@require_POST
@signed_in
def remove_target(request: PageRequest, domain_id: UUID, environment_id: UUID) -> HttpResponse:
    services.remove_target(request.actor, domain_id, environment_id)
    messages.success(request, _("It gets no request any more"))
    return redirect("domain", domain_id)


@require_POST
@signed_in
def users(request: PageRequest, domain_id: UUID) -> HttpResponse:
    row = services.found_domain(request.actor, domain_id)
    request.actor.require(Permission.DOMAIN_MANAGE, row.tenant)
    form = UserForm(request.POST, auto_id="id_user_%s")

    def change(values: dict[str, Any]) -> None:
        given = {values["user"]: values["password"] or None}
        services.change_domain(request.actor, domain_id, basic_auth=given)

    _done, status = tried(form, change)
    if status != 200:
        return _one(request, row, status, user_form=form)
    messages.success(request, _("Saved"))
    return redirect("domain", domain_id)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def of_environment(request: PageRequest, environment_id: UUID) -> HttpResponse:
    row, status = get(request, environment_id), 200
    form = NameForm(
        request.POST if request.method == "POST" else None, gives_names=bool(settings.WADAH.domains_wildcard)
    )
    if form.is_bound:

        def add(values: dict[str, Any]) -> None:
            targets = [(row, values["port"])]
            services.add_domain(request.actor, row.tenant, name=values["name"], targets=targets)

        _made, status = tried(form, add)
        if status == 200:
            messages.success(request, _("The domain was added"))
            return redirect("environment-domains", row.pk)
    context = context_of(request, row, "domains")
    context |= {
        "names": [{**_shown(one.domain), "port": one.port} for one in targets_of(row)],
        "form": form,
        "may_add": request.actor.can(Permission.DOMAIN_MANAGE, row.tenant),
        "front": front(),
    }
    return page(request, "domains/tab.html", context, status)
