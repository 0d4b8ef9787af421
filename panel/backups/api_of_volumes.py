"""/api/v1/volumes/{id}/backups, /backups/{id}/restore-volume"""

from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Status

from panel.backups import answers, of_volumes
from panel.backups.api import NewBackup, show
from panel.backups.models import Backup, Target
from panel.backups.targets import named_target
from panel.errors import NotFound
from panel.http.answers import ListOf
from panel.http.inputs import Input
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.operations.selectors import show as show_operation
from panel.rights.actor import Actor
from panel.rights.asking import actor
from panel.volumes.answers import ChangedVolume
from panel.volumes.api import show as show_volume
from panel.volumes.models import Volume

of_volume = Router()
restoring = Router()


class VolumeFromBackup(Input):
    name: str = Field(
        default="", max_length=255, description="Of a new volume; empty: the volume itself is put back."
    )
    size_mb: int | None = Field(default=None, description="MiB, of a new one; null: as large as it was.")
    node: str = Field(
        default="", max_length=255, description="Of a new one, by name or id; empty: where the other was."
    )


@of_volume.get("/{pk}/backups", response=ListOf[answers.Backup], operation_id="volume_backups_list")
def list_(request: HttpRequest, pk: str, page: Query[Page]) -> ListOf[answers.Backup]:
    """The newest first."""
    who = actor(request)
    row = _volume(who, pk)
    return page_of(Backup.objects.for_actor(who).filter(of=row.pk).with_schedule(), page, show)


@of_volume.post("/{pk}/backups", response={202: answers.ChangedBackup}, operation_id="volume_backups_create")
def create(request: HttpRequest, pk: str, payload: NewBackup) -> Status[answers.ChangedBackup]:
    """Of the volume as it is when its node comes to it, in use or not."""
    who = actor(request)
    row = _volume(who, pk)
    target = _target(row, payload.target)
    made, operation = of_volumes.back_up(who, row.pk, target.pk, name=payload.name, keep_days=payload.keep_days)
    return Status(202, {**show(made), "operation": show_operation(operation)})


@restoring.post("/{pk}/restore-volume", response={202: ChangedVolume}, operation_id="backups_restore_volume")
def restore(request: HttpRequest, pk: str, payload: VolumeFromBackup | None = None) -> Status[ChangedVolume]:
    """Of a volume: put back in its place, of which a snapshot is kept (detached), or as a new volume."""
    who, backup, asked = actor(request), uuid_of(pk, "This backup"), payload or VolumeFromBackup()
    if asked.name:
        values = asked.model_dump(exclude={"name"})
        row, operation = of_volumes.restore_as_new(who, backup, name=asked.name, **values)
        of = row.pk
    else:
        operation = of_volumes.restore_in_place(who, backup)
        of = UUID(operation.subject_id)
    shown = show_volume(Volume.objects.prefetch_related("attachments__environment").get(pk=of))
    return Status(202, {**shown, "operation": show_operation(operation)})


def _volume(who: Actor, pk: str) -> Volume:
    rows = Volume.objects.for_actor(who).select_related("tenant", "node")
    row = rows.filter(pk=uuid_of(pk, "This volume")).first()
    if row is None:
        raise NotFound(_("This volume"))
    return row


def _target(row: Volume, text: str) -> Target:
    return named_target(row, text)
