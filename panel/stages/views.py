"""The board of stages: each line from left to right, what each stage runs, and what goes on."""

from collections.abc import Callable
from itertools import groupby
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from panel.environments.models import Environment
from panel.errors import Refused
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.stages import services
from panel.stages.forms import DeployForm, StageChangeForm, StageForm
from panel.stages.models import OPEN, RolloutState, Stage
from panel.stages.rolling import copies_of, is_well, running_image
from panel.ui.web import PageRequest, page, signed_in, tried

_MOST_CHOICES, _MOST_VERSIONS = 500, 5


def _shown(actor: Actor, row: Stage, *, is_last: bool) -> dict[str, Any]:
    newest = row.rollouts.select_related("operation").first()
    is_busy = newest is not None and newest.state in OPEN
    return {
        "row": row,
        "copies": [
            {"row": one, "image": running_image(one), "is_well": is_well(one)} for one in copies_of(row)
        ],
        "versions": list(row.versions.all()[:_MOST_VERSIONS]),
        "rollout": newest,
        "is_busy": is_busy,
        "waits": newest is not None and newest.state == RolloutState.WAITING,
        "is_last": is_last,
        "may": actor.can(Permission.STAGE_MANAGE, row.tenant),
    }


def _lines(actor: Actor) -> list[dict[str, Any]]:
    rows = Stage.objects.for_actor(actor).select_related("tenant")
    found = []
    for (tenant, line), several in groupby(rows, key=lambda one: (one.tenant, one.line)):
        stages = list(several)
        shown = [_shown(actor, one, is_last=one is stages[-1]) for one in stages]
        found.append({"tenant": tenant, "line": line, "stages": shown})
    return found


def _usable(actor: Actor) -> list[Environment]:
    rows = Environment.objects.in_use().for_actor(actor, Permission.STAGE_MANAGE)
    return list(rows.filter(kind="app", stage_copy=None).select_related("tenant")[:_MOST_CHOICES])


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def board(request: PageRequest) -> HttpResponse:
    usable, status = _usable(request.actor), 200
    form = StageForm(request.POST if request.method == "POST" else None, environments=usable)
    if form.is_bound:

        def add(sent: dict[str, Any]) -> object:
            named = sent.pop("environments")
            chosen = [one for one in usable if str(one.pk) in named]
            return services.add_stage(request.actor, chosen[0].tenant, environments=chosen, **sent)

        _made, status = tried(form, add)
        if status == 200:
            messages.success(request, _("The stage was added"))
            return redirect("stages")
    may_add = bool(Environment.objects.in_use().for_actor(request.actor, Permission.STAGE_MANAGE)[:1])
    context = {"section": "stage", "lines": _lines(request.actor), "form": form, "may_add": may_add}
    return page(request, "stages/board.html", context, status)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def change(request: PageRequest, stage_id: UUID) -> HttpResponse:
    """What must hold before something goes on, and which copies a stage has."""
    row, status = services.found_stage(request.actor, stage_id), 200
    request.actor.require(Permission.STAGE_MANAGE, row.tenant)
    own = copies_of(row)
    free = [one for one in _usable(request.actor) if one.tenant_id == row.tenant_id]
    known = {
        "environments": [str(one.pk) for one in own],
        **{name: getattr(row, name) for name in ("command", "needs_health", "needs_yes", "drain_s")},
    }
    bound = request.POST if request.method == "POST" else None
    form = StageChangeForm(bound, environments=[*own, *free], initial=known)
    if form.is_bound:

        def lay(sent: dict[str, Any]) -> object:
            named = sent.pop("environments")
            chosen = [one for one in (*own, *free) if str(one.pk) in named]
            return services.change_stage(request.actor, row.pk, environments=chosen, **sent)

        _changed, status = tried(form, lay)
        if status == 200:
            messages.success(request, _("The stage was changed"))
            return redirect("stages")
    return page(request, "stages/change.html", {"section": "stage", "row": row, "form": form}, status)


def _asked(request: PageRequest, change: Callable[[], object], said: str) -> HttpResponse:
    """A refusal is told on the board."""
    try:
        change()
    except Refused as refusal:
        if refusal.status in (403, 404):
            raise
        messages.error(request, str(refusal))
    else:
        messages.success(request, said)
    return redirect("stages")


@require_POST
@signed_in
def promote(request: PageRequest, stage_id: UUID) -> HttpResponse:
    return _asked(request, lambda: services.promote(request.actor, stage_id), _("On its way to the next stage"))


@require_POST
@signed_in
def rollback(request: PageRequest, stage_id: UUID) -> HttpResponse:
    return _asked(request, lambda: services.roll_back(request.actor, stage_id), _("Going back a version"))


@require_POST
@signed_in
def approve(request: PageRequest, stage_id: UUID) -> HttpResponse:
    return _asked(request, lambda: services.approve(request.actor, stage_id), _("It goes on"))


@require_POST
@signed_in
def deploy(request: PageRequest, stage_id: UUID) -> HttpResponse:
    form = DeployForm(request.POST)
    image = form.cleaned_data["image"] if form.is_valid() else ""
    return _asked(request, lambda: services.deploy(request.actor, stage_id, image), _("Being rolled out"))


@require_POST
@signed_in
def remove(request: PageRequest, stage_id: UUID) -> HttpResponse:
    return _asked(
        request,
        lambda: services.remove_stage(request.actor, stage_id),
        _("The stage is gone; what it ran goes on"),
    )
