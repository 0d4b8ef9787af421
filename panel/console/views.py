"""The page of consoles, in the panel's frame or in a window of its own, and the shells that run inside."""

from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from panel.console.services import Some, close_terminal, console_log, list_terminals, log_lines
from panel.environments.kinds import refuse_console
from panel.environments.views.one import context_of, get
from panel.errors import Refused
from panel.http.problem import refused as problem
from panel.rights.permissions import Permission
from panel.serving.later import later
from panel.ui.web import PageRequest, page, refused, signed_in

#: Lines that the page begins with.
_COUNTS = (500, 100, 2000, 5000)


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
def lines(request: PageRequest, environment_id: UUID) -> HttpResponse:
    """The lines of its log, which the page reads as they come."""
    row = get(request, environment_id)
    request.actor.require(Permission.ENVIRONMENT_CONSOLE, row)
    refuse_console(row.kind)
    asked = _asked(request)
    at = reverse("environment-console-log", args=[row.pk])
    given = {name: value for name, value in asked.items() if value and name != "tail"}
    more = {
        "asked": asked,
        "counts": _COUNTS,
        "download": f"{at}?{urlencode({'format': 'lines', **given})}",
    }
    return page(request, "environments/log.html", {**context_of(request, row, "log"), **more})


def _asked(request: PageRequest) -> dict[str, Any]:
    """Which lines, as the page's form and its script ask for them."""
    words = {name: request.GET.get(name, "")[:200].strip() for name in ("grep", "stream", "since", "until")}
    tail = request.GET.get("tail", "")
    return {**words, "tail": int(tail) if tail in {str(one) for one in _COUNTS} else _COUNTS[0]}


@require_safe
@signed_in
def log(request: PageRequest, environment_id: UUID) -> HttpResponseBase:
    """As a download; `follow`: as the page of lines reads it, whose script tells what was refused."""
    form, is_followed = request.GET.get("format", "text"), request.GET.get("follow") == "1"
    if form != "lines":
        record = console_log(request.actor, environment_id, form)
        return later(request, record.answer, on_refused=partial(refused, request), place=record.place)
    asked = _asked(request)
    tail = asked.pop("tail")
    tell = problem if is_followed else partial(refused, request)
    try:
        record = log_lines(
            request.actor,
            environment_id,
            Some(**asked, tail=tail if "tail" in request.GET else None, follow=is_followed),
        )
    except Refused as refusal:
        return tell(refusal)
    return later(request, record.answer, on_refused=tell, place=record.place)


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
