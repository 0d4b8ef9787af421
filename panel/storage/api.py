"""/api/v1/environments/{id}/snapshots"""

from typing import Any

from django.http import HttpRequest
from ninja import Router, Status

from panel.environments.accepted import WHAT, accepted
from panel.environments.models import Environment
from panel.errors import NotFound
from panel.http.inputs import Input
from panel.http.paths import uuid_of
from panel.operations.selectors import show as show_operation
from panel.rights.asking import actor
from panel.storage import services
from panel.storage.models import Snapshot

router = Router()
Json = dict[str, Any]
_THIS = "This snapshot"


class NewSnapshot(Input):
    name: str = ""


class Restore(Input):
    keep_current: bool = True


class Clone(Input):
    name: str
    limits: dict[str, Any] | None = None
    plan: str = ""
    is_started: bool = True


def show(row: Snapshot) -> Json:
    return {
        "id": str(row.pk),
        "environment": str(row.environment_id),
        "name": row.name,
        "state": str(row.state),
        "reason": row.reason,
        "image": row.image,
        "created_at": row.created_at.isoformat(),
        "made_at": row.made_at.isoformat() if row.made_at else None,
    }


def _environment(request: HttpRequest, pk: str) -> Environment:
    return Environment.objects.get_for(actor(request), uuid_of(pk, WHAT))


@router.get("/{pk}/snapshots", response=Json, operation_id="snapshots_list")
def list_(request: HttpRequest, pk: str) -> Json:
    found = list(Snapshot.objects.filter(environment=_environment(request, pk)))
    return {"items": [show(one) for one in found], "count": len(found)}


@router.post("/{pk}/snapshots", response={202: Json}, operation_id="snapshots_create")
def create(request: HttpRequest, pk: str, payload: NewSnapshot | None = None) -> Status[Json]:
    """Of the disk as it is when the node comes to it. The environment goes on running."""
    name = payload.name if payload is not None else ""
    made, changed = services.take_snapshot(actor(request), uuid_of(pk, WHAT), name=name)
    operation = show_operation(changed.operation) if changed.operation else None
    return Status(202, {**show(made), "operation": operation})


@router.get("/{pk}/snapshots/{snapshot}", response=Json, operation_id="snapshots_get")
def get(request: HttpRequest, pk: str, snapshot: str) -> Json:
    found = Snapshot.objects.filter(environment=_environment(request, pk), pk=uuid_of(snapshot, _THIS)).first()
    if found is None:
        raise NotFound(_THIS)
    return show(found)


@router.delete("/{pk}/snapshots/{snapshot}", response={202: Json}, operation_id="snapshots_delete")
def delete(request: HttpRequest, pk: str, snapshot: str) -> Status[Json]:
    return accepted(
        request, services.delete_snapshot(actor(request), uuid_of(pk, WHAT), uuid_of(snapshot, _THIS))
    )


@router.post("/{pk}/snapshots/{snapshot}/restore", response={202: Json}, operation_id="snapshots_restore")
def restore(request: HttpRequest, pk: str, snapshot: str, payload: Restore | None = None) -> Status[Json]:
    """The disk as it was. With `keep_current` (the default) a snapshot of the disk as it is now is kept."""
    keeps = payload.keep_current if payload is not None else True
    changed = services.restore_snapshot(
        actor(request), uuid_of(pk, WHAT), uuid_of(snapshot, _THIS), keeps_current=keeps
    )
    return accepted(request, changed)


@router.post("/{pk}/snapshots/{snapshot}/clone", response={202: Json}, operation_id="snapshots_clone")
def clone(request: HttpRequest, pk: str, snapshot: str, payload: Clone) -> Status[Json]:
    """A new environment of the same tenant from it, on the same node."""
    changed = services.clone_snapshot(
        actor(request), uuid_of(pk, WHAT), uuid_of(snapshot, _THIS), **payload.model_dump()
    )
    return accepted(request, changed)
