"""Volumes attached and detached: changes of the environment, live where it runs."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from panel.environments.models import Environment
from panel.environments.services import Changed
from panel.environments.services.intent import change
from panel.errors import Conflict, Invalid, NotFound
from panel.operations.models import OperationKind
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.volumes.models import Attachment, Volume, VolumeState
from panel.volumes.services import busy, locked_volume, refuse_going
from runtime.contract import MOST_ATTACHED, Kernel, check_mount_path


def attach(
    actor: Actor, volume_id: UUID, environment_id: UUID, *, path: str = "", read_only: bool = False
) -> tuple[Attachment, Changed]:
    """Who attaches chooses files that the environment runs and trusts, so it takes the right to run commands
    inside as well. `path`: of a directory in its root, made where there is none; empty: /mnt/NAME. A place that
    is a link, or on another file system inside, is refused by the node, and nothing is attached."""
    made: list[Attachment] = []

    def mutate(row: Environment) -> dict[str, Any]:
        made.append(_add(actor, row, volume_id, path=path, read_only=read_only))
        return _told(made[0], "attach")

    changed = change(actor, environment_id, Permission.ENVIRONMENT_CHANGE, OperationKind.VOLUMES, mutate)
    return made[0], changed


def refuse_on_kernel(environment: Environment) -> None:
    """Raises `Conflict` for one on another kernel than the host's: what is mounted for it on the host doesn't
    reach that."""
    if environment.kernel != Kernel.SHARED:
        raise not_on_this_kernel()


def not_on_this_kernel() -> Conflict:
    return Conflict(
        _("Volumes are attached to environments on the host's kernel only."),
        code="kernel_unavailable",
        next_step=_("Detach its volumes, or leave it on the kernel shared."),
    )


def detach(actor: Actor, volume_id: UUID, environment_id: UUID) -> Changed:
    """Live: refused by the node while something inside holds it."""

    def mutate(row: Environment) -> dict[str, Any]:
        volume = locked_volume(actor, volume_id)
        found = Attachment.objects.select_related("volume").filter(environment=row, volume=volume).first()
        if found is None:
            raise NotFound(_("This attachment"))
        if found.removal is not None:
            raise Conflict(_("It is being detached."), code="detaching")
        found.removal = row.generation + 1
        found.save(update_fields=["removal"])
        return _told(found, "detach")

    return change(actor, environment_id, Permission.ENVIRONMENT_CHANGE, OperationKind.VOLUMES, mutate)


def asked_again(actor: Actor, row: Environment, details: Mapping[str, Any]) -> dict[str, Any]:
    """What a failed operation asked for, once more; a no-op where it is so by now."""
    asked = details.get("attach") or details.get("detach")
    if asked is None:
        return {}
    found = Attachment.objects.filter(environment=row, volume=asked).first()
    if "attach" in details:
        if found is None:
            _add(actor, row, UUID(asked), path=details["path"], read_only=details["read_only"])
    elif found is not None and found.removal is None:
        locked_volume(actor, UUID(asked))
        found.removal = row.generation + 1
        found.save(update_fields=["removal"])
    return {}


def bring_back(row: Environment, noted: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Those that are free, for a locked row that comes out of the trash; names of the paths where nothing is
    attached any more."""
    missing = []
    for one in noted:
        rows = Volume.objects.select_for_update().filter(is_going=False, is_restoring=False)
        volume = rows.filter(pk=one["volume"]).first()
        if volume is None or not _is_free(volume, read_only=one["read_only"]):
            missing.append(one["path"])
            continue
        Attachment.objects.create(
            volume=volume,
            environment=row,
            path=one["path"],
            read_only=one["read_only"],
            generation=row.generation + 1,
        )
    return {"volumes_missing": missing} if missing else {}


def _is_free(volume: Volume, *, read_only: bool) -> bool:
    others = list(volume.attachments.all())
    return volume.is_shared or not others or (read_only and all(one.read_only for one in others))


def _add(actor: Actor, row: Environment, volume_id: UUID, *, path: str, read_only: bool) -> Attachment:
    refuse_on_kernel(row)
    volume = locked_volume(actor, volume_id)
    actor.require(Permission.ENVIRONMENT_EXEC, row)
    place = check_path(path or f"/mnt/{volume.name}", "path")
    _refuse_crowded(row, volume, place)
    check_free(row, volume, read_only=read_only)
    return Attachment.objects.create(
        volume=volume, environment=row, path=place, read_only=read_only, generation=row.generation + 1
    )


def check_path(path: str, field: str) -> str:
    try:
        return check_mount_path(path)
    except ValueError as wrong:
        raise Invalid(
            _("A path is like /mnt/data: letters, digits and . _ + @ -, and none of the system's own."),
            field=field,
        ) from wrong


def check_free(row: Environment, volume: Volume, *, read_only: bool) -> None:
    """Raises `Conflict` for a locked volume that the environment can't have now."""
    refuse_going(volume)
    _refuse_strange(row, volume)
    if volume.state == VolumeState.MAKING:
        raise Conflict(_("This volume isn't made yet."), code="not_made", next_step=_("Try again when it is."))
    if volume.state == VolumeState.RESTORING:
        raise busy()
    if not _is_free(volume, read_only=read_only):
        raise Conflict(
            _("It is attached elsewhere: several have it read-only, or as one that is shared."),
            code="attached_elsewhere",
            next_step=_("Detach it there, or let it be shared."),
        )


def _refuse_strange(row: Environment, volume: Volume) -> None:
    if row.tenant_id != volume.tenant_id:
        raise Conflict(_("A volume goes to environments of its own tenant."), code="other_tenant")
    if row.node_id != volume.node_id:
        raise Conflict(
            _("The volume is on %(there)s, and the environment on %(here)s.")
            % {"there": volume.node, "here": row.node},
            code="other_node",
        )


def _refuse_crowded(row: Environment, volume: Volume, path: str) -> None:
    """What one environment has no place for."""
    own = list(Attachment.objects.filter(environment=row))
    if any(one.volume_id == volume.pk for one in own):
        raise Conflict(_("It is attached to this environment already."), code="attached")
    near = next((one.path for one in own if overlap(one.path, path)), None)
    if near is not None:
        raise Conflict(
            _("A volume is attached at %(path)s already.") % {"path": near}, code="path_taken", field="path"
        )
    if len(own) >= MOST_ATTACHED:
        raise Conflict(
            _("An environment has at most %(most)s volumes.") % {"most": MOST_ATTACHED}, code="too_many"
        )


def overlap(one: str, other: str) -> bool:
    """The one would hide the other, or lie on it."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _told(one: Attachment, verb: str) -> dict[str, Any]:
    return {
        verb: str(one.volume_id),
        "volume": one.volume.name,
        "path": one.path,
        "read_only": one.read_only,
    }
