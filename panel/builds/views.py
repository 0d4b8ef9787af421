"""Pages of builds: the sources, one of them with its builds, and what a build says while it goes on."""

from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from panel.builds import log, running, services
from panel.builds.forms import RunForm, SourceForm
from panel.builds.models import Build, BuildSource
from panel.builds.options import given_of, options_of
from panel.builds.selectors import hook_url, reference_of
from panel.errors import Refused
from panel.registries import own
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.serving.later import in_thread, later
from panel.stages.models import Stage
from panel.tenants.chosen import shows
from panel.tenants.models import Tenant
from panel.ui.once import keep_once, take_once
from panel.ui.web import PageRequest, page, signed_in, tried

_MOST_BUILDS, _MOST_CHOICES = 20, 500
#: Of a log that is shown on its page; the API has all of it.
_SHOWN_BYTES = 64 * 1024


def _form(request: PageRequest) -> SourceForm:
    tenants = Tenant.objects.for_actor(request.actor, Permission.ENVIRONMENT_CREATE)[:_MOST_CHOICES]
    stages = Stage.objects.for_actor(request.actor, Permission.STAGE_MANAGE).select_related("tenant")
    bound = request.POST if request.method == "POST" else None
    return SourceForm(bound, tenants=list(tenants), stages=list(stages[:_MOST_CHOICES]))


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def sources(request: PageRequest) -> HttpResponse:
    form, status = _form(request), 200
    if form.is_bound:
        row, status = tried(form, lambda sent: _add(request.actor, sent))
        if row is not None:
            messages.success(request, _("It can be built now"))
            return redirect("build", row.pk)
    rows = BuildSource.objects.for_actor(request.actor).select_related("tenant")
    shown = [
        {"row": one, "newest": one.builds.select_related("operation").first()} for one in rows[:_MOST_CHOICES]
    ]
    field = form.fields["tenant"]
    context = {
        "section": "build",
        "sources": shown,
        "form": form,
        "may_add": bool(getattr(field, "choices", ())),
        "is_offered": own.is_offered(),
    }
    return page(request, "builds/list.html", context, status)


def _add(actor: Actor, values: dict[str, Any]) -> BuildSource:
    tenant = Tenant.objects.for_actor(actor, Permission.ENVIRONMENT_CREATE).get(pk=values["tenant"])
    stage = Stage.objects.for_actor(actor).filter(pk=values["stage"]).first() if values["stage"] else None
    git: dict[str, Any] | None = None
    if values["url"]:
        git = {"url": values["url"], "branch": values["branch"] or "main", "submodules": values["submodules"]}
    options = {name: values[name] for name in ("folder", "dockerfile", "dockerfile_text") if values[name]}
    given = {name: values[name] for name in ("token", "deploy_key") if values[name]}
    return services.add_source(
        actor, tenant, name=values["name"], git=git, options=options, given=given, stage=stage
    )


@require_safe
@signed_in
def source(request: PageRequest, source_id: UUID) -> HttpResponse:
    row = services.found_source(request.actor, source_id)
    shows(request, request.actor, row.tenant)
    builds = row.builds.select_related("operation")[:_MOST_BUILDS]
    context = {
        "section": "build",
        "row": row,
        "reference": f"{own.host()}/{row.tenant.slug}/{row.name}",
        "options": options_of(row),
        "given": given_of(row),
        "builds": [_shown(one) for one in builds],
        "hook": hook_url(row),
        "secret": take_once(request, f"hook-{row.pk}"),
        "may": request.actor.can(Permission.ENVIRONMENT_CREATE, row.tenant),
    }
    return page(request, "builds/one.html", context)


def _shown(row: Build) -> dict[str, Any]:
    return {"row": row, "reference": reference_of(row)}


@require_safe
@signed_in
def build(request: PageRequest, source_id: UUID, number: int) -> HttpResponse:
    row = running.found_build(request.actor, source_id, number)
    shows(request, request.actor, row.source.tenant)
    context = {
        "section": "build",
        "build": row,
        "row": row.source,
        "reference": reference_of(row),
        "may": request.actor.can(Permission.ENVIRONMENT_CREATE, row.source.tenant),
    }
    return page(request, "builds/build.html", context)


@require_safe
@signed_in
def build_log(request: PageRequest, source_id: UUID, number: int) -> HttpResponseBase:
    """A part of that page, which asks for it again and again while the build goes on."""
    row = running.found_build(request.actor, source_id, number)
    asked = log.of(request.actor, source_id, number)

    def show(**found: object) -> HttpResponse:
        return render(request, "builds/_log.html", {"build": row, "row": row.source, **found})

    async def answer() -> HttpResponse:
        whole = await asked.answer()
        assert isinstance(whole, StreamingHttpResponse)
        text = b""
        async for piece in whole:  # it was made of an asynchronous one
            text = (text + bytes(piece))[-_SHOWN_BYTES:]
        return await in_thread(partial(show, text=text.decode(errors="replace")))

    def away(refusal: Refused) -> HttpResponse:
        return show(refusal=refusal)

    return later(request, answer, on_refused=away, place=asked.place)


@require_POST
@signed_in
def run(request: PageRequest, source_id: UUID) -> HttpResponse:
    form = RunForm(request.POST)
    values = form.cleaned_data if form.is_valid() else {}
    options = {"tag": values["tag"]} if values.get("tag") else {}
    is_fresh = bool(values.get("is_fresh"))
    try:
        made = running.run(request.actor, source_id, options=options, is_fresh=is_fresh)
    except Refused as refusal:
        if refusal.status in (403, 404):
            raise
        messages.error(request, str(refusal))
        return redirect("build", source_id)
    return redirect("build-run", source_id, made.number)


@require_POST
@signed_in
def hook(request: PageRequest, source_id: UUID) -> HttpResponse:
    try:
        row, secret = services.new_hook(request.actor, source_id)
    except Refused as refusal:
        if refusal.status in (403, 404):
            raise
        messages.error(request, str(refusal))
    else:
        keep_once(request, f"hook-{row.pk}", secret)
    return redirect(reverse("build", args=[source_id]) + "#webhook")


@require_POST
@signed_in
def remove(request: PageRequest, source_id: UUID) -> HttpResponse:
    try:
        services.remove_source(request.actor, source_id)
    except Refused as refusal:
        if refusal.status in (403, 404):
            raise
        messages.error(request, str(refusal))
        return redirect("build", source_id)
    messages.success(request, _("It is gone; its images stay in the registry"))
    return redirect("builds")
