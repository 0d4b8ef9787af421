"""Stages made, changed and taken away; images promoted, rolled out and taken back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from panel import events
from panel.audit.services import record
from panel.environments.inputs import check_name, check_reference
from panel.environments.models import Environment
from panel.errors import Conflict, Invalid, NotFound
from panel.operations import services as operations
from panel.operations.models import Operation, OperationKind, OperationState, SubjectType
from panel.operations.services import Subject
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.stages.models import OPEN, Phase, Rollout, RolloutState, Stage, StageCopy, StageVersion
from panel.stages.rolling import copies_of, go_back, running_image
from panel.stages.tasks import go_on_soon
from panel.tenants.models import Tenant
from panel.tenants.selectors import locked_state, refuse_suspended
from runtime.contract import Kind

#: Of one tenant, and of one stage.
MOST_STAGES, MOST_COPIES = 100, 50
MOST_DRAIN_S = 300
#: For a person's yes, and all copies one after another.
_WITHIN = timedelta(days=7)
_MOST_WORDS = 64


def add_stage(
    actor: Actor,
    tenant: Tenant,
    *,
    line: str,
    name: str,
    environments: Sequence[Environment],
    **options: Any,
) -> Stage:
    """At the end of its line. Each environment is an app's, and of one stage only."""
    actor.require(Permission.STAGE_MANAGE, tenant)
    with transaction.atomic():
        tenant = locked_state(tenant)
        refuse_suspended(tenant)
        mine = Stage.objects.filter(tenant=tenant)
        if mine.count() >= MOST_STAGES:
            raise Conflict(_("There are %(most)s stages already.") % {"most": MOST_STAGES}, code="too_many")
        last = mine.filter(line=check_name(line)).aggregate(last=Max("place"))["last"]
        row = Stage(tenant=tenant, line=line, name=check_name(name), place=0 if last is None else last + 1)
        _lay_over(row, options)
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(
                _("The line has a stage %(name)s already.") % {"name": name}, code="name_taken", field="name"
            ) from error
        _set_copies(actor, row, environments)
        _record(actor, "stage.add", row, after=_audited(row))
    return row


def change_stage(
    actor: Actor, stage_id: UUID, *, environments: Sequence[Environment] | None = None, **options: Any
) -> Stage:
    """What is given; the rest stays. Not while something is being rolled out there."""
    with transaction.atomic():
        row = locked_stage(actor, stage_id)
        refuse_suspended(row.tenant)
        _refuse_busy(row)
        before = _audited(row)
        _lay_over(row, options)
        row.save()
        if environments is not None:
            _set_copies(actor, row, environments)
        _record(actor, "stage.change", row, before=before, after=_audited(row))
    return row


def remove_stage(actor: Actor, stage_id: UUID) -> None:
    """With its history; its environments go on."""
    with transaction.atomic():
        row = locked_stage(actor, stage_id)
        _refuse_busy(row)
        _record(actor, "stage.remove", row, before=_audited(row))
        row.delete()


def promote(actor: Actor, stage_id: UUID) -> Rollout:
    """What this stage runs, by digest, to the next one of its line, once its checks hold."""
    with transaction.atomic():
        source = locked_stage(actor, stage_id)
        following = Stage.objects.filter(tenant=source.tenant_id, line=source.line, place__gt=source.place)
        target = following.select_for_update().select_related("tenant").order_by("place").first()
        if target is None:
            raise Conflict(_("%(stage)s is the last of its line.") % {"stage": source.name}, code="last_stage")
        images = {running_image(one) for one in copies_of(source)}
        if len(images) != 1 or "" in images:
            raise Conflict(
                _("Its environments don't run one image that is known: roll one out to all of them first."),
                code="mixed",
            )
        return _begin(actor, target, images.pop(), OperationKind.PROMOTE, source=source)


def deploy(actor: Actor, stage_id: UUID, image: str) -> Rollout:
    """An image to all copies of this stage: how something new comes into a line."""
    with transaction.atomic():
        row = locked_stage(actor, stage_id)
        return _begin(actor, row, check_reference(image), OperationKind.DEPLOY)


