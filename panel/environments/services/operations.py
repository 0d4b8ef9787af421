"""Trying a failed change again, and taking back one that is under way."""

from typing import Any
from uuid import UUID

from django.db import transaction

from panel.accounts.actor import Actor
from panel.audit.services import record
from panel.environments import inputs
from panel.environments.models import Environment
from panel.environments.services.change import resize
from panel.environments.services.intent import Changed, advance, change, locked, restore_intent
from panel.errors import Conflict
from panel.operations import services as operations
from panel.operations.models import Operation, OperationKind, OperationState
from panel.tenants.permissions import Permission

#: Operations that can be undone by asking for what was before.
_CANCELLABLE = {
    OperationKind.CREATE,
    OperationKind.UPDATE,
    OperationKind.START,
    OperationKind.STOP,
    OperationKind.PAUSE,
    OperationKind.RESUME,
}

_NEEDED = {
    OperationKind.CREATE: Permission.ENVIRONMENT_CREATE,
    OperationKind.START: Permission.ENVIRONMENT_POWER,
    OperationKind.STOP: Permission.ENVIRONMENT_POWER,
    OperationKind.RESTART: Permission.ENVIRONMENT_POWER,
    OperationKind.PAUSE: Permission.ENVIRONMENT_POWER,
    OperationKind.RESUME: Permission.ENVIRONMENT_POWER,
    OperationKind.REINSTALL: Permission.ENVIRONMENT_REINSTALL,
    OperationKind.CREDENTIALS: Permission.ENVIRONMENT_CREDENTIALS,
    OperationKind.FORWARDS: Permission.FORWARD_CHANGE,
    OperationKind.DELETE: Permission.ENVIRONMENT_DELETE,
}


def retry_operation(actor: Actor, operation_id: UUID) -> Changed:
    """Ask for the same once more. Only a failed or cancelled operation, and only while nothing is open."""
    operation = Operation.objects.get_for(actor, operation_id)
    actor.require(Permission.OPERATION_CONTROL, operation)
    if operation.is_open:
        raise Conflict("It is still at work; it can be cancelled.", code="still_open")
    if operation.state != OperationState.FAILED:
        raise Conflict(
            f"It has {operation.state}; only a failed operation can be tried again.", code="not_failed"
        )
    if operation.environment_id is None:
        raise Conflict("Its environment is gone.", code="gone")

    def mutate(row: Environment) -> dict[str, Any]:
        if operation.kind == OperationKind.UPDATE and operation.details.get("limits"):
            resize(row, inputs.parse_limits({**row.limits, **operation.details["limits"]}))
        return dict(operation.details)

    return change(
        actor,
        operation.environment_id,
        _needed(operation),
        OperationKind(operation.kind),
        mutate,
        retry_of=operation,
        even_deleting=operation.kind == OperationKind.DELETE,
    )


def _needed(operation: Operation) -> Permission:
    """What asking for the same thing anew takes."""
    if operation.kind == OperationKind.UPDATE and "limits" in operation.details:
        return Permission.ENVIRONMENT_RESIZE
    return _NEEDED.get(OperationKind(operation.kind), Permission.ENVIRONMENT_CHANGE)


def cancel_operation(actor: Actor, operation_id: UUID) -> Changed:
    """Stop the work by asking for what was before: the node drops what it is at for the newer intent.

    A cancelled create is deleted. Deleting, reinstalling and restarting can't be taken back.
    """
    with transaction.atomic():
        operation = Operation.objects.select_related("tenant").get_for(actor, operation_id)
        actor.require(Permission.OPERATION_CONTROL, operation)
        if operation.environment_id is None:
            raise Conflict("Its environment is gone.", code="gone")
        environment = locked(actor, operation.environment_id)
        operation = Operation.objects.select_for_update().get(pk=operation_id)
        if not operation.is_open:
            raise Conflict(f"It has {operation.state} already.", code="not_open")
        if operation.kind not in _CANCELLABLE:
            raise Conflict(f"To {operation.get_kind_display()} can't be taken back.", code="not_cancellable")
        if environment.generation != operation.generation:
            raise Conflict(
                "A newer change of this environment is under way; cancel that one.", code="not_newest"
            )
        restore_intent(environment, operation.before)
        kind = OperationKind.DELETE if operation.kind == OperationKind.CREATE else OperationKind.UPDATE
        operations.close(
            operation,
            OperationState.CANCELLED,
            code="cancelled",
            message=f"Cancelled by {actor.name}.",
        )
        undo = advance(actor, environment, kind, details={"undoes": str(operation.pk)}, before=operation.before)
        record(
            actor,
            "operation.cancel",
            tenant_id=environment.tenant_id,
            target=operation,
            target_name=str(operation),
            operation_id=undo.pk,
        )
    return Changed(environment, undo)
