"""First page, command palette, tray of running operations, and the page of components."""

from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from panel.environments.states import State
from panel.frame.palette import found
from panel.frame.shell import Shell
from panel.ui.web import PageRequest, page, signed_in


@require_safe
@signed_in
def home(request: PageRequest) -> HttpResponse:
    return redirect("environments")


@require_safe
@signed_in
def tray(request: PageRequest) -> HttpResponse:
    return render(request, "ui/_tray.html")


@require_safe
@signed_in
def outages(request: PageRequest) -> HttpResponse:
    """The banner alone, for pages that are open while something goes away or comes back."""
    return render(request, "ui/_outages.html")


@require_safe
@signed_in
def palette(request: PageRequest) -> HttpResponse:
    """What `?q=` may mean: `{"items": [{"label", "hint", "url", "icon", "post"?}]}`."""
    text = request.GET.get("q", "").strip()[:80]
    return JsonResponse({"items": found(Shell(request, request.actor), text)})


@require_safe
@signed_in
def components(request: PageRequest) -> HttpResponse:
    """Every component once, for people who build pages and for screenshots."""
    shares = [(12, 20), (55, 70), (84, 90), (97, 100)]
    return page(request, "ui/components.html", {"states": list(State), "shares": shares})
