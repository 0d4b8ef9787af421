"""Pages of backups: those of one environment, and the targets of tenants with what outlived its environment."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from panel.backups import checks, keeping, proving, restore, services, targets, views_of_volumes
from panel.backups.forms import (
    BackupForm,
    BackupScheduleForm,
    TargetForm,
)
from panel.backups.models import Backup, Target
from panel.backups.rows import SHOWN_WITH, keep_form, new_form, rows_of, typed_form
from panel.environments.models import Environment
from panel.environments.views.new_password import show_once
from panel.environments.views.one import context_of, get
from panel.errors import NotFound
from panel.nodes.models import Node
from panel.operations.models import Operation, OperationKind, OperationState
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.storage import schedules
from panel.storage.models import Schedule, Takes
from panel.storage.views import saved, schedule_context
from panel.tenants.models import Tenant
from panel.ui.once import keep_once, take_once
from panel.ui.web import PageRequest, page, signed_in, tried
from panel.volumes.models import Volume

#: In the field of a form, and on one page.
_MOST_TENANTS, _MOST_SHOWN = 200, 200


def _tab(
    request: PageRequest,
    row: Environment,
    *,
    form: BackupForm | None = None,
    of: UUID | None = None,
    refused: Mapping[str, Any] | None = None,
    schedule: BackupScheduleForm | None = None,
    status: int = 200,
) -> HttpResponse:
    rows = Backup.objects.filter(of=row.pk).with_schedule().select_related(*SHOWN_WITH)
    usable = targets_for(row)
    known = Schedule.objects.filter(environment=row, takes=Takes.BACKUPS).first()
    context = context_of(request, row, "backups")
    context |= schedule_context(
        row.pk, row.tenant, known, schedule or BackupScheduleForm.of(known, targets=usable)
    )
    context |= {
        "set_schedule": "backup-schedule-set",
        "delete_schedule": "backup-schedule-delete",
        "may_schedule": bool(usable) and request.actor.can(Permission.BACKUP_MANAGE, row),
        "backups": rows_of(request.actor, rows[:_MOST_SHOWN], of, refused),
        "targets": usable,
        "form": form or BackupForm(targets=usable),
        "failed": _last_failed(row),
        "may_back_up": request.actor.can(Permission.BACKUP_MANAGE, row),
        "may_target": request.actor.can(Permission.BACKUP_MANAGE, row.tenant),
    }
    return page(request, "backups/tab.html", context, status)


def _last_failed(row: Environment) -> Operation | None:
    """The newest backup or proof, where it came to nothing: somebody waits for it."""
    kinds = (OperationKind.BACKUP, OperationKind.PROVE_BACKUP)
    made = Operation.objects.filter(environment=row, kind__in=kinds)
    newest = made.order_by("-created_at").first()
    return newest if newest is not None and newest.state == OperationState.FAILED else None


def targets_for(row: Environment | Volume) -> list[Target]:
    its_own = Q(node=row.node) | ~Q(kind=Target.Kind.DIRECTORY)
    return list(Target.objects.filter(its_own, tenant_id__in=row.tenant.chain).select_related("tenant"))


@require_safe
@signed_in
def of_environment(request: PageRequest, environment_id: UUID) -> HttpResponse:
    return _tab(request, get(request, environment_id))


@require_POST
@signed_in
def make(request: PageRequest, environment_id: UUID) -> HttpResponse:
    row = get(request, environment_id)
    request.actor.require(Permission.BACKUP_MANAGE, row)
    form = BackupForm(request.POST, targets=targets_for(row))
    made, status = tried(
        form, lambda sent: services.back_up(request.actor, row.pk, UUID(sent.pop("target")), **sent)
    )
    if made is None:
        return _tab(request, row, form=form, status=status)
    messages.success(request, _("A backup is being made"))
    return redirect("environment-backups", row.pk)


@require_POST
@signed_in
def set_schedule(request: PageRequest, environment_id: UUID) -> HttpResponse:
    row = get(request, environment_id)
    request.actor.require(Permission.BACKUP_MANAGE, row)
    form = BackupScheduleForm(request.POST, targets=targets_for(row))
    status = saved(request, environment_id, form, Takes.BACKUPS)
    if status == 200:
        return redirect("environment-backups", environment_id)
    return _tab(request, row, schedule=form, status=status)


@require_POST
@signed_in
def delete_schedule(request: PageRequest, environment_id: UUID) -> HttpResponse:
    schedules.delete_schedule(request.actor, environment_id, Takes.BACKUPS)
    messages.success(request, _("The schedule is gone; what it took stays"))
    return redirect("environment-backups", environment_id)


@require_POST
@signed_in
def restore_in_place(request: PageRequest, backup_id: UUID) -> HttpResponse:
    changed = restore.restore_in_place(request.actor, backup_id)
    messages.success(request, _("It goes back to the backup; what it was until now is kept as a snapshot"))
    return redirect("environment-backups", changed.environment.pk)


@require_POST
@signed_in
def restore_as_new(request: PageRequest, backup_id: UUID) -> HttpResponse:
    row = _seen(request.actor, backup_id)
    form = new_form(row, request.POST)
    changed, status = tried(form, lambda sent: restore.restore_as_new(request.actor, backup_id, **sent))
    if changed is None:
        return _again(request, row, {"new": form}, status)
    show_once(request, changed)
    return redirect("environment", changed.environment.pk)


def _again(request: PageRequest, row: Backup, refused: Mapping[str, Any], status: int) -> HttpResponse:
    """The page that the backup stands on, with the form that was refused."""
    if row.is_of_volume:
        return views_of_volumes.backups(request, of=row.pk, refused=refused, status=status)
    if _lives(row):
        return _tab(request, get(request, row.of), of=row.pk, refused=refused, status=status)
    return _all(request, of=row.pk, refused=refused, status=status)


def _back(row: Backup) -> HttpResponse:
    if row.is_of_volume:
        return redirect("volume-backups")
    return redirect("environment-backups", row.of) if _lives(row) else redirect("backups")


@require_safe
@signed_in
def look(request: PageRequest, backup_id: UUID) -> HttpResponse:
    """What is in a backup of an environment that lives; the page's script asks for it."""
    row = services.ready_backup(request.actor, backup_id)
    if not _lives(row):
        raise NotFound(_("This backup"))
    environment = get(request, row.of)
    request.actor.require(Permission.ENVIRONMENT_EXEC, environment)
    context = {**context_of(request, environment, "backups"), "snapshot": None, "backup": row}
    at = f"/api/v1/backups/{row.pk}"
    context |= {"api": f"{at}/files", "put_back": f"{at}/put-back"}
    return page(request, "storage/files.html", context)


