"""Snapshots of volumes by schedules: taken when they are due, and those deleted that are kept for nothing."""

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from panel.errors import Invalid, NotFound
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.storage.models import Reason, Schedule, Takes
from panel.storage.retention import kept
from panel.storage.schedules import numbers_of
from panel.volumes.models import Volume, VolumeSnapshot
from panel.volumes.snapshots import let_go, take_scheduled

#: Work on the volume itself: nothing is taken of it meanwhile.
BUSY = Q(made_at=None) | Q(is_going=True) | Q(is_restoring=True) | Q(before_mb__isnull=False)


class OfVolumes:
    """What sorts of volumes have in common."""

    permission: Permission

    def changeable(self, actor: Actor, pk: UUID) -> Volume:
        row = Volume.objects.for_actor(actor).select_related("tenant", "node").filter(pk=pk).first()
        if row is None:
            raise NotFound(_("This volume"))
        actor.require(Permission.VOLUME_MANAGE, row.tenant)
        actor.require(self.permission, row.tenant)
        return row

    def may(self, actor: Actor, row: Volume) -> bool:
        return all(actor.can(one, row.tenant) for one in (Permission.VOLUME_MANAGE, self.permission))

    def locked(self, pk: UUID) -> Volume | None:
        rows = Volume.objects.select_related("tenant", "node").select_for_update(of=("self",))
        return rows.filter(pk=pk).exclude(BUSY).first()

    def is_going(self, row: Volume) -> bool:
        return row.is_going


class VolumeSnapshotsByTime(OfVolumes):
    """`panel.storage.schedules.Sort` of volumes' snapshots."""

    permission = Permission.SNAPSHOT_MANAGE

    def target_of(self, row: Volume, text: str) -> None:
        if text:
            raise Invalid(_("Snapshots lie on the volume's own node: they have no target."), field="target")

    def waiting(self) -> QuerySet[Any, Any]:
        return VolumeSnapshot.objects.filter(Q(made_at=None) | Q(volume__in=busy())).values("volume")

    def take(self, schedule: Schedule, row: Volume) -> None:
        take_scheduled(row)
        mine = VolumeSnapshot.objects.filter(volume=row, reason=Reason.SCHEDULE, is_going=False)
        times = [(one.pk, one.created_at) for one in mine]
        stay = kept(times, numbers_of(schedule), row.tenant.time_zone)
        for one in mine.exclude(pk__in=stay).exclude(made_at=None):
            let_go(None, row, one)


def busy() -> QuerySet[Any, Any]:
    """Ids of volumes of which nothing can be taken now."""
    return Volume.objects.filter(BUSY).values("pk")


def failed(row: Volume, why: str) -> None:
    """It is said where the schedule stands: nobody looks at what ran by night."""
    Schedule.objects.filter(volume=row, takes=Takes.SNAPSHOTS).update(problem=why[:300])
