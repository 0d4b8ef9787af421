"""Retrying and cancelling a stack's operation."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from panel import words
from panel.audit.services import record
from panel.environments import services as environments
from panel.errors import Conflict, NotFound
from panel.operations import services as operations
from panel.operations.control import refuse_unless_failed
from panel.operations.models import Operation, OperationState
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.stacks import services
from panel.stacks.models import Stack


class StackControl:
    """`panel.operations.control.Control`."""

    def retry(self, actor: Actor, operation_id: UUID) -> Operation | None:
        """Those of its environments that failed are tried once more, and the rest goes on from there."""
        with transaction.atomic():
            operation, stack = _locked(actor, operation_id)
            refuse_unless_failed(operation)
            if operation.pk != stack.operation_id:
                raise Conflict(_("Something newer was asked for."), code="not_newest")
            again = services.ask_again(actor, stack.pk, operation)
            for member in stack.members.select_related("environment__tenant"):
                row = member.environment
                if row.has_failed and row.operation_id is not None:
                    environments.retry_operation(actor, row.operation_id)
            return again

    def cancel(self, actor: Actor, operation_id: UUID) -> Operation | None:
        """Nothing more is begun. What was made stays, and goes on from there with the next change, or goes with
        the stack."""
        with transaction.atomic():
            operation, _stack = _locked(actor, operation_id)
            if not operation.is_open:
                raise Conflict(_("It has %(state)s already.") % {"state": operation.state}, code="not_open")
            if not operation.can_cancel:
                raise Conflict(
                    _("To %(operation)s can't be taken back.") % {"operation": operation.get_kind_display()},
                    code="not_cancellable",
                    next_step=_("It ends by itself, at the latest at its deadline."),
                )
            operations.close(
                operation, OperationState.CANCELLED, code="cancelled", message=words.cancelled(actor.name)
            )
            record(
                actor,
                "operation.cancel",
                tenant_id=operation.tenant_id,
                target=operation,
                target_name=str(operation),
                operation_id=operation.pk,
            )
            return None


def _locked(actor: Actor, operation_id: UUID) -> tuple[Operation, Stack]:
    """The stack first, as its work does."""
    found = Operation.objects.select_related("tenant").get_for(actor, operation_id)
    actor.require(Permission.OPERATION_CONTROL, found)
    try:
        stack = services.locked(actor, UUID(found.subject_id))
    except NotFound:
        raise Conflict(_("Its stack is gone."), code="gone") from None
    return Operation.objects.select_for_update().get(pk=operation_id), stack
