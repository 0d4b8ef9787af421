"""Trying a failed change again, and taking back one that is under way."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from panel import words
from panel.audit.services import record
from panel.environments import trash
from panel.environments.features import FEATURES
from panel.environments.models import Environment
from panel.environments.options import OPTIONS
from panel.environments.services.change import lay_over, needed
from panel.environments.services.checks import lifts
from panel.environments.services.intent import (
    Changed,
    advance,
    change,
    locked,
    refuse_protected,
    restore_intent,
)
from panel.errors import Conflict
from panel.operations import services as operations
from panel.operations.control import refuse_unless_failed
from panel.operations.models import CANCELLABLE, Operation, OperationKind, OperationState
from panel.quotas.refusals import counting_refusals
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from runtime.contract import DesiredState
from runtime.contract.said import NOTHING

#: Fields of an update's details that are tried again; the rest of them are the panel's own notes.
_CHANGES = ("name", "description", "plan", "follows_plan", *OPTIONS)
_WANTED = {
    OperationKind.START: DesiredState.RUNNING,
    OperationKind.RESUME: DesiredState.RUNNING,
    OperationKind.RESTART: DesiredState.RUNNING,
    OperationKind.REINSTALL: DesiredState.RUNNING,
    OperationKind.STOP: DesiredState.STOPPED,
    OperationKind.PAUSE: DesiredState.PAUSED,
    OperationKind.DELETE: DesiredState.DELETED,
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
    OperationKind.ADDRESSES: Permission.NETWORK_CHANGE,
    OperationKind.SNAPSHOT: Permission.SNAPSHOT_MANAGE,
    OperationKind.RESTORE: Permission.ENVIRONMENT_REINSTALL,
    OperationKind.VOLUMES: Permission.ENVIRONMENT_CHANGE,
    OperationKind.NAMES: Permission.ENVIRONMENT_CHANGE,
    OperationKind.TRASH: Permission.ENVIRONMENT_DELETE,
    OperationKind.UNDELETE: Permission.ENVIRONMENT_DELETE,
    OperationKind.DELETE: Permission.ENVIRONMENT_DELETE,
}
#: What is asked for of environments, as generations of their intent.
OF_ENVIRONMENTS = (*_NEEDED, OperationKind.UPDATE, OperationKind.SUSPEND)


def retry_operation(actor: Actor, operation_id: UUID) -> Changed:
    """Ask for the same once more, whatever was asked for since. Only of an operation that has failed."""
    operation = Operation.objects.get_for(actor, operation_id)
    actor.require(Permission.OPERATION_CONTROL, operation)
    refuse_unless_failed(operation)
    if operation.environment_id is None:
        raise Conflict(_("Its environment is gone."), code="gone")

    def mutate(row: Environment) -> dict[str, Any]:
        return _ask_again(actor, row, operation)

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
    """What asking for the same thing anew takes; of an update `lay_over` asks for more."""
    if operation.kind == OperationKind.UPDATE:
        return needed(operation.details)[0]
    return _NEEDED.get(OperationKind(operation.kind), Permission.ENVIRONMENT_CHANGE)


def _ask_again(actor: Actor, row: Environment, operation: Operation) -> dict[str, Any]:
    kind = OperationKind(operation.kind)
    details = dict(operation.details)
    if kind == OperationKind.UPDATE and not details.get("undoes"):
        lay_over(actor, row, {key: details[key] for key in _CHANGES if key in details})
    if kind in _WANTED:
        row.desired_state = _WANTED[kind]
    if kind == OperationKind.TRASH:
        details |= trash.put_in(row)
    elif kind == OperationKind.UNDELETE and row.trashed_at is not None:
        details |= trash.take_out(row)
    is_through = row.observed_generation >= operation.generation
    if kind == OperationKind.RESTART:
        row.boots += 1
    elif kind == OperationKind.REINSTALL and is_through:
        # else the node still owes the one that failed; a second count would put a new root under the newest
        row.installs += 1
    for feature in FEATURES:
        details.update(feature.asked_again(actor, row, kind, details))
    return details


def cancel_operation(actor: Actor, operation_id: UUID) -> Changed:
    """Stop the work by asking for what was before: the node drops what it is at for the newer intent.

    A cancelled create is deleted. Deleting and reinstalling can't be taken back. What was before is given only
    as far as the quota still has it, and parts of the confinement are lifted only by who may lift them.
    """
    with counting_refusals(), transaction.atomic():
        operation = Operation.objects.select_related("tenant").get_for(actor, operation_id)
        actor.require(Permission.OPERATION_CONTROL, operation)
        if operation.environment_id is None:
            raise Conflict(_("Its environment is gone."), code="gone")
        environment = locked(actor, operation.environment_id)
        operation = Operation.objects.select_for_update().get(pk=operation_id)
        if not operation.is_open:
            raise Conflict(_("It has %(state)s already.") % {"state": operation.state}, code="not_open")
        if operation.kind not in CANCELLABLE:
            raise Conflict(
                _("To %(operation)s can't be taken back.") % {"operation": operation.get_kind_display()},
                code="not_cancellable",
                next_step=_("It ends by itself, at the latest at its deadline."),
            )
        if environment.generation != operation.generation:
            raise Conflict(
                _("A newer change of this environment is under way; cancel that one."), code="not_newest"
            )
        lifted = lifts(environment)
        restore_intent(environment, operation.before, is_wanted=True)
        if lifts(environment) - lifted:  # an administrator has taken it away
            actor.require(Permission.SECURITY_MANAGE, environment)
        kind = OperationKind.DELETE if operation.kind == OperationKind.CREATE else OperationKind.UPDATE
        if kind == OperationKind.DELETE:
            refuse_protected(environment)
        operations.close(
            operation,
            OperationState.CANCELLED,
            code="cancelled",
            message=words.cancelled(actor.name),
            next_step=NOTHING if kind != OperationKind.DELETE else words.create_it_anew(),
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


class EnvironmentControl:
    """For the pages and the API of operations (`panel.operations.control.Control`)."""

    def retry(self, actor: Actor, operation_id: UUID) -> Operation | None:
        return retry_operation(actor, operation_id).operation

    def cancel(self, actor: Actor, operation_id: UUID) -> Operation | None:
        return cancel_operation(actor, operation_id).operation