def roll_back(actor: Actor, stage_id: UUID) -> Rollout:
    """To what ran before the version that it runs came; without checks, at once. What was gone back from since
    isn't come back to."""
    with transaction.atomic():
        row = locked_stage(actor, stage_id)
        current = row.versions.first()
        came = row.versions.filter(number=current.number).last() if current else None
        before = row.versions.filter(pk__lt=came.pk).first() if came else None
        if before is None:
            raise Conflict(_("There is no version before."), code="no_version")
        return _begin(actor, row, before.image, OperationKind.ROLL_BACK, number=before.number)


def approve(actor: Actor, stage_id: UUID) -> Rollout:
    """A person's yes to what waits for it on its way to this stage."""
    with transaction.atomic():
        row = locked_stage(actor, stage_id)
        found = Rollout.objects.select_for_update().filter(stage=row, state=RolloutState.WAITING).first()
        if found is None:
            raise Conflict(_("Nothing waits for a yes there."), code="nothing_waits")
        found.state, found.approved_by, found.phase_at = RolloutState.ROLLING, actor.name, timezone.now()
        found.save()
        _record(actor, "stage.approve", row, after={"image": found.image}, operation_id=found.operation_id)
        go_on_soon(found.pk)
    return found


def cancel(actor: Actor, rollout_id: UUID) -> Operation:
    """Copies that were replaced go back to what they ran."""
    with transaction.atomic():
        row = (
            Rollout.objects.select_for_update(of=("self",))
            .select_related("stage__tenant", "operation")
            .get(pk=rollout_id)
        )
        actor.require(Permission.STAGE_MANAGE, row.stage.tenant)
        if row.state == RolloutState.BACK or row.state not in OPEN:
            raise Conflict(_("It is going back already, or has ended."), code="not_open")
        Operation.objects.filter(pk=row.operation_id).update(code="cancelling")
        row.operation.code = "cancelling"
        go_back(row, str(_("%(who)s took it back.") % {"who": actor.name}))
        row.save()
        _record(actor, "stage.cancel", row.stage, after={"image": row.image}, operation_id=row.operation_id)
        go_on_soon(row.pk)
    return Operation.objects.get(pk=row.operation_id)


def _begin(
    actor: Actor,
    target: Stage,
    image: str,
    kind: OperationKind,
    *,
    source: Stage | None = None,
    number: int | None = None,
) -> Rollout:
    actor.require(Permission.STAGE_MANAGE, target.tenant)
    refuse_suspended(target.tenant)
    _refuse_busy(target)
    copies = copies_of(target)
    if not copies:
        raise Conflict(
            _("No environment is in the stage %(stage)s.") % {"stage": target.name}, code="empty_stage"
        )
    for one in copies:
        actor.require(Permission.ENVIRONMENT_REINSTALL, one)
    before = {str(one.pk): running_image(one) or one.image for one in copies}
    _note_first(target, before)
    operations.admit(actor, target.tenant_id)
    subject = Subject(SubjectType.STAGE, str(target.pk), str(target)[:64], target.tenant_id, None)
    details = {"image": image, "from": source.name if source else "", "copies": len(copies)}
    operation = operations.open_operation(actor, subject, kind, within=_WITHIN, details=details)
    operation.state, operation.started_at = OperationState.RUNNING, timezone.now()
    operation.save(force_insert=True)
    row = Rollout.objects.create(
        stage=target,
        source=source,
        operation=operation,
        image=image,
        number=number,
        state=RolloutState.CHECKING if source is not None else RolloutState.ROLLING,
        phase=Phase.DRAIN,
        phase_at=timezone.now(),
        todo=list(before),
        before=before,
    )
    verb = {OperationKind.PROMOTE: "promote", OperationKind.DEPLOY: "deploy"}.get(kind, "rollback")
    _record(actor, f"stage.{verb}", target, after=details, operation_id=operation.pk)
    operations.announce(operation)
    events.publish("stage", target.pk, target.tenant_id)
    go_on_soon(row.pk)
    return row


