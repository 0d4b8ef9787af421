"""/api/v1/volumes"""

from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import Field

from panel.environments.models import Environment
from panel.errors import Invalid, NotFound
from panel.http.answers import ListOf
from panel.http.inputs import Input, Naming
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.operations.models import Operation
from panel.operations.selectors import show as show_operation
from panel.rights.actor import Actor
from panel.rights.asking import actor
from panel.tenants.selectors import tenant_of
from panel.volumes import answers, attaching, services, snapshots
from panel.volumes.models import Volume, VolumeSnapshot

router = Router()
_THIS, _SNAPSHOT = "This volume", "This snapshot"


class NewVolume(Input):
    tenant: Naming
    name: str = Field(max_length=255, description="As environments are named; once in a tenant.")
    size_mb: int = Field(description="MiB.")
    node: str = Field(default="", max_length=255, description="By name or id; empty: the only one there is.")
    is_shared: bool = False
    volume_class: str = Field(
        default="standard",
        max_length=16,
        description="`standard`, or `database`: written in place, without checksums; faster for random writes.",
    )


class VolumeChange(Input):
    name: str | None = None
    size_mb: int | None = Field(default=None, description="MiB; larger or smaller, live.")
    is_shared: bool | None = None


class AttachTo(Input):
    environment: Naming
    path: str = Field(
        default="",
        max_length=255,
        description="A directory in its root, made where it isn't; empty: /mnt/NAME.",
    )
    read_only: bool = Field(default=False, description="Held by the kernel, against root inside too.")


class DetachFrom(Input):
    environment: str = Field(default="", max_length=255, description="Empty: the only one that has it.")


class NewVolumeSnapshot(Input):
    name: str = Field(default="", max_length=255, description="Empty: the time.")


class VolumeToRestore(Input):
    keep_current: bool = Field(default=True, description="A snapshot of it as it is now is kept.")


class VolumeClone(Input):
    name: str = Field(max_length=255, description="As environments are named; once in a tenant.")
    size_mb: int | None = Field(default=None, description="MiB; null: as large as the other is now.")
    is_shared: bool = False


def show_snapshot(row: VolumeSnapshot) -> answers.VolumeSnapshot:
    return {
        "id": str(row.pk),
        "volume": str(row.volume_id),
        "name": row.name,
        "state": str(row.state),
        "reason": row.reason,
        "own_bytes": row.own_bytes,
        "shared_bytes": row.shared_bytes,
        "measured_at": row.measured_at.isoformat() if row.measured_at else None,
        "created_at": row.created_at.isoformat(),
        "made_at": row.made_at.isoformat() if row.made_at else None,
    }


def show(row: Volume) -> answers.Volume:
    return {
        "id": str(row.pk),
        "tenant": str(row.tenant_id),
        "node": str(row.node_id),
        "name": row.name,
        "size_mb": row.size_mb,
        "used_bytes": row.used_bytes,
        "is_shared": row.is_shared,
        "volume_class": row.volume_class,
        "state": str(row.state),
        "attached": [
            {
                "environment": str(one.environment_id),
                "environment_name": one.environment.name,
                "path": one.path,
                "read_only": one.read_only,
                "state": str(one.state),
            }
            for one in row.attachments.all()
        ],
        "created_at": row.created_at.isoformat(),
    }


@router.get("", response=ListOf[answers.Volume], operation_id="volumes_list")
def list_(request: HttpRequest, page: Query[Page]) -> ListOf[answers.Volume]:
    return page_of(_rows(actor(request)), page, show)


@router.post("", response={202: answers.ChangedVolume}, operation_id="volumes_create")
def create(request: HttpRequest, payload: NewVolume) -> Status[answers.ChangedVolume]:
    """Its size counts against the tenant's disk from now on."""
    who = actor(request)
    tenant = tenant_of(who, payload.tenant)
    row, operation = services.create_volume(who, tenant, **payload.model_dump(exclude={"tenant"}))
    return _changed(who, row.pk, operation)


@router.get("/{pk}", response=answers.Volume, operation_id="volumes_get")
def get(request: HttpRequest, pk: str) -> answers.Volume:
    return show(_found(actor(request), uuid_of(pk, _THIS)))


@router.patch("/{pk}", response={202: answers.ChangedVolume}, operation_id="volumes_update")
def update(request: HttpRequest, pk: str, payload: VolumeChange) -> Status[answers.ChangedVolume]:
    """What is given; the rest stays."""
    who = actor(request)
    row, operation = services.change_volume(who, uuid_of(pk, _THIS), **payload.model_dump())
    return _changed(who, row.pk, operation)


@router.delete("/{pk}", response={202: answers.ChangedVolume}, operation_id="volumes_delete")
def delete(request: HttpRequest, pk: str) -> Status[answers.ChangedVolume]:
    """With all that is on it, for good. Refused while it is attached."""
    who, volume = actor(request), uuid_of(pk, _THIS)
    return _changed(who, volume, services.delete_volume(who, volume))


@router.post("/{pk}/attach", response={202: answers.ChangedVolume}, operation_id="volumes_attach")
def attach(request: HttpRequest, pk: str, payload: AttachTo) -> Status[answers.ChangedVolume]:
    """Live, where the environment runs; else at its next start."""
    who, row = actor(request), _found(actor(request), uuid_of(pk, _THIS))
    environment = _environment(who, row, payload.environment)
    _made, changed = attaching.attach(who, row.pk, environment, path=payload.path, read_only=payload.read_only)
    return _changed(who, row.pk, changed.operation)


