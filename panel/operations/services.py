"""Opening and closing operations. Retry and cancel of an environment's change: `environments.services`."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from panel import events
from panel.accounts.actor import Actor
from panel.environments.models import Environment
from panel.operations.models import OPEN_STATES, Operation, OperationKind, OperationState

#: How long after the node's own deadline a report may still be under way.
GRACE = timedelta(seconds=30)
DEADLINE = timedelta(seconds=300)


def open_operation(
    actor: Actor | None,
    environment: Environment,
    kind: OperationKind,
    *,
    details: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
    retry_of: Operation | None = None,
) -> Operation:
    """A pending operation for the environment's current generation. The caller saves `operation_id`."""
    now = timezone.now()
    operation = Operation(
        tenant_id=environment.tenant_id,
        environment=environment,
        environment_name=environment.name,
        kind=kind,
        generation=environment.generation,
        who=actor.user if actor else None,
        who_name=actor.name if actor else "wadah",
        from_where=actor.address if actor else "",
        deadline=now + DEADLINE + GRACE + timedelta(seconds=environment.stop_timeout_s),
        details=details or {},
        before=before or {},
        retry_of=retry_of,
    )
    environment.operation_id = operation.pk
    return operation


def announce(operation: Operation) -> None:
    events.publish(
        "operation",
        operation.pk,
        operation.tenant_id,
        environment=str(operation.environment_id) if operation.environment_id else None,
        generation=operation.generation,
        state=operation.state,
    )


def close(
    operation: Operation,
    state: OperationState,
    *,
    code: str = "",
    message: str = "",
    next_step: str = "",
    is_retryable: bool = True,
) -> None:
    """End an open operation; a no-op on one that has ended."""
    if not operation.is_open:
        return
    operation.state = state
    operation.finished_at = timezone.now()
    operation.code, operation.message, operation.next_step = code, message, next_step
    operation.is_retryable = is_retryable
    operation.save(
        update_fields=[
            "state",
            "finished_at",
            "code",
            "message",
            "next_step",
            "is_retryable",
            "steps",
            "started_at",
        ]
    )
    announce(operation)


def open_operations(environment: Environment) -> list[Operation]:
    return list(Operation.objects.filter(environment=environment, state__in=OPEN_STATES).order_by("generation"))