def _note_first(target: Stage, before: dict[str, str]) -> None:
    """What ran before the first rollout is the version to go back to."""
    images = set(before.values())
    if not target.versions.exists() and len(images) == 1:
        StageVersion.objects.create(stage=target, number=1, image=images.pop())


def found_stage(actor: Actor, stage_id: UUID) -> Stage:
    """Raises `NotFound` for one that the actor may not see."""
    row = Stage.objects.for_actor(actor).select_related("tenant").filter(pk=stage_id).first()
    if row is None:
        raise NotFound(_("This stage"))
    return row


def locked_stage(actor: Actor, stage_id: UUID) -> Stage:
    """Raises `NotFound`, and `Forbidden` for who may see it only."""
    seen = Stage.objects.for_actor(actor).filter(pk=stage_id).values_list("pk", flat=True).first()
    rows = Stage.objects.select_for_update(of=("self",)).select_related("tenant")
    row = rows.filter(pk=seen).first() if seen else None
    if row is None:
        raise NotFound(_("This stage"))
    actor.require(Permission.STAGE_MANAGE, row.tenant)
    return row


def _refuse_busy(row: Stage) -> None:
    if Rollout.objects.filter(stage=row, state__in=OPEN).exists():
        raise Conflict(
            _("Something is being rolled out there."),
            code="busy",
            next_step=_("Wait until it has ended, or cancel it."),
        )


def _set_copies(actor: Actor, row: Stage, environments: Sequence[Environment]) -> None:
    if len(environments) > MOST_COPIES:
        raise Invalid(_("At most %(most)s environments.") % {"most": MOST_COPIES}, field="environments")
    for one in environments:
        actor.require(Permission.ENVIRONMENT_REINSTALL, one)
        if one.tenant_id != row.tenant_id:
            raise Invalid(_("The environment is another tenant's."), field="environments")
        if one.kind != Kind.APP:
            raise Invalid(
                _("%(name)s isn't an app: only an image can be promoted.") % {"name": one.name},
                field="environments",
            )
    StageCopy.objects.filter(stage=row).exclude(environment__in=environments).delete()
    known = set(row.copies.values_list("environment_id", flat=True))
    for one in environments:
        if one.pk in known:
            continue
        try:
            with transaction.atomic():
                StageCopy.objects.create(stage=row, environment=one)
        except IntegrityError as error:
            raise Conflict(
                _("%(name)s is in a stage already.") % {"name": one.name},
                code="in_a_stage",
                field="environments",
            ) from error
        known.add(one.pk)


def _lay_over(row: Stage, options: dict[str, Any]) -> None:
    for name in ("needs_health", "needs_yes"):
        if options.get(name) is not None:
            setattr(row, name, bool(options[name]))
    if options.get("command") is not None:
        words = list(options["command"])
        if len(words) > _MOST_WORDS or any(len(one) > 1000 or "\0" in one for one in words):
            raise Invalid(_("At most %(most)s words of 1000 letters.") % {"most": _MOST_WORDS}, field="command")
        row.command = words
    if options.get("drain_s") is not None:
        if not 0 <= options["drain_s"] <= MOST_DRAIN_S:
            raise Invalid(_("It is 0 to %(most)s seconds.") % {"most": MOST_DRAIN_S}, field="drain_s")
        row.drain_s = options["drain_s"]


def _audited(row: Stage) -> dict[str, Any]:
    return {
        "line": row.line,
        "name": row.name,
        "needs_health": row.needs_health,
        "needs_yes": row.needs_yes,
        "command": row.command,
        "drain_s": row.drain_s,
        "environments": [one.environment.name for one in row.copies.select_related("environment")],
    }


def _record(actor: Actor, action: str, row: Stage, **more: Any) -> None:
    record(actor, action, tenant_id=row.tenant_id, target=row, **more)
