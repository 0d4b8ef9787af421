"""Backups by schedules: taken when they are due, and those deleted that are kept for nothing any more."""

from datetime import timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from panel.backups.models import Backup, Reason
from panel.backups.proving import prove_locked
from panel.backups.services import add_backup, forget
from panel.backups.targets import named_target
from panel.environments.models import Environment
from panel.errors import Refused
from panel.rights.permissions import Permission
from panel.storage.models import Proves, Schedule, Takes
from panel.storage.retention import kept
from panel.storage.schedules import numbers_of
from runtime.contract import Kind

log = structlog.get_logger()


class BackupsByTime:
    """`panel.storage.schedules.Sort` of backups."""

    permission = Permission.BACKUP_MANAGE

    def target_of(self, row: Environment, text: str) -> UUID:
        return named_target(row, text).pk

    def waiting(self) -> QuerySet[Any, Any]:
        return Backup.objects.filter(made_at=None, environment__isnull=False).values("environment")

    def take(self, schedule: Schedule, row: Environment) -> None:
        target = named_target(row, str(schedule.target or ""))
        add_backup(None, row, target.pk, reason=Reason.SCHEDULE)


def retire(made: Backup) -> None:
    """One more is at its target: those go that the environment's schedule doesn't keep, as one job for each
    target. A no-op where the schedule or the environment is gone: who wants them gone deletes them."""
    schedule = Schedule.objects.filter(environment=made.environment_id, takes=Takes.BACKUPS).first()
    if schedule is None or made.environment is None:
        return
    rows = Backup.objects.filter(of=made.of, reason=Reason.SCHEDULE, made_at__isnull=False)
    zone = made.environment.tenant.time_zone
    stay = kept(list(rows.values_list("pk", "created_at")), numbers_of(schedule), zone)
    going = rows.filter(is_going=False).exclude(pk__in=stay).order_by("target_id", "created_at")
    going = going.select_for_update(of=("self",), skip_locked=True).select_related(
        "tenant", "target__node", "environment__node"
    )
    for _target, together in groupby(going, key=lambda one: one.target_id):
        try:
            with transaction.atomic():
                forget(None, list(together))
        except Refused as refusal:  # the next one makes up for it
            log.warning("backups not retired", environment=str(made.of), code=refusal.code)


def prove_if_due(made: Backup) -> None:
    """As its schedule says; a refusal is said there. A no-op for what is no system."""
    rows = Schedule.objects.filter(environment=made.environment_id, takes=Takes.BACKUPS)
    schedule = rows.exclude(proves=Proves.NEVER).first()
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
    rows = Schedule.objects.filter(environment=row.environment_id, takes=Takes.BACKUPS)
    rows.update(problem=why[:300])
