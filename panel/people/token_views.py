"""The page of API tokens."""

from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from panel.environments.models import Environment
from panel.people import tokens as tokens_
from panel.people.token_forms import TokenForm
from panel.rights.labels import words
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from panel.ui.once import keep_once, take_once
from panel.ui.web import PageRequest, page, signed_in, tried


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def tokens(request: PageRequest) -> HttpResponse:
    """The list and the form. A new token is on the page after the form, once, and nowhere else after."""
    actor = request.actor
    tenants = list(Tenant.objects.for_actor(actor, Permission.TOKEN_MANAGE)[:200])
    form = TokenForm(request.POST or None)
    choices = [(str(t.pk), t.name) for t in tenants]
    if actor.is_platform_administrator:
        choices.insert(0, ("", _("the whole installation")))
    form.offer(choices, Environment.objects.for_actor(actor).in_use().filter(tenant__in=tenants)[:500])
    status = 200
    if request.method == "POST":
        made, status = tried(form, lambda _sent: _make_token(request, form, tenants))
        if made is not None:
            keep_once(request, "token", made)
            return redirect("tokens")
    context = {
        "section": "token",
        "tokens": [{"row": row, "words": words(row.permissions)} for row in tokens_.tokens_seen(actor)],
        "form": form,
        "made": take_once(request, "token"),
        "may_create": bool(choices),
    }
    return page(request, "accounts/tokens.html", context, status)


def _make_token(request: PageRequest, form: TokenForm, tenants: list[Tenant]) -> str:
    values = form.cleaned_data
    _token, text = tokens_.create_token(
        request.actor,
        tenant=next((t for t in tenants if str(t.pk) == values["tenant"]), None),
        name=values["name"],
        role=values["role"],
        permissions=[] if values["role"] else values["permissions"],
        environments=values["environments"],
        expires_at=timezone.now() + timedelta(days=values["days"]),
        networks=[n.strip() for n in values["networks"].split(",") if n.strip()],
    )
    return text


@require_POST
@signed_in
def revoke(request: PageRequest, token_id: UUID) -> HttpResponse:
    row = tokens_.revoke_token(request.actor, token_id)
    messages.success(request, _("Token %(name)s revoked") % {"name": row})
    return redirect("tokens")
