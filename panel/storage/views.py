"""The tab of an environment's snapshots: taking one, going back to one, a new environment from one."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from panel.environments.models import Environment
from panel.environments.views.new_password import show_once
from panel.environments.views.one import context_of, get
from panel.rights.permissions import Permission
from panel.storage import schedules, services
from panel.storage.forms import CloneForm, ScheduleForm, SnapshotForm
from panel.storage.kept import uses
from panel.storage.models import Of, Proves, Schedule, Snapshot, Takes
from panel.tenants.models import Tenant
from panel.ui.web import PageRequest, page, signed_in, tried
from runtime.contract import DesiredState


def _tab(
    request: PageRequest,
    row: Environment,
    *,
    form: SnapshotForm | None = None,
    clone: CloneForm | None = None,
    of: UUID | None = None,
    schedule: ScheduleForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """`clone`: a refused form, of the snapshot `of`."""
    context = context_of(request, row, "snapshots")
    rows = Snapshot.objects.filter(environment=row).select_related("created_by").order_by("-created_at")
    known = Schedule.objects.filter(environment=row, takes=Takes.SNAPSHOTS).first()
    may, may_look = (
        request.actor.can(one, row) for one in (Permission.SNAPSHOT_MANAGE, Permission.ENVIRONMENT_EXEC)
    )
    may_clone = may and may_look and request.actor.can(Permission.ENVIRONMENT_CREATE, row.tenant)
    context |= schedule_context(row.pk, row.tenant, known, schedule or ScheduleForm.of(known))
    context |= {
        "set_schedule": "schedule-set",
        "delete_schedule": "schedule-delete",
        "may_schedule": may,
        "snapshots": [
            {
                "row": one,
                **uses(
                    row.pk,
                    one.pk,
                    back="snapshot-restore" if may and context["may_reinstall"] else "",
                    new="snapshot-clone" if may_clone else "",
                    form=clone if clone is not None and one.pk == of else _clone_form(one.pk),
                    is_open=one.pk == of,
                ),
            }
            for one in rows
        ],
        "form": form or SnapshotForm(),
        "may_snapshot": may,
        "may_look": may_look,
    }
    return page(request, "storage/snapshots.html", context, status)


def schedule_context(
    subject_id: UUID, tenant: Tenant, known: Schedule | None, form: ScheduleForm
) -> dict[str, Any]:
    """For `storage/_schedule.html`, which needs the names of its addresses and the right as well."""
    return {"schedule": known, "schedule_form": form, "schedule_of": subject_id, "zone": tenant.time_zone}


def _clone_form(snapshot: UUID, sent: QueryDict | None = None) -> CloneForm:
    """Each row has one: their fields have ids of their own."""
    return CloneForm(sent, auto_id=f"id_{snapshot}_%s")


@require_safe
@signed_in
def snapshots(request: PageRequest, environment_id: UUID) -> HttpResponse:
    return _tab(request, get(request, environment_id))


@require_POST
@signed_in
def take(request: PageRequest, environment_id: UUID) -> HttpResponse:
    form = SnapshotForm(request.POST)
    made, status = tried(form, lambda sent: services.take_snapshot(request.actor, environment_id, **sent))
    if made is None:
        return _tab(request, get(request, environment_id), form=form, status=status)
    messages.success(request, _("A snapshot is being taken"))
    return redirect("environment-snapshots", environment_id)


@require_safe
@signed_in
def files(request: PageRequest, environment_id: UUID, snapshot_id: UUID) -> HttpResponse:
    """What is in a snapshot; the page's script asks for it."""
    row = get(request, environment_id)
    request.actor.require(Permission.ENVIRONMENT_EXEC, row)
    snapshot = services.ready_snapshot(row, snapshot_id)
    at = f"/api/v1/environments/{row.pk}"
    context = {"api": f"{at}/files", "put_back": f"{at}/snapshots/{snapshot.pk}/put-back", "snapshot": snapshot}
    return page(request, "storage/files.html", {**context_of(request, row, "snapshots"), **context})


