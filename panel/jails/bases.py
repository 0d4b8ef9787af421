"""Bases of jails: what an update would change, asked of the nodes; updates begun, and taken back as one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.audit.services import record
from panel.environments.models import Environment
from panel.errors import Conflict, Invalid, NodeAway, NotFound
from panel.jails.base_rolling import go_back
from panel.jails.base_tasks import go_on_soon
from panel.jails.models import OPEN, BaseUpdate, BaseUpdateState
from panel.nodes.agent import Agent
from panel.operations import services as operations
from panel.operations.models import Operation, OperationKind, OperationState, SubjectType
from panel.operations.services import Subject
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.serving.shares import LOOKS, Place
from panel.tenants.models import Tenant
from panel.tenants.selectors import locked_state, refuse_suspended
from runtime.contract import Base, Kind

#: At once.
MOST_JAILS = 200
_MOST_WORDS = 64
#: All of them, one after the other.
_WITHIN = timedelta(days=1)
#: Of the nodes, while somebody waits.
_ASKED_AT_ONCE = 4


@dataclass(frozen=True)
class Asked:
    """What nodes will say of each jail, in their order; None: the node can't be asked. Awaited."""

    jails: Sequence[Environment]
    result: Callable[[], Awaitable[list[dict[str, Any] | None]]]
    place: Place


def chosen(actor: Actor, tenant: Tenant, image: str, names: Sequence[str] = ()) -> list[Environment]:
    """Thin jails of the image that the actor may bring to another base: those named, by id or name, or all."""
    rows = Environment.objects.for_actor(actor).in_use().filter(tenant=tenant, kind=Kind.JAIL, image=image)
    found = [
        row
        for row in rows.select_related("tenant", "node").order_by("-intent__boot__order", "name")
        if row.wanted.jail is not None and row.wanted.jail.base is Base.THIN
    ]
    if names:
        known = {key for row in found for key in (row.name, str(row.pk))}
        missing = [name for name in names if name not in known]
        if missing:
            raise Invalid(
                _("%(name)s is no thin jail of %(image)s.") % {"name": missing[0][:64], "image": image[:64]},
                field="jails",
            )
        found = [row for row in found if row.name in names or str(row.pk) in names]
    if not found:
        raise Invalid(_("No thin jail is of %(image)s.") % {"image": image[:64]}, field="image")
    if len(found) > MOST_JAILS:
        raise Invalid(_("At most %(most)s jails at once.") % {"most": MOST_JAILS}, field="jails")
    for row in found:
        actor.require(Permission.ENVIRONMENT_CHANGE, row)
        actor.require(Permission.ENVIRONMENT_POWER, row)
    return found


def preview(actor: Actor, tenant: Tenant, image: str, names: Sequence[str] = ()) -> Asked:
    """What would change for which jail. Nothing is begun."""
    actor.require(Permission.ENVIRONMENT_CHANGE, tenant)
    jails = chosen(actor, tenant, image, names)
    asked = [(Agent(row.node), row.pk, row.tenant.payer) for row in jails]
    turns = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def one(agent: Agent, pk: UUID, payer: UUID) -> dict[str, Any] | None:
        async with turns:
            try:
                return await agent.jail_base(pk, user=actor.name, tenant_id=payer)
            except NodeAway:
                return None

    async def result() -> list[dict[str, Any] | None]:
        return list(await asyncio.gather(*(one(*each) for each in asked)))

    return Asked(jails, result, LOOKS.take(actor, tenant.pk, tenant.path))


def update(
    actor: Actor, tenant: Tenant, image: str, names: Sequence[str] = (), command: Sequence[str] = ()
) -> BaseUpdate:
    """Brings them to the newest build, one after the other: each has to run, and the command to end with 0
    inside; else all that were updated go back."""
    actor.require(Permission.ENVIRONMENT_CHANGE, tenant)
    if len(command) > _MOST_WORDS or any(len(one) > 1000 or "\0" in one for one in command):
        raise Invalid(_("At most %(most)s words of 1000 letters.") % {"most": _MOST_WORDS}, field="command")
    with transaction.atomic():
        tenant = locked_state(tenant)
        jails = chosen(actor, tenant, image, names)
        if command:
            for row in jails:
                actor.require(Permission.ENVIRONMENT_EXEC, row)
        before = {str(row.pk): build_of(row) for row in jails}
        return _begin(actor, tenant, image, before, {}, command=list(command))