@require_POST
@signed_in
def prove(request: PageRequest, backup_id: UUID) -> HttpResponse:
    row = _seen(request.actor, backup_id)
    proving.prove(request.actor, backup_id)
    messages.success(request, _("A system is being made of it, apart, to see whether it starts"))
    return _back(row)


@require_POST
@signed_in
def keep(request: PageRequest, backup_id: UUID) -> HttpResponse:
    row = _seen(request.actor, backup_id)
    form = keep_form(row, request.POST)
    if not form.is_valid():
        request.actor.require(Permission.BACKUP_MANAGE, row.environment or row.tenant)
        return _again(request, row, {"keep": form}, 422)
    services.keep(request.actor, backup_id, keeping.after_days(form.cleaned_data["keep_days"]))
    messages.success(request, _("Saved"))
    return _back(row)


@require_POST
@signed_in
def delete(request: PageRequest, backup_id: UUID) -> HttpResponse:
    """Of the last one the name of its environment is asked for, as where that is deleted."""
    row = _seen(request.actor, backup_id)
    request.actor.require(Permission.BACKUP_MANAGE, row.environment or row.tenant)
    form = typed_form(row, request.POST)
    form.is_valid()
    if keeping.is_last(row) and form.cleaned_data["typed_name"].strip() != row.of_name:
        form.add_error("typed_name", _("This is not its name: type %(name)s.") % {"name": row.of_name})
        return _again(request, row, {"delete": form}, 422)
    services.delete_backup(request.actor, backup_id)
    messages.success(request, _("The backup is being deleted"))
    return _back(row)


def _seen(actor: Actor, backup_id: UUID) -> Backup:
    row = Backup.objects.for_actor(actor).select_related("environment").filter(pk=backup_id).first()
    if row is None:
        raise NotFound(_("This backup"))
    return row


def _lives(row: Backup) -> bool:
    return row.environment is not None and row.environment.deleted_at is None


def _all(
    request: PageRequest,
    *,
    form: TargetForm | None = None,
    of: UUID | None = None,
    refused: Mapping[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    actor = request.actor
    known = Target.objects.for_actor(actor).select_related("tenant", "node", "created_by")
    is_left = Q(environment=None) | Q(environment__deleted_at__isnull=False)
    left = (
        Backup.objects.for_actor(actor)
        .filter(is_left, is_of_volume=False)
        .with_schedule()
        .select_related(*SHOWN_WITH)[:_MOST_SHOWN]
    )
    tenants = _tenants(actor)
    context = {
        "section": "backup",
        "targets": [
            {"row": one, "may_remove": actor.can(Permission.BACKUP_MANAGE, one.tenant)} for one in known
        ],
        "backups": rows_of(actor, left[:_MOST_SHOWN], of, refused),
        "form": form or _target_form(request, tenants),
        "kinds": Target.Kind.choices,
        "may_add": bool(tenants),
        "password": take_once(request, "backup-target"),
    }
    return page(request, "backups/targets.html", context, status)


def _target_form(request: PageRequest, tenants: list[Tenant], sent: QueryDict | None = None) -> TargetForm:
    """Of the kind that was chosen by a link; a directory's without."""
    kind = request.GET.get("kind", "")
    return TargetForm(
        sent,
        tenants=tenants,
        nodes=_nodes(kind),
        kind=kind if kind in Target.Kind.values else Target.Kind.DIRECTORY,
        may_open=request.actor.can(Permission.SECURITY_MANAGE, None),
    )


def _tenants(actor: Actor) -> list[Tenant]:
    return list(Tenant.objects.for_actor(actor, Permission.BACKUP_MANAGE)[:_MOST_TENANTS])


def _nodes(kind: str) -> list[Node]:
    """Of the kind `node`, those that let others in."""
    known = list(Node.objects.order_by("name"))
    return [one for one in known if kind != Target.Kind.NODE or one.facts.get("backup_server")]


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def everywhere(request: PageRequest) -> HttpResponse:
    """Targets, and backups of environments that are gone."""
    if request.method != "POST":
        return _all(request)
    tenants = _tenants(request.actor)
    form = _target_form(request, tenants, request.POST)

    def add(sent: dict[str, Any]) -> tuple[Target, str]:
        chosen = sent.pop("tenant")
        tenant = next(one for one in tenants if str(one.pk) == chosen)
        row, password = targets.add_target(request.actor, tenant, kind=form.kind, **sent)
        if row.is_checked:
            checks.check_target(request.actor, row.pk)
        return row, password

    made, status = tried(form, add)
    if made is None:
        return _all(request, form=form, status=status)
    row, password = made
    keep_once(request, "backup-target", password)
    messages.success(request, _("Backups can go to %(name)s") % {"name": row})
    return redirect("backups")
