"""The page of consoles, in the panel's frame or in a window of its own, and the shells that run inside."""

from functools import partial
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from panel.console.services import close_terminal, console_log, list_terminals
from panel.environments.views.one import context_of, get
from panel.errors import Refused
from panel.rights.permissions import Permission
from panel.serving.later import later
from panel.ui.web import PageRequest, page, refused, signed_in


@require_safe
@signed_in
def console(request: PageRequest, environment_id: UUID) -> HttpResponse:
    return _page(request, environment_id, "environments/console.html")


@require_safe
@signed_in
def window(request: PageRequest, environment_id: UUID) -> HttpResponse:
    """Only the terminals, for a window that stands beside the others."""
    return _page(request, environment_id, "environments/console_window.html")


def _page(request: PageRequest, environment_id: UUID, template: str) -> HttpResponse:
    row = get(request, environment_id)
    request.actor.require(Permission.ENVIRONMENT_CONSOLE, row)
    return page(request, template, context_of(request, row, "console"))


@require_safe
@signed_in
def replay(request: PageRequest, environment_id: UUID) -> HttpResponse:
    """What the console printed, played again."""
    return _page(request, environment_id, "environments/replay.html")


@require_safe
@signed_in
def log(request: PageRequest, environment_id: UUID) -> HttpResponseBase:
    record = console_log(request.actor, environment_id, request.GET.get("format", "text"))
    return later(request, record.answer, on_refused=partial(refused, request), place=record.place)


@require_safe
@signed_in
def terminals(request: PageRequest, environment_id: UUID) -> HttpResponseBase:
    """`{"items": […]}`; empty while the node can't be asked: the page opens its tabs anyway."""
    looked = list_terminals(request.actor, environment_id)

    async def answer() -> HttpResponse:
        return JsonResponse({"items": await looked.result()})

    def none(refusal: Refused) -> HttpResponse:
        return JsonResponse({"items": []}) if refusal.status >= 500 else refused(request, refusal)

    return later(request, answer, on_refused=none, place=looked.place)


@require_POST
@signed_in
def close(request: PageRequest, environment_id: UUID, name: str) -> HttpResponseBase:
    closing = close_terminal(request.actor, environment_id, name)

    async def answer() -> HttpResponse:
        await closing.result()
        return redirect("environment-console", environment_id)

    return later(request, answer, on_refused=partial(refused, request), place=closing.place)
