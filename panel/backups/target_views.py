"""Pages of one target: what it is, its checks, and its end."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from panel.backups import checks, targets
from panel.backups.forms import ServerForm
from panel.backups.models import Target
from panel.errors import NotFound
from panel.rights.permissions import Permission
from panel.tenants.chosen import shows
from panel.ui.web import PageRequest, page, signed_in, tried


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def target(request: PageRequest, target_id: UUID) -> HttpResponse:
    """A server: where it lies, what its last check found, and what is said anew of it."""
    row = targets.found(request.actor, target_id)
    request.actor.require(Permission.BACKUP_MANAGE, row.tenant)
    shows(request, request.actor, row.tenant)
    if row.place is None:
        raise NotFound(_("This target"))
    may_open = request.actor.can(Permission.SECURITY_MANAGE, row.tenant)
    form = ServerForm(request.POST or None, kind=row.kind, may_open=may_open, initial=_known_of(row))
    status = 200
    if request.method == "POST":

        def change(_sent: dict[str, Any]) -> object:
            targets.change_target(request.actor, row.pk, **_said_anew(form))
            return checks.check_target(request.actor, row.pk)

        _done, status = tried(form, change)
        if status == 200:
            messages.success(request, _("Saved; the target is being asked"))
            return redirect("backup-target", row.pk)
    may_forget = bool(row.fingerprint)
    context = {"section": "backup", "target": row, "form": form, "may_forget": may_forget}
    return page(request, "backups/target.html", context, status)


def _known_of(row: Target) -> dict[str, Any]:
    known: dict[str, Any] = row.place or {}
    bounds = {name: getattr(row, name) for name in targets.BOUNDS}
    return {**known, **bounds, "inward": known.get("is_inward")}


def _said_anew(form: ServerForm) -> dict[str, Any]:
    """What differs from what is known; an empty secret is none."""
    return {name: form.cleaned_data[name] for name in form.changed_data}


@require_POST
@signed_in
def check_target(request: PageRequest, target_id: UUID) -> HttpResponse:
    checks.check_target(request.actor, target_id)
    messages.success(request, _("The target is being asked"))
    return redirect("backups")


@require_POST
@signed_in
def forget_key(request: PageRequest, target_id: UUID) -> HttpResponse:
    targets.change_target(request.actor, target_id, host_key="")
    messages.success(request, _("Forgotten: the next key that the server shows is believed"))
    return redirect("backup-target", target_id)


@require_POST
@signed_in
def remove_target(request: PageRequest, target_id: UUID) -> HttpResponse:
    targets.remove_target(request.actor, target_id)
    messages.success(request, _("Taken out"))
    return redirect("backups")
