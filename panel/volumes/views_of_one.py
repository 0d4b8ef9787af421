"""The page of one volume: what it was, and going back to that."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from panel.errors import NotFound
from panel.operations.models import Operation, OperationState, SubjectType
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.storage import schedules
from panel.storage.forms import ScheduleForm, SnapshotForm
from panel.storage.kept import uses
from panel.storage.models import Of, Schedule, Takes
from panel.storage.views import saved, schedule_context
from panel.tenants.chosen import shows
from panel.ui.web import PageRequest, page, signed_in, tried
from panel.volumes import snapshots
from panel.volumes.forms import CloneForm
from panel.volumes.models import Volume


def _seen(actor: Actor, volume_id: UUID) -> Volume:
    rows = Volume.objects.for_actor(actor).select_related("tenant", "node")
    row = rows.prefetch_related("attachments__environment").filter(pk=volume_id).first()
    if row is None:
        raise NotFound(_("This volume"))
    return row


def _page(
    request: PageRequest,
    volume_id: UUID,
    *,
    form: SnapshotForm | None = None,
    clone: CloneForm | None = None,
    of: UUID | None = None,
    schedule: ScheduleForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """`clone`: a refused form, of the snapshot `of`."""
    row = _seen(request.actor, volume_id)
    shows(request, request.actor, row.tenant)
    attachments = list(row.attachments.all())
    may_clone = request.actor.can(Permission.VOLUME_MANAGE, row.tenant)
    may = may_clone and request.actor.can(Permission.SNAPSHOT_MANAGE, row.tenant)
    known = Schedule.objects.filter(volume=row, takes=Takes.SNAPSHOTS).first()
    context: dict[str, Any] = {
        **schedule_context(row.pk, row.tenant, known, schedule or ScheduleForm.of(known)),
        "set_schedule": "volume-schedule-set",
        "delete_schedule": "volume-schedule-delete",
        "may_schedule": may,
        "section": "volume",
        "volume": row,
        "attachments": attachments,
        "snapshots": [
            {
                "row": one,
                **uses(
                    row.pk,
                    one.pk,
                    back="volume-snapshot-restore" if may and not attachments else "",
                    new="volume-snapshot-clone" if may_clone else "",
                    form=clone if clone is not None and one.pk == of else _clone_form(one.pk),
                    is_open=one.pk == of,
                ),
            }
            for one in row.snapshots.select_related("created_by")
        ],
        "form": form or SnapshotForm(),
        "may_snapshot": may,
        "failed": _last_failed(request.actor, row),
    }
    return page(request, "volumes/one.html", context, status)


def _clone_form(snapshot: UUID, sent: QueryDict | None = None) -> CloneForm:
    """Each row has one: their fields have ids of their own."""
    return CloneForm(sent, auto_id=f"id_{snapshot}_%s")


def _last_failed(actor: Actor, row: Volume) -> Operation | None:
    """The newest work on it, where that came to nothing."""
    known = Operation.objects.for_actor(actor).filter(subject_type=SubjectType.VOLUME, subject_id=str(row.pk))
    newest = known.first()
    return newest if newest is not None and newest.state == OperationState.FAILED else None


@require_safe
@signed_in
def volume(request: PageRequest, volume_id: UUID) -> HttpResponse:
    return _page(request, volume_id)


@require_POST
@signed_in
def take(request: PageRequest, volume_id: UUID) -> HttpResponse:
    form = SnapshotForm(request.POST)
    made, status = tried(form, lambda sent: snapshots.take(request.actor, volume_id, **sent))
    if made is None:
        return _page(request, volume_id, form=form, status=status)
    messages.success(request, _("A snapshot is being taken"))
    return redirect("volume", volume_id)


@require_POST
@signed_in
def set_schedule(request: PageRequest, volume_id: UUID) -> HttpResponse:
    form = ScheduleForm(request.POST)
    status = saved(request, volume_id, form, Takes.SNAPSHOTS, Of.VOLUME)
    return (
        redirect("volume", volume_id)
        if status == 200
        else _page(request, volume_id, schedule=form, status=status)
    )


@require_POST
@signed_in
def delete_schedule(request: PageRequest, volume_id: UUID) -> HttpResponse:
    schedules.delete_schedule(request.actor, volume_id, of=Of.VOLUME)
    messages.success(request, _("The schedule is gone; what it took stays"))
    return redirect("volume", volume_id)


@require_POST
@signed_in
def restore(request: PageRequest, volume_id: UUID, snapshot_id: UUID) -> HttpResponse:
    snapshots.restore(request.actor, volume_id, snapshot_id)
    messages.success(request, _("It goes back to the snapshot; what it was until now is kept as another"))
    return redirect("volume", volume_id)


@require_POST
@signed_in
def clone(request: PageRequest, volume_id: UUID, snapshot_id: UUID) -> HttpResponse:
    form = _clone_form(snapshot_id, request.POST)
    made, status = tried(form, lambda sent: snapshots.clone(request.actor, volume_id, snapshot_id, **sent))
    if made is None:
        return _page(request, volume_id, clone=form, of=snapshot_id, status=status)
    messages.success(request, _("%(name)s is being made") % {"name": made[0]})
    return redirect("volume", made[0].pk)


@require_POST
@signed_in
def delete(request: PageRequest, volume_id: UUID, snapshot_id: UUID) -> HttpResponse:
    snapshots.delete(request.actor, volume_id, snapshot_id)
    messages.success(request, _("The snapshot is being deleted"))
    return redirect("volume", volume_id)
