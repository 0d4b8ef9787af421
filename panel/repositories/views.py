"""The page of what lies in the registry of the installation."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from panel.errors import Refused
from panel.registries import own
from panel.repositories import archive, commit, services
from panel.rights.permissions import Permission
from panel.serving.later import later
from panel.ui.web import PageRequest, page, signed_in


@require_safe
@signed_in
def repositories(request: PageRequest) -> HttpResponse:
    actor = request.actor
    found = list(services.repositories(actor))
    context = {
        "section": "registry",
        "is_offered": own.is_offered(),
        "host": own.host(),
        "repositories": [
            {
                "row": one,
                "tags": [(tag, services_used.get(tag.name, [])) for tag in one.tags],
                "may_remove": actor.can(Permission.ENVIRONMENT_CREATE, one.tenant),
            }
            for one in found
            for services_used in (services.used_by(actor, one),)
        ],
        "spaces": list(services.spaces(actor)),
        "limit": services.limit_bytes(),
    }
    return page(request, "repositories/list.html", context)


@require_safe
@signed_in
def archive_of(request: PageRequest) -> HttpResponseBase:
    found = archive.download(request.actor, request.GET.get("name", ""), request.GET.get("tag", ""))

    def away(refusal: Refused) -> HttpResponse:
        messages.error(request, str(refusal))
        return redirect("repositories")

    return later(request, found.answer, on_refused=away, place=found.place)


@require_POST
@signed_in
def commit_it(request: PageRequest, environment_id: UUID) -> HttpResponse:
    name, tag = request.POST.get("name", ""), request.POST.get("tag", "") or "latest"
    try:
        operation = commit.commit(request.actor, environment_id, name=name, tag=tag)
    except Refused as refusal:
        if refusal.status in (403, 404):
            raise
        messages.error(request, str(refusal))
        return redirect("environment-processes", environment_id)
    return redirect("operation", operation.pk)


@require_POST
@signed_in
def remove(request: PageRequest) -> HttpResponse:
    name, tag = request.POST.get("name", ""), request.POST.get("tag", "")
    services.remove_tag(request.actor, name, tag)
    messages.success(request, _("%(name)s is taken out") % {"name": f"{name}:{tag}"})
    return redirect("repositories")
