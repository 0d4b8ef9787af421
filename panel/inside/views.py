"""The page of what runs inside and of what is different from what it was made from; the ways in."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from panel.environments.views.one import context_of, get
from panel.errors import Refused
from panel.inside import services
from panel.rights.permissions import Permission
from panel.serving.later import in_thread, later
from panel.storage.files import Asked
from panel.ui.web import PageRequest, page, signed_in

#: Rows of a page; the API has more.
_MOST = 200


@require_safe
@signed_in
def processes(request: PageRequest, environment_id: UUID) -> HttpResponse:
    row = get(request, environment_id)
    request.actor.require(Permission.ENVIRONMENT_EXEC, row)
    return page(request, "inside/processes.html", context_of(request, row, "processes"))


@require_safe
@signed_in
def top(request: PageRequest, environment_id: UUID) -> HttpResponseBase:
    """A part of that page, which asks for it again and again."""
    asked = services.top(request.actor, environment_id)
    return _part(request, environment_id, "inside/_top.html", asked, lambda found: found["items"][:_MOST])


@require_safe
@signed_in
def diff(request: PageRequest, environment_id: UUID) -> HttpResponseBase:
    """A part of that page, for who asks for it."""
    asked = services.diff(request.actor, environment_id, most=_MOST)
    return _part(request, environment_id, "inside/_diff.html", asked, lambda found: found["items"])


@require_safe
@signed_in
def ways_in(request: PageRequest, environment_id: UUID) -> HttpResponseBase:
    """A part of the overview, which asks for it once."""
    asked = services.ways_in(request.actor, environment_id)
    return _part(request, environment_id, "inside/_ways_in.html", asked, lambda found: found["items"])


def _part(
    request: PageRequest,
    environment_id: UUID,
    template: str,
    asked: Asked[Any],
    rows: Callable[[Any], list[Any]],
) -> HttpResponseBase:
    def show(**found: object) -> HttpResponse:
        return render(request, template, {"environment_id": environment_id, **found})

    async def answer() -> HttpResponse:
        found = await asked.result()
        return await in_thread(partial(show, found=found, rows=rows(found)))

    def away(refusal: Refused) -> HttpResponse:
        return show(refusal=refusal)

    return later(request, answer, on_refused=away, place=asked.place)
