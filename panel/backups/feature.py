"""What backups have of each environment."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy

from panel.backups import drills, expiring
from panel.backups.models import Backup
from panel.backups.restore import refuse_what_does_not_fit, restore_now, source_of
from panel.backups.services import ready_backup
from panel.environments.features import Feature, Points, Reserved, Tab, newest_points
from panel.environments.models import Environment
from panel.operations.models import OperationKind
from panel.quotas.models import Resource
from panel.rights.actor import Actor
from panel.storage.models import Origin
from runtime.contract import Origin as OriginPart


class FromBackup(Reserved):
    """The root of a new environment, from a backup."""

    def __init__(self, environment: Environment, backup: Backup) -> None:
        self._origin = Origin(
            environment=environment,
            source=environment.pk,
            snapshot=backup.pk,
            backup=backup.pk,
            installs=environment.installs,
            generation=environment.generation,
        )
        part = OriginPart(
            environment_id=environment.pk, snapshot=backup.pk, backup=source_of(backup.pk, environment.node)
        )
        self.parts = {"origin": part}
        self.audited = {"restored_from": str(backup.pk), "backup_of": str(backup.of)}

    def save(self) -> None:
        self._origin.save(force_insert=True)


class Backups(Feature):
    tabs = (Tab("backups", gettext_lazy("Backups"), 32),)

    def brings_root(self, asked: Mapping[str, Any]) -> bool:
        return asked.get("backup") is not None

    def reserve(self, environment: Environment, asked: Mapping[str, Any]) -> Reserved:
        backup: Backup | None = asked.get("backup")
        if backup is None:
            return Reserved()
        refuse_what_does_not_fit(backup, environment.limits["disk_mb"])
        return FromBackup(environment, backup)

    def points(self, environment: Environment, most: int, since: datetime | None = None) -> Points:
        rows = Backup.objects.filter(of=environment.pk)
        page = reverse("environment-backups", args=(environment.pk,))
        return newest_points("backup", rows, most, since, page=page, goes_at="kept_until")

    def counted(self, environment: Environment) -> Mapping[str, int]:
        return {"backups": Backup.objects.filter(of=environment.pk).count()}

    def asked_again(
        self, actor: Actor, environment: Environment, kind: str, details: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if kind == OperationKind.RESTORE and "restore_backup" in details:
            return restore_now(actor, environment, ready_backup(actor, UUID(details["restore_backup"])))
        return {}

    def swept(self) -> None:
        drills.report_due()
        expiring.expire(timezone.now())

    def held(self) -> Iterator[tuple[UUID, Resource, int]]:
        for tenant_id, count in Backup.objects.values_list("tenant_id").annotate(n=Count("pk")).order_by():
            yield tenant_id, Resource.BACKUPS, count

    def examine(self, living: Sequence[Environment]) -> Iterator[str]:
        for one in Backup.objects.filter(made_at__isnull=False, snapshot=""):
            yield f"backup {one.pk} is ready and nobody knows where in its repository"