def roll_back(actor: Actor, update_id: UUID) -> BaseUpdate:
    """All that this update brought to another build, and that still are there, back to the one before."""
    with transaction.atomic():
        old = found_update(actor, update_id)
        actor.require(Permission.ENVIRONMENT_CHANGE, old.tenant)
        tenant = locked_state(old.tenant)
        if old.state != BaseUpdateState.DONE:
            raise Conflict(_("Only an update that is done can be taken back."), code="not_done")
        jails = [
            row
            for row in chosen(actor, tenant, old.image)
            if str(row.pk) in old.after and build_of(row) == old.after[str(row.pk)]
        ]
        if not jails:
            raise Conflict(_("None of its jails is on the base that it brought."), code="nothing_to_do")
        before = {str(row.pk): build_of(row) for row in jails}
        after = {pk: old.before[pk] for pk in before}
        return _begin(actor, tenant, old.image, before, after, goes_back_to=old)


def _begin(
    actor: Actor, tenant: Tenant, image: str, before: dict[str, str], after: dict[str, str], **more: Any
) -> BaseUpdate:
    refuse_suspended(tenant)
    if BaseUpdate.objects.filter(tenant=tenant, state__in=OPEN).exists():
        raise Conflict(
            _("Bases of this tenant's jails are being updated."),
            code="busy",
            next_step=_("Wait until it has ended, or cancel it."),
        )
    operations.admit(actor, tenant.pk)
    subject = Subject(SubjectType.TENANT, str(tenant.pk), tenant.slug, tenant.pk, None)
    details = {"image": image, "jails": len(before), "back": "goes_back_to" in more}
    operation = operations.open_operation(
        actor, subject, OperationKind.UPDATE_BASE, within=_WITHIN, details=details
    )
    operation.state, operation.started_at = OperationState.RUNNING, timezone.now()
    operation.save(force_insert=True)
    row = BaseUpdate.objects.create(
        tenant=tenant,
        operation=operation,
        image=image,
        state=BaseUpdateState.ROLLING if after else BaseUpdateState.CHECKING,
        since=timezone.now(),
        todo=list(before),
        before=before,
        after=after,
        **more,
    )
    verb = "rollback" if after else "update"
    record(actor, f"bases.{verb}", tenant_id=tenant.pk, target=row, after=details, operation_id=operation.pk)
    operations.announce(operation)
    go_on_soon(row.pk)
    return row


def cancel(actor: Actor, update_id: UUID) -> Operation:
    """Jails that were updated go back."""
    with transaction.atomic():
        rows = BaseUpdate.objects.select_for_update(of=("self",)).select_related("tenant", "operation")
        row = rows.get(pk=update_id)
        actor.require(Permission.ENVIRONMENT_CHANGE, row.tenant)
        if row.state not in (BaseUpdateState.CHECKING, BaseUpdateState.ROLLING):
            raise Conflict(_("It is going back already, or has ended."), code="not_open")
        Operation.objects.filter(pk=row.operation_id).update(code="cancelling")
        row.operation.code = "cancelling"
        go_back(row, str(_("%(who)s took it back.") % {"who": actor.name}))
        row.save()
        details = {"image": row.image}
        record(
            actor,
            "bases.cancel",
            tenant_id=row.tenant_id,
            target=row,
            after=details,
            operation_id=row.operation_id,
        )
        go_on_soon(row.pk)
    return Operation.objects.get(pk=row.operation_id)


def build_of(row: Environment) -> str:
    """As its options have it."""
    return row.wanted.jail.build if row.wanted.jail is not None else ""


def found_update(actor: Actor, update_id: UUID) -> BaseUpdate:
    """Raises `NotFound` for one that the actor may not see."""
    row = BaseUpdate.objects.for_actor(actor).select_related("tenant", "operation").filter(pk=update_id).first()
    if row is None:
        raise NotFound(_("This update"))
    return row
