"""The page of one volume's schedule of backups."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from panel.backups.forms import VolumeScheduleForm
from panel.backups.scheduled import VolumeBackupsByTime
from panel.backups.views import targets_for
from panel.errors import NotFound
from panel.rights.actor import Actor
from panel.storage import schedules
from panel.storage.models import Of, Schedule, Takes
from panel.storage.views import saved, schedule_context
from panel.tenants.chosen import shows
from panel.ui.web import PageRequest, page, signed_in
from panel.volumes.models import Volume

_ADDRESS = "volume-backup-schedule"


def _seen(actor: Actor, volume_id: UUID) -> Volume:
    row = Volume.objects.for_actor(actor).select_related("tenant", "node").filter(pk=volume_id).first()
    if row is None:
        raise NotFound(_("This volume"))
    return row


def _page(
    request: PageRequest, row: Volume, *, form: VolumeScheduleForm | None = None, status: int = 200
) -> HttpResponse:
    shows(request, request.actor, row.tenant)
    usable = targets_for(row)
    known = Schedule.objects.filter(volume=row, takes=Takes.BACKUPS).first()
    may = VolumeBackupsByTime().may(request.actor, row)
    context = {
        **schedule_context(row.pk, row.tenant, known, form or VolumeScheduleForm.of(known, targets=usable)),
        "section": "volume",
        "volume": row,
        "targets": usable,
        "set_schedule": f"{_ADDRESS}-set",
        "delete_schedule": f"{_ADDRESS}-delete",
        "may_schedule": bool(usable) and may,
    }
    return page(request, "backups/volume_schedule.html", context, status)


@require_safe
@signed_in
def schedule(request: PageRequest, volume_id: UUID) -> HttpResponse:
    return _page(request, _seen(request.actor, volume_id))


@require_POST
@signed_in
def set_schedule(request: PageRequest, volume_id: UUID) -> HttpResponse:
    row = VolumeBackupsByTime().changeable(request.actor, volume_id)
    form = VolumeScheduleForm(request.POST, targets=targets_for(row))
    status = saved(request, volume_id, form, Takes.BACKUPS, Of.VOLUME)
    return redirect(_ADDRESS, volume_id) if status == 200 else _page(request, row, form=form, status=status)


@require_POST
@signed_in
def delete_schedule(request: PageRequest, volume_id: UUID) -> HttpResponse:
    schedules.delete_schedule(request.actor, volume_id, Takes.BACKUPS, of=Of.VOLUME)
    messages.success(request, _("The schedule is gone; what it took stays"))
    return redirect(_ADDRESS, volume_id)
