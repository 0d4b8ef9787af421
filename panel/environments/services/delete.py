"""The end of an environment, at once or by way of the trash, and the way back."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from panel.audit.services import record
from panel.environments import inputs, trash
from panel.environments.models import Environment
from panel.environments.services.checks import refuse_taken_name
from panel.environments.services.intent import Changed, advance, change, locked
from panel.operations.models import OPEN_STATES, Operation, OperationKind
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from runtime.contract import DesiredState

#: Told to go in one tick, so that a node isn't flooded.
_MOST_PER_TICK = 200


def delete_environment(
    actor: Actor, environment_id: UUID, *, now: bool = False, version: int | None = None
) -> Changed:
    """Into the trash, where its tenant has one; else, and with `now`, its node is asked to leave nothing.

    Quota, name and forwards are free when the node has. Asked again: a no-op, also of what is in the trash.
    `version`: what the asker has read; `Stale` when it was changed since.
    """
    with transaction.atomic():
        row = locked(actor, environment_id)
        actor.require(Permission.ENVIRONMENT_DELETE, row)
        is_leaving = row.desired_state == DesiredState.DELETED
        if is_leaving or (row.trashed_at is not None and not now):
            kind = OperationKind.DELETE if is_leaving else OperationKind.TRASH
            current = Operation.objects.filter(environment=row, kind=kind, state__in=OPEN_STATES).first()
            if current is not None or not is_leaving:
                return Changed(row, current)
        into_trash = not now and not is_leaving and trash.takes_in(row)

    def mutate(row: Environment) -> dict[str, Any]:
        if into_trash and row.desired_state != DesiredState.DELETED:
            return trash.put_in(row)
        row.desired_state = DesiredState.DELETED
        return {}

    return change(
        actor,
        environment_id,
        Permission.ENVIRONMENT_DELETE,
        OperationKind.TRASH if into_trash else OperationKind.DELETE,
        mutate,
        even_deleting=True,
        version=version,
    )


def undelete_environment(
    actor: Actor, environment_id: UUID, *, name: str = "", version: int | None = None
) -> Changed:
    """Out of the trash, running where it ran: with its addresses if they still rest, else with others, and with
    those of its forwards whose ports nobody took. `name`: another one, where somebody has its own by now."""

    def mutate(row: Environment) -> dict[str, Any]:
        details = trash.take_out(row)
        if name:
            row.name = inputs.check_name(name)
        refuse_taken_name(row.tenant, row.name)
        return details

    return change(
        actor,
        environment_id,
        Permission.ENVIRONMENT_DELETE,
        OperationKind.UNDELETE,
        mutate,
        version=version,
    )


def end_trashed(now: datetime | None = None) -> int:
    """Has those deleted whose days in the trash are over; how many were told to go."""
    due = (
        Environment.objects.living()
        .exclude(desired_state=DesiredState.DELETED)
        .filter(trash_ends_at__lte=now or timezone.now())
    )
    ended = 0
    for pk in list(due.values_list("pk", flat=True)[:_MOST_PER_TICK]):
        with transaction.atomic():
            row = due.select_related("tenant", "node").select_for_update(of=("self",)).filter(pk=pk).first()
            if row is None:
                continue  # brought back just now
            row.desired_state = DesiredState.DELETED
            operation = advance(None, row, OperationKind.DELETE)
            record(
                None,
                "environment.delete",
                tenant_id=row.tenant_id,
                target=row,
                after={"because": "trash"},
                operation_id=operation.pk,
            )
            ended += 1
    return ended
