"""Page of registries: by which name and password images are asked for, and what an administrator allows."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from panel.registries import services
from panel.registries.forms import RegistryForm
from panel.registries.models import Registry
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from panel.tenants.selectors import tenants_with
from panel.ui.web import PageRequest, page, signed_in, tried

#: In the field of the form.


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def registries(request: PageRequest) -> HttpResponse:
    actor, is_administrator = request.actor, request.actor.can(Permission.SECURITY_MANAGE)
    tenants = tenants_with(actor, Permission.ENVIRONMENT_CREATE)
    given = request.POST if request.method == "POST" else None
    form = RegistryForm(given, tenants=tenants, is_administrator=is_administrator)
    status = 200
    if given is not None:
        row, status = tried(form, lambda sent: _add(actor, tenants, sent))
        if row is not None:
            messages.success(request, _("%(host)s is named") % {"host": row})
            return redirect("registries")
    rows = Registry.objects.for_actor(actor).select_related("tenant", "created_by")
    context = {
        "section": "registry",
        "form": form,
        "registries": [{"row": row, "may_remove": _may_remove(actor, row)} for row in rows],
        "may_add": bool(tenants) or is_administrator,
    }
    return page(request, "registries/list.html", context, status)


def _add(actor: Actor, tenants: list[Tenant], values: dict[str, Any]) -> Registry:
    chosen = values.pop("tenant")
    tenant = next((one for one in tenants if str(one.pk) == chosen), None)
    return services.add_registry(actor, tenant, **values)


def _may_remove(actor: Actor, row: Registry) -> bool:
    if (row.tenant is None or row.insecure or row.inward) and not actor.can(
        Permission.SECURITY_MANAGE, row.tenant
    ):
        return False
    if row.tenant is None:
        return True
    needed = [Permission.ENVIRONMENT_CREATE, *([Permission.TENANT_CHANGE] if row.signed_by else [])]
    return all(actor.can(one, row.tenant) for one in needed)


@require_POST
@signed_in
def remove(request: PageRequest, registry_id: UUID) -> HttpResponse:
    services.remove_registry(request.actor, registry_id)
    messages.success(request, _("Taken out"))
    return redirect("registries")
