"""Out of the trash."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from panel.environments import services
from panel.environments.forms import UndeleteForm
from panel.environments.views.one import get, show_overview
from panel.ui.web import PageRequest, signed_in, tried


@require_POST
@signed_in
def undelete(request: PageRequest, environment_id: UUID) -> HttpResponse:
    """Under its name, or another where somebody has that by now."""
    row = get(request, environment_id)
    form = UndeleteForm(request.POST)

    def bring_back(sent: dict[str, Any]) -> object:
        name = sent["name"].strip()
        return services.undelete_environment(request.actor, row.pk, name="" if name == row.name else name)

    changed, status = tried(form, bring_back)
    if changed is None:
        return show_overview(request, row, undelete=form, status=status)
    messages.success(request, _("It comes back"))
    return redirect("environment", row.pk)
