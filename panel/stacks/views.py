"""Pages of stacks: all that a reader sees, one of them with its picture, and the catalogue."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from panel.errors import Forbidden, NotFound, Refused
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.stacks import entries, selectors, services
from panel.stacks.forms import ChangeForm, ComposeForm, NewStackForm, TakeForm
from panel.stacks.from_catalogue import take as take_entry
from panel.stacks.models import Stack
from panel.stacks.picture import picture_of
from panel.stacks.refusals import BadCompose
from panel.stacks.services import Preview
from panel.tenants.chosen import shows
from panel.tenants.selectors import tenants_with
from panel.ui.once import keep_once, take_once
from panel.ui.web import PageRequest, blame, page, signed_in

_MOST_SHOWN = 500
_GENERATED = "stack-passwords"


def _listed(actor: Actor) -> list[dict[str, Any]]:
    rows = list(selectors.rows_of(actor)[:_MOST_SHOWN])
    known = selectors.operations_of(rows)
    return [
        {"row": row, "state": selectors.state_of(row, list(row.members.all()), known.get(row.pk))}
        for row in rows
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def everywhere(request: PageRequest) -> HttpResponse:
    tenants, status = tenants_with(request.actor, Permission.ENVIRONMENT_CREATE), 200
    problems: list[Any] = []
    sent = (request.POST, request.FILES) if request.method == "POST" else (None, None)
    form = NewStackForm(*sent, tenants=tenants)
    if form.is_bound:
        status = 422
        if form.is_valid():
            values = form.cleaned_data
            tenant = next(one for one in tenants if str(one.pk) == values["tenant"])
            asked = form.asked({})
            try:
                made, _operation = services.create_stack(
                    request.actor, tenant, name=values["name"], asked=asked
                )
            except Refused as refusal:
                problems, status = _told(form, refusal), refusal.status
            else:
                messages.success(request, _("%(name)s is being brought up") % {"name": made})
                return redirect("stack", made.pk)
    context = {
        "section": "stack",
        "stacks": _listed(request.actor),
        "form": form,
        "may_add": bool(tenants),
        "problems": problems,
    }
    return page(request, "stacks/list.html", context, status)


def _told(form: ComposeForm | TakeForm, refusal: Refused) -> list[Any]:
    """Each problem of the file by itself, or the refusal beside its field."""
    if isinstance(refusal, BadCompose):
        return refusal.problems
    blame(form, refusal)
    return []


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def one(request: PageRequest, stack_id: UUID) -> HttpResponse:
    row = selectors.found(request.actor, stack_id)
    known = {"compose": row.compose, "profiles": row.profiles, "scale": row.scale}
    names = sorted(row.values["files"])
    if request.method != "POST":
        return _one(request, row, ChangeForm(initial=known, there=names))
    form = ChangeForm(request.POST, request.FILES, initial=known, there=names)
    if not form.is_valid():
        return _one(request, row, form, 422)
    asked = form.asked(row.values["files"])
    try:
        if "preview" in request.POST:
            return _one(request, row, form, preview=services.preview_change(request.actor, stack_id, asked))
        _stack, operation = services.change_stack(request.actor, stack_id, asked)
    except (NotFound, Forbidden):
        raise
    except Refused as refusal:
        return _one(request, row, form, refusal.status, problems=_told(form, refusal))
    messages.success(
        request, _("It is being changed") if operation else _("Nothing of it is other than before")
    )
    return redirect("stack", stack_id)


def _one(
    request: PageRequest,
    row: Stack,
    form: ChangeForm,
    status: int = 200,
    *,
    problems: list[Any] | None = None,
    preview: Preview | None = None,
) -> HttpResponse:
    shows(request, request.actor, row.tenant)
    seen = selectors.seen(row)
    copies: dict[str, list[Any]] = {}
    for member in seen.members:
        copies.setdefault(member.service, []).append(member)
    context = {
        "section": "stack",
        "stack": row,
        "state": seen.state,
        "operation": seen.operation,
        "services": [{"row": one, "copies": copies.get(one.name, [])} for one in seen.project.services],
        "notes": seen.project.notes,
        "volumes": list(row.volumes.select_related("volume")),
        "picture": picture_of(seen.project.services),
        "form": form,
        "may": request.actor.can(Permission.ENVIRONMENT_CHANGE, row.tenant),
        "problems": problems or [],
        "preview": preview,
        "generated": take_once(request, _GENERATED),
    }
    return page(request, "stacks/one.html", context, status)


@require_POST
@signed_in
def start(request: PageRequest, stack_id: UUID) -> HttpResponse:
    services.set_running(request.actor, stack_id, running=True)
    messages.success(request, _("It is being started"))
    return redirect("stack", stack_id)


@require_POST
@signed_in
def rollback(request: PageRequest, stack_id: UUID) -> HttpResponse:
    services.roll_back(request.actor, stack_id)
    messages.success(request, _("It goes back to what it was before"))
    return redirect("stack", stack_id)


@require_POST
@signed_in
def stop(request: PageRequest, stack_id: UUID) -> HttpResponse:
    services.set_running(request.actor, stack_id, running=False)
    messages.success(request, _("It is being stopped"))
    return redirect("stack", stack_id)


@require_POST
@signed_in
def delete(request: PageRequest, stack_id: UUID) -> HttpResponse:
    services.delete_stack(request.actor, stack_id, with_volumes=request.POST.get("volumes") == "on")
    messages.success(request, _("It is being deleted"))
    return redirect("stacks")


@require_http_methods(["GET", "HEAD"])
@signed_in
def catalogue(request: PageRequest) -> HttpResponse:
    asked = request.GET.get("q", "").strip()[:60]
    found: dict[str, list[entries.Entry]] = {}
    for entry in entries.entries().values():
        if entries.is_about(entry, asked):
            found.setdefault(entries.kind_of(entry), []).append(entry)
    shown = {"section": "catalogue", "asked": asked, "kinds": sorted(found.items())}
    return page(request, "stacks/catalogue.html", shown)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def take(request: PageRequest, slug: str) -> HttpResponse:
    entry, tenants = entries.entry(slug), tenants_with(request.actor, Permission.ENVIRONMENT_CREATE)
    status = 200
    problems: list[Any] = []
    form = TakeForm(request.POST if request.method == "POST" else None, entry=entry, tenants=tenants)
    if form.is_bound:
        status = 422
        if form.is_valid():
            tenant = next(one for one in tenants if str(one.pk) == form.cleaned_data["tenant"])
            try:
                made, passwords = take_entry(
                    request.actor, tenant, entry, name=form.cleaned_data["name"], given=form.variables
                )
            except Refused as refusal:
                problems, status = _told(form, refusal), refusal.status
            else:
                keep_once(request, _GENERATED, "\n".join(f"{key}={value}" for key, value in passwords.items()))
                return redirect("stack", made.pk)
    context = {
        "section": "catalogue",
        "entry": entry,
        "form": form,
        "may_add": bool(tenants),
        "problems": problems,
    }
    return page(request, "stacks/take.html", context, status)
