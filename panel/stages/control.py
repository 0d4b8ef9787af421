"""Taking a rollout back; trying one again."""

from uuid import UUID

from django.utils.translation import gettext as _

from panel.errors import Conflict
from panel.operations.control import refuse_unless_failed
from panel.operations.models import Operation, OperationKind
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.stages import services
from panel.stages.models import Rollout


class StageControl:
    """`panel.operations.control.Control` of rollouts."""

    def retry(self, actor: Actor, operation_id: UUID) -> Operation | None:
        row = _found(actor, operation_id)
        operation = row.operation
        refuse_unless_failed(operation)
        if operation.kind == OperationKind.PROMOTE and row.source_id is not None:
            return services.promote(actor, row.source_id).operation
        if operation.kind == OperationKind.DEPLOY:
            return services.deploy(actor, row.stage_id, row.image).operation
        return services.roll_back(actor, row.stage_id).operation

    def cancel(self, actor: Actor, operation_id: UUID) -> Operation | None:
        return services.cancel(actor, _found(actor, operation_id).pk)


def _found(actor: Actor, operation_id: UUID) -> Rollout:
    operation = Operation.objects.get_for(actor, operation_id)
    actor.require(Permission.OPERATION_CONTROL, operation)
    row = Rollout.objects.filter(operation=operation).select_related("operation").first()
    if row is None:
        raise Conflict(_("Its stage is gone."), code="gone")
    return row
