"""The page of volumes' backups: made, put back, made into new volumes, deleted; of gone ones too."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from panel.backups import of_volumes, services
from panel.backups.forms import VolumeBackupForm
from panel.backups.models import Backup, Target
from panel.backups.rows import SHOWN_WITH, new_form, rows_of
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.chosen import shows
from panel.ui.web import PageRequest, page, signed_in, tried
from panel.volumes.models import Volume

#: On one page, and in the field of a form.
_MOST_SHOWN = 500


def backups(
    request: PageRequest,
    *,
    form: VolumeBackupForm | None = None,
    of: UUID | None = None,
    refused: Mapping[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    """`refused`: forms of the backup `of`."""
    actor = request.actor
    rows = Backup.objects.for_actor(actor).filter(is_of_volume=True).with_schedule()
    form = form or _form(actor)
    context: dict[str, Any] = {
        "section": "backup",
        "backups": rows_of(actor, rows.select_related(*SHOWN_WITH)[:_MOST_SHOWN], of, refused),
        "form": form,
        "may_make": form.is_usable,
    }
    return page(request, "backups/volumes.html", context, status)


def _form(actor: Actor, sent: QueryDict | None = None) -> VolumeBackupForm:
    volumes = Volume.objects.for_actor(actor).filter(is_going=False).exclude(made_at=None)
    mine = [
        one
        for one in volumes.select_related("tenant")[:_MOST_SHOWN]
        if actor.can(Permission.BACKUP_MANAGE, one.tenant) and actor.can(Permission.VOLUME_MANAGE, one.tenant)
    ]
    targets = list(Target.objects.for_actor(actor).select_related("tenant", "node")[:_MOST_SHOWN])
    return VolumeBackupForm(sent, volumes=mine, targets=targets)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def everywhere(request: PageRequest) -> HttpResponse:
    if request.method != "POST":
        return backups(request)
    form = _form(request.actor, request.POST)

    def make(sent: dict[str, Any]) -> object:
        volume, target = UUID(sent.pop("volume")), UUID(sent.pop("target"))
        return of_volumes.back_up(request.actor, volume, target, **sent)

    made, status = tried(form, make)
    if made is None:
        return backups(request, form=form, status=status)
    messages.success(request, _("A backup is being made"))
    return redirect("volume-backups")


@require_safe
@signed_in
def look(request: PageRequest, backup_id: UUID) -> HttpResponse:
    """What is in a backup of a volume, gone or not; the page's script asks for it."""
    row = services.ready_backup(request.actor, backup_id, is_of_volume=True)
    request.actor.require(Permission.ENVIRONMENT_EXEC, row.tenant)
    shows(request, request.actor, row.tenant)
    at = f"/api/v1/backups/{row.pk}/files"
    context = {"section": "backup", "frame": "backups/_files_frame.html", "snapshot": None, "backup": row}
    return page(request, "storage/files.html", {**context, "api": at})


@require_POST
@signed_in
def restore(request: PageRequest, backup_id: UUID) -> HttpResponse:
    operation = of_volumes.restore_in_place(request.actor, backup_id)
    messages.success(request, _("It goes back to the backup; what it was until now is kept as a snapshot"))
    return redirect("volume", operation.subject_id)


@require_POST
@signed_in
def new(request: PageRequest, backup_id: UUID) -> HttpResponse:
    backup = of_volumes.ready(request.actor, backup_id)  # what isn't his is answered as what isn't there
    form = new_form(backup, request.POST)
    made, status = tried(form, lambda sent: of_volumes.restore_as_new(request.actor, backup_id, **sent))
    if made is None:
        return backups(request, of=backup_id, refused={"new": form}, status=status)
    messages.success(request, _("%(name)s is being made") % {"name": made[0]})
    return redirect("volume", made[0].pk)


@require_POST
@signed_in
def delete(request: PageRequest, backup_id: UUID) -> HttpResponse:
    services.delete_backup(request.actor, backup_id)
    messages.success(request, _("The backup is being deleted"))
    return redirect("volume-backups")
