"""What every page's view needs: the actor, refusals as pages, and a page's part when only that is asked."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.forms import Form
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.shortcuts import render
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.template.loader_tags import ExtendsNode
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from panel.errors import Forbidden, NotFound, Refused, SecondFactorNeeded
from panel.rights.actor import Actor
from panel.rights.asking import actor_of, lacks_second_factor, tell_refused

P = ParamSpec("P")
T = TypeVar("T")


class PageRequest(HttpRequest):
    """A request of somebody who is signed in."""

    actor: Actor


#: All that a browser sends to a page.
_METHODS = ("GET", "HEAD", "POST")

_LONGEST_VERSION = 18

View = Callable[Concatenate[PageRequest, P], HttpResponseBase]


def signed_in(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Needs a session, gives the view `request.actor`, and turns a refusal that it lets through into a page.

    What doesn't exist and what belongs to somebody else are both 404.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.method not in _METHODS:
            return HttpResponseNotAllowed(_METHODS)
        actor = actor_of(request)
        if actor is None or actor.token is not None:
            raise Http404
        if lacks_second_factor(actor):
            messages.warning(request, sentence(SecondFactorNeeded()))
            return HttpResponseRedirect(reverse("mfa_index"))
        request.actor = actor  # type: ignore[attr-defined]
        try:
            return view(request, *args, **kwargs)  # type: ignore[arg-type]
        except NotFound as refusal:
            raise Http404(str(refusal)) from refusal
        except Refused as refusal:
            if isinstance(refusal, Forbidden):
                tell_refused(actor, refusal, f"{request.method} {request.path}")
            return refused(request, refusal)

    return _to_sign_in(login_required(wrapped))


def _to_sign_in(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A form whose session has ended leads to the sign-in and from there back to its page, which still has what
    was typed (`keep_form.js`): where it goes may be nothing that can be looked at."""

    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST" and actor_of(request) is None and not request.headers.get("Authorization"):
            came_from = page_before(request)
            if came_from:
                return redirect_to_login(came_from)
        return view(request, *args, **kwargs)

    return wrapped


def page_before(request: HttpRequest) -> str:
    """Path and query of the page of ours that the request came from; empty: of none."""
    came_from = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(came_from, {request.get_host()}, request.is_secure()):
        return ""
    parts = urlsplit(came_from)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def refused(request: HttpRequest, refusal: Refused) -> HttpResponse:
    """The refusal of an action that has no form of its own: back to where it came from, or a page."""
    if isinstance(refusal, Forbidden) or request.method != "POST":
        return render(request, "ui/refused.html", {"refusal": refusal}, status=refusal.status)
    messages.error(request, sentence(refusal))
    return back(request, "/")


def sentence(refusal: Refused) -> str:
    return f"{refusal.message} {refusal.next_step}".strip()


def back(request: HttpRequest, default: str) -> HttpResponse:
    """To the page that a form names in `next`, or that the request came from, if it is ours."""
    for url in (request.POST.get("next", ""), request.headers.get("Referer", "")):
        if url and url_has_allowed_host_and_scheme(url, {request.get_host()}, request.is_secure()):
            return HttpResponseRedirect(url)
    return HttpResponseRedirect(default)


def page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """The whole page, or only the part whose id the request names in `HX-Target`.

    What a script asks for shows no message: a page that refreshes itself while its form is being sent would
    take away the one that the next page is to show. The answer to a refused form is told the address of its
    page: a reload and its live parts go there, and not to what takes forms only.
    """
    target = request.headers.get("HX-Target", "")
    if target and target.replace("-", "").isalnum():
        part = _part(template, target)
        if part is not None:
            return HttpResponse(part.render(context, request))
        context = {**context, "messages": ()}
    if request.method == "POST":
        context = {**context, "page_url": page_before(request)}
    return render(request, template, context, status=status)


def _part(template: str, target: str) -> Any:
    """The part of that name, of the template or of one that it extends; None: there is none."""
    while template:
        try:
            return get_template(f"{template}#{target}")
        except TemplateDoesNotExist:
            nodes = get_template(template).template.nodelist.get_nodes_by_type(ExtendsNode)  # type: ignore[attr-defined]
            parent = nodes[0].parent_name.var if nodes else None
            template = parent if isinstance(parent, str) else ""
    return None


def version_of(text: str) -> int | None:
    """The version that a form was shown with; None: it names none. `int` raises for thousands of digits."""
    return int(text) if text.isdecimal() and len(text) <= _LONGEST_VERSION else None


def tried(form: Form, change: Callable[[dict[str, Any]], T]) -> tuple[T | None, int]:
    """What `change` makes of a form's values, and 200; else None, and the status of the page that shows the
    form again, with what is wrong beside its field."""
    if not form.is_valid():
        return None, 422
    try:
        return change(dict(form.cleaned_data)), 200
    except Refused as refusal:
        blame(form, refusal)
        return None, refusal.status


def blame(form: Form, refusal: Refused) -> None:
    """Put a refusal beside the field that it is about, or above the form."""
    parts = refusal.field.split(".")
    places = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    named = (place for place in (*places, *reversed(parts)) if place in form.fields)
    form.add_error(next(named, None), sentence(refusal))
