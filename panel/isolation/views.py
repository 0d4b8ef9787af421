"""The page of what stands between an environment and the host, and of what its kernel counts."""

from functools import partial
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from panel.environments.views.one import context_of, get
from panel.errors import Refused
from panel.isolation.services import DIRECTORY_WALLS, look, runs_on
from panel.serving.later import in_thread, later
from panel.ui.web import PageRequest, page, refused, signed_in


@require_safe
@signed_in
def isolation(request: PageRequest, environment_id: UUID) -> HttpResponse:
    row = get(request, environment_id)
    return page(request, "isolation/isolation.html", context_of(request, row, "isolation"))


@require_safe
@signed_in
def kernel(request: PageRequest, environment_id: UUID) -> HttpResponseBase:
    """The node's part of that page, which the page asks for. While the node can't be asked it says so."""
    asked = look(request.actor, environment_id)

    def show(**found: object) -> HttpResponse:
        row = asked.environment
        context = {"environment": row, "runs_on": runs_on(row), "walls": DIRECTORY_WALLS, **found}
        return render(request, "isolation/_kernel.html", context)

    async def answer() -> HttpResponse:
        return await in_thread(partial(show, seen=await asked.result()))

    def away(refusal: Refused) -> HttpResponse:
        return show(refusal=refusal) if refusal.status >= 500 else refused(request, refusal)

    return later(request, answer, on_refused=away, place=asked.place)
