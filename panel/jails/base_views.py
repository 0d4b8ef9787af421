"""The page of bases: what the newest build of an image would change for its jails, and updates of them."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from panel.errors import Refused
from panel.jails import bases as services
from panel.jails import selectors
from panel.jails.forms import BaseForm
from panel.jails.models import BaseUpdate
from panel.rights.permissions import Permission
from panel.serving.later import in_thread, later
from panel.tenants.selectors import tenants_with
from panel.text import shell_words
from panel.ui.web import PageRequest, blame, page, refused, signed_in

_MOST_UPDATES = 20


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def bases(request: PageRequest) -> HttpResponseBase:
    tenants = tenants_with(request.actor, Permission.ENVIRONMENT_CHANGE)
    thin = selectors.thin_ones(request.actor)
    data = request.POST if request.method == "POST" else None
    form = BaseForm(data, tenants=tenants, images=sorted({row.image for row in thin}))
    show = partial(_page, request, form)
    if not form.is_bound:
        return show()
    if not form.is_valid():
        return show(status=422)
    tenant = next(one for one in tenants if str(one.pk) == form.cleaned_data["tenant"])
    image = form.cleaned_data["image"]
    try:
        if "preview" not in request.POST:
            words = shell_words(form.cleaned_data["command"])
            services.update(request.actor, tenant, image, (), words)
            messages.success(request, _("The update has begun"))
            return redirect("jail-bases")
        asked = services.preview(request.actor, tenant, image)
    except ValueError:
        form.add_error("command", _("A quotation mark is not closed."))
        return show(status=422)
    except Refused as refusal:
        blame(form, refusal)
        return show(status=refusal.status)

    async def answer() -> HttpResponse:
        said = await asked.result()
        return await in_thread(partial(_foreseen, show, asked.jails, said))

    return later(request, answer, on_refused=partial(refused, request), place=asked.place)


def _foreseen(show: Any, jails: Sequence[Any], said: Sequence[Any]) -> HttpResponse:
    found = [selectors.show_foreseen(*each) for each in zip(jails, said, strict=True)]
    made: HttpResponse = show(preview=selectors.in_groups(found))
    return made


def _page(request: PageRequest, form: BaseForm, *, status: int = 200, **more: Any) -> HttpResponse:
    rows = BaseUpdate.objects.for_actor(request.actor).select_related("tenant", "operation")[:_MOST_UPDATES]
    context = {
        "section": "jail",
        "form": form,
        "updates": [
            {"row": row, "may": request.actor.can(Permission.ENVIRONMENT_CHANGE, row.tenant)} for row in rows
        ],
        "may_update": bool(form.fields["tenant"].choices and form.fields["image"].choices),  # type: ignore[attr-defined]
        **more,
    }
    return page(request, "jails/bases.html", context, status)


@require_POST
@signed_in
def roll_back(request: PageRequest, update_id: UUID) -> HttpResponse:
    try:
        services.roll_back(request.actor, update_id)
        messages.success(request, _("Its jails are on their way back"))
    except Refused as refusal:
        if refusal.status in (403, 404):
            raise
        messages.error(request, str(refusal))
    return redirect("jail-bases")
