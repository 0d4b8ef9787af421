"""First page, command palette, tray of running operations, and the page of components."""

from typing import Any

from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from panel.environments.models import Environment
from panel.environments.states import State
from panel.folding import finds
from panel.tenants.models import Tenant
from panel.ui.web import PageRequest, page, signed_in

_MOST_FOUND = 12


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
    items = _environments(request, text) + _tenants(request, text) + _pages(request, text)
    return JsonResponse({"items": items[:30]})


def _environments(request: PageRequest, text: str) -> list[dict[str, Any]]:
    """Those whose name holds the last word; a word before it that is an action comes first: "stop web"."""
    words = text.lower().split()
    verb = words[0] if len(words) > 1 and words[0] in _VERBS else ""
    name = words[-1] if words else ""
    rows = Environment.objects.for_actor(request.actor).in_use().select_related("tenant")
    if name:
        rows = rows.filter(finds(name, "name"))
    found: list[dict[str, Any]] = []
    for row in rows.order_by("-changed_at")[:_MOST_FOUND]:
        if verb:
            found.append(_action(row, verb))
        found.append(
            {
                "label": row.name,
                "hint": f"{row.state.label} · {row.tenant.name}",
                "url": reverse("environment", args=[row.pk]),
                "icon": "server-2",
            }
        )
    return found


_VERBS = {"start": "player-play", "stop": "player-stop", "restart": "refresh", "console": "terminal-2"}


def _action(row: Environment, verb: str) -> dict[str, Any]:
    hint = row.tenant.name
    if verb == "console":
        url = reverse("environment-console", args=[row.pk])
        return {"label": f"{_('Console')} {row.name}", "hint": hint, "url": url, "icon": _VERBS[verb]}
    url = reverse("environment-power", args=[row.pk])
    label = f"{verb.capitalize()} {row.name}"
    return {"label": label, "hint": hint, "url": url, "icon": _VERBS[verb], "post": {"action": verb}}


def _tenants(request: PageRequest, text: str) -> list[dict[str, Any]]:
    if not text:
        return []
    rows = Tenant.objects.for_actor(request.actor).filter(finds(text, "name"))[:5]
    return [
        {"label": row.name, "hint": _("tenant"), "url": reverse("tenant", args=[row.pk]), "icon": "building"}
        for row in rows
    ]


def _pages(request: PageRequest, text: str) -> list[dict[str, Any]]:
    pages = [
        (_("Create an environment"), "environment-create", "plus"),
        (_("Environments"), "environments", "server-2"),
        (_("Operations"), "operations", "activity"),
        (_("Images"), "images", "package"),
        (_("Addresses"), "addresses", "network"),
        (_("Tenants and quotas"), "tenants", "building"),
        (_("API tokens"), "tokens", "key"),
        (_("Profile"), "profile", "user"),
    ]
    if request.actor.is_platform_administrator:
        pages += [
            (_("Nodes"), "nodes", "stack-2"),
            (_("Plans"), "plans", "gauge"),
            (_("Audit"), "audit", "shield-lock"),
        ]
    return [
        {"label": label, "hint": _("page"), "url": reverse(name), "icon": sign}
        for label, name, sign in pages
        if text.lower() in label.lower()
    ]


@require_safe
@signed_in
def components(request: PageRequest) -> HttpResponse:
    """Every component once, for people who build pages and for screenshots."""
    shares = [(12, 20), (55, 70), (84, 90), (97, 100)]
    return page(request, "ui/components.html", {"states": list(State), "shares": shares})
