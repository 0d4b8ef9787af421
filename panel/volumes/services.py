"""Volumes made, resized, renamed and deleted. Each but the renaming is an operation of the volume."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from panel.audit.services import record
from panel.environments import placement
from panel.environments.inputs import check_name
from panel.errors import Conflict, Invalid, NotFound
from panel.jobs import services as jobs
from panel.jobs.services import Wanted
from panel.nodes.models import Node
from panel.operations.models import Operation, OperationKind, SubjectType
from panel.operations.services import Subject
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.quotas.refusals import counting_refusals
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from panel.tenants.selectors import locked_state, refuse_suspended
from panel.volumes.beginnings import Beginning, beginning_again
from panel.volumes.models import Attachment, Volume, VolumeClass, VolumeState
from runtime.contract import DropVolume, JobWork, KeepVolume
from runtime.contract import Subject as About
from runtime.contract import SubjectType as AboutType

#: Of one tenant.
MOST = 200
LEAST_MB, MOST_MB = 16, 1_073_741_824
#: What takes long is the wait for a node that is away.
_WITHIN_S = 600.0


def create_volume(
    actor: Actor,
    tenant: Tenant,
    *,
    name: str,
    size_mb: int,
    node: str = "",
    is_shared: bool = False,
    volume_class: str = VolumeClass.STANDARD,
    begins: Beginning | None = None,
    retry_of: Operation | None = None,
) -> tuple[Volume, Operation]:
    """With what it begins with; None: nothing. Raises `QuotaExceeded`, and `NoRoom` where the node has promised
    all of its disk."""
    actor.require(Permission.VOLUME_MANAGE, tenant)
    with counting_refusals(), transaction.atomic():
        refuse_suspended(locked_state(tenant))  # until the end: of two at once the later one counts the earlier
        if Volume.objects.filter(tenant=tenant).count() >= MOST:
            raise Conflict(_("There are %(most)s volumes already.") % {"most": MOST}, code="too_many")
        row = Volume(
            tenant=tenant,
            node=_node(node),
            name=check_name(name),
            size_mb=_checked(size_mb),
            is_shared=is_shared,
            volume_class=_class(volume_class),
            created_by=actor.user,
        )
        _hold(row, row.size_mb)
        _save_named(row, insert=True)
        details: dict[str, Any] = {
            "size_mb": size_mb,
            "node": str(row.node_id),
            "is_shared": is_shared,
            "volume_class": str(row.volume_class),
        }
        work, within_s = _to_keep(row), _WITHIN_S
        if begins is not None:
            details |= begins.details
            work, within_s = work.model_copy(update=dict(begins.part)), begins.within_s
        kind = OperationKind.MAKE_VOLUME
        operation = ask(actor, row, kind, work, details, retry_of=retry_of, within_s=within_s)
    return row, operation


def change_volume(
    actor: Actor,
    volume_id: UUID,
    *,
    name: str | None = None,
    size_mb: int | None = None,
    is_shared: bool | None = None,
) -> tuple[Volume, Operation | None]:
    """What is given; live, wherever it is attached. A size below what is on it is refused by the node, and the
    one before holds on."""
    with counting_refusals(), transaction.atomic():
        row = locked_volume(actor, volume_id)
        refuse_suspended(row.tenant)
        refuse_going(row)
        was = {"name": row.name, "is_shared": row.is_shared}
        if name is not None:
            row.name = check_name(name)
        if is_shared is not None:
            row.is_shared = is_shared
            _refuse_unshared(row)
        if was != {"name": row.name, "is_shared": row.is_shared}:
            _save_named(row)
            after = {"name": row.name, "is_shared": row.is_shared}
            record(actor, "volume.change", tenant_id=row.tenant_id, target=row, before=was, after=after)
        if size_mb is None or _checked(size_mb) == row.size_mb:
            return row, None
        return row, _resize(actor, row, size_mb)


def _resize(actor: Actor, row: Volume, size_mb: int, retry_of: Operation | None = None) -> Operation:
    if row.state != VolumeState.READY or row.snapshots.open().exists():
        raise busy()
    if size_mb * 2**20 < row.used_bytes:
        raise Conflict(
            _("%(size_mb)s MiB is below the %(used)s MiB that are on it.")
            % {"size_mb": size_mb, "used": -(-row.used_bytes // 2**20)},
            code="below_used",
            field="size_mb",
        )
    _hold(row, size_mb - row.size_mb)
    row.before_mb, row.size_mb = row.size_mb, size_mb
    row.save(update_fields=["before_mb", "size_mb"])
    details = {"size_mb": size_mb, "before_mb": row.before_mb}
    return ask(actor, row, OperationKind.RESIZE_VOLUME, _to_keep(row), details, retry_of=retry_of)


def delete_volume(actor: Actor, volume_id: UUID, *, retry_of: Operation | None = None) -> Operation:
    """With all that is on it, for good."""
    with transaction.atomic():
        row = locked_volume(actor, volume_id)
        refuse_going(row)
        if row.state != VolumeState.READY:
            raise busy()
        refuse_attached(row)
        row.is_going = True
        row.save(update_fields=["is_going"])
        return ask(actor, row, OperationKind.DELETE_VOLUME, _to_drop(row), {}, retry_of=retry_of)


def delete_all(tenant: Tenant) -> bool:
    """Of a tenant that goes: asks for each once, and again where that failed; whether none is left."""
    for pk in list(Volume.objects.filter(tenant=tenant, is_going=False).values_list("pk", flat=True)):
        with transaction.atomic():
            row = Volume.objects.select_for_update(of=("self",)).select_related("tenant", "node").get(pk=pk)
            row.is_going = True
            row.save(update_fields=["is_going"])
            ask(None, row, OperationKind.DELETE_VOLUME, _to_drop(row), {"because": "tenant.delete"})
    return not Volume.objects.filter(tenant=tenant).exists()


def resize_again(actor: Actor, volume_id: UUID, size_mb: int, failed: Operation) -> Operation | None:
    """None: it has that size by now."""
    row = locked_volume(actor, volume_id)
    refuse_going(row)
    return None if row.size_mb == size_mb else _resize(actor, row, size_mb, failed)


def make_again(actor: Actor, tenant: Tenant, details: Mapping[str, Any], failed: Operation) -> Operation:
    """A failed making left no row: it is asked for anew."""
    values = {one: details[one] for one in ("node", "size_mb", "is_shared", "volume_class") if one in details}
    begins = beginning_again(actor, details)
    return create_volume(actor, tenant, name=failed.subject_name, begins=begins, retry_of=failed, **values)[1]


def locked_volume(actor: Actor, volume_id: UUID) -> Volume:
    """Raises `NotFound` for one that the actor may not see, `Forbidden` for who may not change it."""
    seen = Volume.objects.for_actor(actor).filter(pk=volume_id).values_list("pk", flat=True).first()
    rows = Volume.objects.select_for_update(of=("self",)).select_related("tenant", "node")
    row = rows.filter(pk=seen).first() if seen else None
    if row is None:
        raise NotFound(_("This volume"))
    actor.require(Permission.VOLUME_MANAGE, row.tenant)
    return row


def refuse_going(row: Volume) -> None:
    if row.is_going:
        raise Conflict(_("This volume is being deleted."), code="deleting")


def refuse_attached(row: Volume) -> None:
    held = Attachment.objects.select_related("environment").filter(volume=row).first()
    if held is not None:
        raise Conflict(
            _("It is attached to %(environment)s.") % {"environment": held.environment.name},
            code="attached",
            next_step=_("Detach it first."),
        )


def give_back(row: Volume, size_mb: int) -> None:
    """So much of it is held no more."""
    quotas.release(row.tenant, {Resource.DISK_MB: size_mb})
    placement.take(row.node, 0, 0, -size_mb, placed=0)


def _hold(row: Volume, more_mb: int) -> None:
    if more_mb < 0:
        return  # given back when the node has made it so
    quotas.reserve(row.tenant, {Resource.DISK_MB: more_mb})
    placement.take(row.node, 0, 0, more_mb, placed=0)


def _to_keep(row: Volume) -> KeepVolume:
    return KeepVolume(
        volume_id=row.pk,
        tenant_id=row.tenant_id,
        size_mb=row.size_mb,
        volume_class=row.volume_class,
        is_new=row.made_at is None,
    )


def _to_drop(row: Volume) -> DropVolume:
    return DropVolume(volume_id=row.pk, tenant_id=row.tenant_id)


def ask(
    actor: Actor | None,
    row: Volume,
    kind: OperationKind,
    work: JobWork,
    details: dict[str, Any],
    *,
    retry_of: Operation | None = None,
    within_s: float = _WITHIN_S,
) -> Operation:
    """An operation of the volume, and its audit."""
    subject = Subject(SubjectType.VOLUME, str(row.pk), row.name, row.tenant_id, None)
    wanted = Wanted(row.node, work, About(type=AboutType.VOLUME, id=str(row.pk)), within_s)
    operation = jobs.ask(actor, subject, kind, wanted, details=details, retry_of=retry_of)
    verb = kind.value.replace("_volume", "")
    record(
        actor,
        f"volume.{verb}",
        tenant_id=row.tenant_id,
        target=row,
        after=details,
        operation_id=operation.pk,
    )
    return operation


def _save_named(row: Volume, *, insert: bool = False) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=insert)
    except IntegrityError as error:
        raise Conflict(
            _("A volume is called %(name)s already.") % {"name": row.name}, code="name_taken", field="name"
        ) from error


def _refuse_unshared(row: Volume) -> None:
    """One that several write to is shared by them."""
    held = Attachment.objects.filter(volume=row)
    if not row.is_shared and held.count() > 1 and held.filter(read_only=False).exists():
        raise Conflict(
            _("Several environments have it attached, and not all of them read-only."),
            code="attached",
            field="is_shared",
            next_step=_("Detach it first."),
        )


def _checked(size_mb: int) -> int:
    if not LEAST_MB <= size_mb <= MOST_MB:
        raise Invalid(
            _("The size is %(least)s to %(most)s MiB.") % {"least": LEAST_MB, "most": MOST_MB}, field="size_mb"
        )
    return size_mb


def _class(text: str) -> VolumeClass:
    try:
        return VolumeClass(text)
    except ValueError:
        raise Invalid(
            _("A volume is of class %(classes)s.") % {"classes": ", ".join(VolumeClass.values)},
            field="volume_class",
        ) from None


def _node(text: str) -> Node:
    rows = list(Node.objects.order_by("name"))
    found = [one for one in rows if text in ("", one.name, str(one.pk))]
    if len(found) == 1:
        return found[0]
    if found:
        raise Invalid(_("There are several nodes: name one."), field="node")
    raise Invalid(_("There is no such node."), field="node")


def busy() -> Conflict:
    return Conflict(
        _("Work on this volume is under way."), code="busy", next_step=_("Wait until it has ended.")
    )
