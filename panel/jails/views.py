"""The page of jails: all that a reader sees, as jls(8) has them, and a jail.conf made into some."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from panel.environments.features import shown_of
from panel.errors import Refused
from panel.images.selectors import ready_names
from panel.jails import selectors, services
from panel.jails.forms import ConfForm
from panel.jails.meaning import Remark, Wanted
from panel.jails.services import Asked, BadJailConf, Imported
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.selectors import tenants_with
from panel.ui.once import keep_once, take_once
from panel.ui.web import PageRequest, blame, page, signed_in

_MOST_SHOWN = 500
_PASSWORDS = "jail-passwords"


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def everywhere(request: PageRequest) -> HttpResponse:
    tenants, status = tenants_with(request.actor, Permission.ENVIRONMENT_CREATE), 200
    problems: Sequence[Remark] = ()
    preview: list[Wanted] | None = None
    data = request.POST if request.method == "POST" else None
    form = ConfForm(data, tenants=tenants, images=sorted(ready_names()))
    if form.is_bound:
        status = 422
        if form.is_valid():
            tenant = next(one for one in tenants if str(one.pk) == form.cleaned_data["tenant"])
            asked = Asked(**form.asked())
            try:
                if "preview" in request.POST:
                    preview, status = services.preview_import(request.actor, tenant, asked), 200
                else:
                    return _made(request, services.import_conf(request.actor, tenant, asked))
            except BadJailConf as refusal:
                problems, status = refusal.remarks, refusal.status
            except Refused as refusal:
                blame(form, refusal)
                status = refusal.status
    context = {
        "section": "jail",
        "jails": _listed(request.actor),
        "form": form,
        "may_add": bool(tenants),
        "problems": problems,
        "preview": preview,
        "passwords": take_once(request, _PASSWORDS),
    }
    return page(request, "jails/list.html", context, status)


def _listed(actor: Actor) -> list[dict[str, Any]]:
    rows = list(selectors.rows_of(actor)[:_MOST_SHOWN])
    of_features = shown_of([row.pk for row in rows])
    return [{"row": row, "jail": selectors.show(row, of_features(row.pk))} for row in rows]


def _made(request: PageRequest, made: Sequence[Imported]) -> HttpResponse:
    passwords = [(one.wanted.name, one.changed.root_password) for one in made if one.changed.root_password]
    keep_once(request, _PASSWORDS, "\n".join(f"{name}: {password}" for name, password in passwords))
    text = ngettext("%(count)s jail is being made", "%(count)s jails are being made", len(made))
    messages.success(request, text % {"count": len(made)})
    return redirect("jails")