@require_safe
@signed_in
def files_now(request: PageRequest, environment_id: UUID) -> HttpResponse:
    """Files of the environment as they are; the page's script asks for them."""
    row = get(request, environment_id)
    request.actor.require(Permission.ENVIRONMENT_EXEC, row)
    may_write = row.trashed_at is None and row.desired_state != DesiredState.DELETED
    context = {**context_of(request, row, "files"), "snapshot": None, "may_write": may_write}
    at = f"/api/v1/environments/{row.pk}"
    context |= {"api": f"{at}/files", "copy": f"{at}/cp"}
    return page(request, "storage/files.html", context)


@require_safe
@signed_in
def changes(request: PageRequest, environment_id: UUID, snapshot_id: UUID) -> HttpResponse:
    """What changed since a snapshot; the page's script asks for it."""
    row = get(request, environment_id)
    request.actor.require(Permission.ENVIRONMENT_EXEC, row)
    snapshot = services.ready_snapshot(row, snapshot_id)
    others = Snapshot.objects.wanted().filter(environment=row).exclude(made_at=None).exclude(pk=snapshot.pk)
    context = {"snapshot": snapshot, "others": others.order_by("-created_at")}
    return page(request, "storage/changes.html", {**context_of(request, row, "snapshots"), **context})


@require_POST
@signed_in
def restore(request: PageRequest, environment_id: UUID, snapshot_id: UUID) -> HttpResponse:
    services.restore_snapshot(request.actor, environment_id, snapshot_id)
    messages.success(request, _("It goes back to the snapshot; what it was until now is kept as another"))
    return redirect("environment-snapshots", environment_id)


@require_POST
@signed_in
def clone(request: PageRequest, environment_id: UUID, snapshot_id: UUID) -> HttpResponse:
    form = _clone_form(snapshot_id, request.POST)
    changed, status = tried(
        form, lambda sent: services.clone_snapshot(request.actor, environment_id, snapshot_id, **sent)
    )
    if changed is None:
        return _tab(request, get(request, environment_id), clone=form, of=snapshot_id, status=status)
    show_once(request, changed)
    return redirect("environment", changed.environment.pk)


@require_POST
@signed_in
def delete(request: PageRequest, environment_id: UUID, snapshot_id: UUID) -> HttpResponse:
    services.delete_snapshot(request.actor, environment_id, snapshot_id)
    messages.success(request, _("The snapshot is being deleted"))
    return redirect("environment-snapshots", environment_id)


@require_POST
@signed_in
def set_schedule(request: PageRequest, environment_id: UUID) -> HttpResponse:
    form = ScheduleForm(request.POST)
    status = saved(request, environment_id, form, Takes.SNAPSHOTS)
    if status == 200:
        return redirect("environment-snapshots", environment_id)
    return _tab(request, get(request, environment_id), schedule=form, status=status)


def saved(
    request: PageRequest, subject_id: UUID, form: ScheduleForm, takes: str, of: str = Of.ENVIRONMENT
) -> int:
    """The status: 200, or that of the refusal, which stands in the form then."""

    def change(sent: dict[str, Any]) -> object:
        return schedules.set_schedule(
            request.actor,
            subject_id,
            of=of,
            cron=sent["when"] or sent["cron"],
            keep=form.keep(),
            is_on=sent["is_on"],
            takes=takes,
            target=sent.get("target", ""),
            proves=sent.get("proves") or Proves.NEVER,
        )

    _made, status = tried(form, change)
    if status == 200:
        messages.success(request, _("The schedule is saved"))
    return status


@require_POST
@signed_in
def delete_schedule(request: PageRequest, environment_id: UUID) -> HttpResponse:
    schedules.delete_schedule(request.actor, environment_id)
    messages.success(request, _("The schedule is gone; what it took stays"))
    return redirect("environment-snapshots", environment_id)
