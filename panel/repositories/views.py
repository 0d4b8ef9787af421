"""The page of what lies in the registry of the installation."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from panel.registries import own
from panel.repositories import services
from panel.rights.permissions import Permission
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


@require_POST
@signed_in
def remove(request: PageRequest) -> HttpResponse:
    name, tag = request.POST.get("name", ""), request.POST.get("tag", "")
    services.remove_tag(request.actor, name, tag)
    messages.success(request, _("%(name)s is taken out") % {"name": f"{name}:{tag}"})
    return redirect("repositories")
