"""The end of an environment."""

from typing import Any
from uuid import UUID

from django.db import transaction

from panel.environments.models import Environment
from panel.environments.services.intent import Changed, change, locked
from panel.operations.models import OPEN_STATES, Operation, OperationKind
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from runtime.contract import DesiredState


def delete_environment(actor: Actor, environment_id: UUID, *, version: int | None = None) -> Changed:
    """Ask the node to leave nothing. Quota, name and forwards are free when it has. Asked again: a no-op.

    `version`: what the asker has read; `Stale` when it was changed since.
    """
    with transaction.atomic():
        environment = locked(actor, environment_id)
        actor.require(Permission.ENVIRONMENT_DELETE, environment)
        if environment.desired_state == DesiredState.DELETED:
            current = Operation.objects.filter(
                environment=environment, kind=OperationKind.DELETE, state__in=OPEN_STATES
            ).first()
            if current is not None:
                return Changed(environment, current)

    def mutate(row: Environment) -> dict[str, Any]:
        row.desired_state = DesiredState.DELETED
        return {}

    return change(
        actor,
        environment_id,
        Permission.ENVIRONMENT_DELETE,
        OperationKind.DELETE,
        mutate,
        even_deleting=True,
        version=version,
    )
