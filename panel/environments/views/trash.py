"""Out of the trash."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from panel.environments import services
from panel.environments.forms import UndeleteForm
from panel.environments.views.one import get, show_overview
from panel.errors import Refused
from panel.ui.web import PageRequest, blame, signed_in


@require_POST
@signed_in
def undelete(request: PageRequest, environment_id: UUID) -> HttpResponse:
    """Under its name, or another where somebody has that by now."""
    row = get(request, environment_id)
    form = UndeleteForm(request.POST)
    status = 422
    if form.is_valid():
        name = form.cleaned_data["name"].strip()
        try:
            services.undelete_environment(request.actor, row.pk, name="" if name == row.name else name)
        except Refused as refusal:
            blame(form, refusal)
            status = refusal.status
        else:
            messages.success(request, _("It comes back"))
            return redirect("environment", row.pk)
    return show_overview(request, row, undelete=form, status=status)