@router.post("/{pk}/detach", response={202: answers.ChangedVolume}, operation_id="volumes_detach")
def detach(request: HttpRequest, pk: str, payload: DetachFrom | None = None) -> Status[answers.ChangedVolume]:
    """Live. Fails while a process inside holds it, and says which."""
    who, row = actor(request), _found(actor(request), uuid_of(pk, _THIS))
    named = payload.environment if payload is not None else ""
    environment = _environment(who, row, named) if named else _only_one(row)
    return _changed(who, row.pk, attaching.detach(who, row.pk, environment).operation)


@router.get("/{pk}/snapshots", response=ListOf[answers.VolumeSnapshot], operation_id="volumes_snapshots_list")
def list_snapshots(request: HttpRequest, pk: str, page: Query[Page]) -> ListOf[answers.VolumeSnapshot]:
    """The newest first."""
    row = _found(actor(request), uuid_of(pk, _THIS))
    return page_of(row.snapshots.all(), page, show_snapshot)


@router.post(
    "/{pk}/snapshots", response={202: answers.ChangedVolumeSnapshot}, operation_id="volumes_snapshots_create"
)
def take_snapshot(
    request: HttpRequest, pk: str, payload: NewVolumeSnapshot | None = None
) -> Status[answers.ChangedVolumeSnapshot]:
    """Of the volume as it is when its node comes to it, in use or not."""
    name = payload.name if payload is not None else ""
    made, operation = snapshots.take(actor(request), uuid_of(pk, _THIS), name=name)
    return Status(202, {**show_snapshot(made), "operation": show_operation(operation)})


@router.get("/{pk}/snapshots/{snapshot}", response=answers.VolumeSnapshot, operation_id="volumes_snapshots_get")
def get_snapshot(request: HttpRequest, pk: str, snapshot: str) -> answers.VolumeSnapshot:
    row = _found(actor(request), uuid_of(pk, _THIS))
    found = row.snapshots.filter(pk=uuid_of(snapshot, _SNAPSHOT)).first()
    if found is None:
        raise NotFound(_(_SNAPSHOT))
    return show_snapshot(found)


@router.delete(
    "/{pk}/snapshots/{snapshot}",
    response={202: answers.ChangedVolume},
    operation_id="volumes_snapshots_delete",
)
def delete_snapshot(request: HttpRequest, pk: str, snapshot: str) -> Status[answers.ChangedVolume]:
    """What it alone holds is gone for good."""
    who, volume = actor(request), uuid_of(pk, _THIS)
    return _changed(who, volume, snapshots.delete(who, volume, uuid_of(snapshot, _SNAPSHOT)))


@router.post(
    "/{pk}/snapshots/{snapshot}/restore",
    response={202: answers.ChangedVolume},
    operation_id="volumes_snapshots_restore",
)
def restore_snapshot(
    request: HttpRequest, pk: str, snapshot: str, payload: VolumeToRestore | None = None
) -> Status[answers.ChangedVolume]:
    """The volume as it was. Refused while it is attached."""
    who, volume = actor(request), uuid_of(pk, _THIS)
    keeps = payload.keep_current if payload is not None else True
    operation = snapshots.restore(who, volume, uuid_of(snapshot, _SNAPSHOT), keep_current=keeps)
    return _changed(who, volume, operation)


@router.post(
    "/{pk}/snapshots/{snapshot}/clone",
    response={202: answers.ChangedVolume},
    operation_id="volumes_snapshots_clone",
)
def clone_snapshot(
    request: HttpRequest, pk: str, snapshot: str, payload: VolumeClone
) -> Status[answers.ChangedVolume]:
    """A new volume of the same tenant and node, with what is in the snapshot."""
    who, of = actor(request), uuid_of(snapshot, _SNAPSHOT)
    row, operation = snapshots.clone(who, uuid_of(pk, _THIS), of, **payload.model_dump())
    return _changed(who, row.pk, operation)


def _rows(who: Actor) -> QuerySet[Volume]:
    return Volume.objects.for_actor(who).prefetch_related("attachments__environment")


def _found(who: Actor, pk: UUID) -> Volume:
    row = _rows(who).filter(pk=pk).first()
    if row is None:
        raise NotFound(_(_THIS))
    return row


def _changed(who: Actor, pk: UUID, operation: Operation | None) -> Status[answers.ChangedVolume]:
    shown = show_operation(operation) if operation is not None else None
    return Status(202, {**show(_found(who, pk)), "operation": shown})


def _environment(who: Actor, row: Volume, text: str) -> UUID:
    """By id, or by its name within the volume's tenant."""
    rows = Environment.objects.living().for_actor(who)
    try:
        found = rows.filter(pk=UUID(text)).values_list("pk", flat=True).first()
    except ValueError:
        found = rows.filter(tenant=row.tenant_id, name=text).values_list("pk", flat=True).first()
    if found is None:
        raise NotFound(_("This environment"))
    return found


def _only_one(row: Volume) -> UUID:
    found = list(row.attachments.all())
    if len(found) != 1:
        raise Invalid(
            _("Several environments have it attached: name one.") if found else _("It isn't attached."),
            field="environment",
        )
    return found[0].environment_id
