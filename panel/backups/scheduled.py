"""Backups by schedules: taken when they are due, and those deleted that are kept for nothing any more."""

from datetime import timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from panel.backups import about
from panel.backups.making import begin
from panel.backups.models import Backup, Reason
from panel.backups.proving import prove_locked
from panel.backups.services import add_backup, forget
from panel.backups.targets import named_target
from panel.environments.models import Environment
from panel.errors import Refused
from panel.rights.permissions import Permission
from panel.storage.models import Proves, Schedule, Takes
from panel.storage.retention import kept
from panel.storage.schedules import OfEnvironments, numbers_of
from panel.volumes.models import Volume
from panel.volumes.scheduled import OfVolumes, busy
from runtime.contract import Kind

log = structlog.get_logger()


class BackupsByTime(OfEnvironments):
    """`panel.storage.schedules.Sort` of environments' backups."""

    permission = Permission.BACKUP_MANAGE

    def target_of(self, row: Environment, text: str) -> UUID:
        return named_target(row, text).pk

    def waiting(self) -> QuerySet[Any, Any]:
        return Backup.objects.filter(made_at=None, environment__isnull=False).values("environment")

    def take(self, schedule: Schedule, row: Environment) -> None:
        target = named_target(row, str(schedule.target or ""))
        add_backup(None, row, target.pk, reason=Reason.SCHEDULE)


class VolumeBackupsByTime(OfVolumes):
    """The same of volumes' backups."""

    permission = Permission.BACKUP_MANAGE

    def target_of(self, row: Volume, text: str) -> UUID:
        return named_target(row, text).pk

    def waiting(self) -> QuerySet[Any, Any]:
        return Backup.objects.filter(Q(made_at=None, volume__isnull=False) | Q(volume__in=busy())).values(
            "volume"
        )

    def take(self, schedule: Schedule, row: Volume) -> None:
        target = named_target(row, str(schedule.target or ""))
        begin(None, about.volume(row), target.pk, reason=Reason.SCHEDULE)


def _schedules_of(row: Backup) -> QuerySet[Schedule]:
    """None where what it is of is gone."""
    rows = Schedule.objects.filter(takes=Takes.BACKUPS)
    if row.environment_id is not None:
        return rows.filter(environment=row.environment_id)
    return rows.filter(volume=row.volume_id) if row.volume_id is not None else rows.none()


def retire(made: Backup) -> None:
    """One more is at its target: those go that its schedule doesn't keep, as one job for each target. A no-op
    where the schedule, the environment or the volume is gone: who wants them gone deletes them."""
    schedule, subject = _schedules_of(made).first(), made.environment or made.volume
    if schedule is None or subject is None:
        return
    rows = Backup.objects.filter(of=made.of, reason=Reason.SCHEDULE, made_at__isnull=False)
    zone = subject.tenant.time_zone
    stay = kept(list(rows.values_list("pk", "created_at")), numbers_of(schedule), zone)
    going = rows.filter(is_going=False).exclude(pk__in=stay).order_by("target_id", "created_at")
    going = going.select_for_update(of=("self",), skip_locked=True).select_related(
        "tenant", "target__node", "environment__node", "volume__node"
    )
    for _target, together in groupby(going, key=lambda one: one.target_id):
        try:
            with transaction.atomic():
                forget(None, list(together))
        except Refused as refusal:  # the next one makes up for it
            log.warning("backups not retired", of=str(made.of), code=refusal.code)


def prove_if_due(made: Backup) -> None:
    """As its schedule says; a refusal is said there. A no-op for what is no system."""
    schedule = _schedules_of(made).exclude(proves=Proves.NEVER).first()
    if schedule is None or made.document["kind"] != Kind.SYSTEM:
        return
    lately = timezone.now() - timedelta(days=28)
    known = Backup.objects.filter(of=made.of, proved_at__gte=lately)
    if schedule.proves == Proves.MONTHLY and known.exists():
        return
    rows_now = Backup.objects.select_related("tenant", "target__node", "environment__node")
    try:
        with transaction.atomic():
            prove_locked(None, rows_now.get(pk=made.pk))
    except Refused as refusal:
        failed(made, f"{refusal.message} {refusal.next_step}".strip())


def failed(row: Backup, why: str) -> None:
    """It is said where the schedule stands: nobody looks at what ran by night."""
    _schedules_of(row).update(problem=why[:300])
