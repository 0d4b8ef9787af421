"""Taking an update of bases back; trying one again."""

from uuid import UUID

from django.utils.translation import gettext as _

from panel.errors import Conflict
from panel.jails import bases
from panel.jails.models import BaseUpdate
from panel.operations.control import refuse_unless_failed
from panel.operations.models import Operation
from panel.rights.actor import Actor
from panel.rights.permissions import Permission


class BaseControl:
    """`panel.operations.control.Control` of updates of bases."""

    def retry(self, actor: Actor, operation_id: UUID) -> Operation | None:
        row = _found(actor, operation_id)
        refuse_unless_failed(row.operation)
        if row.goes_back_to_id is not None:
            return bases.roll_back(actor, row.goes_back_to_id).operation
        return bases.update(actor, row.tenant, row.image, list(row.before), row.command).operation

    def cancel(self, actor: Actor, operation_id: UUID) -> Operation | None:
        return bases.cancel(actor, _found(actor, operation_id).pk)


def _found(actor: Actor, operation_id: UUID) -> BaseUpdate:
    operation = Operation.objects.get_for(actor, operation_id)
    actor.require(Permission.OPERATION_CONTROL, operation)
    row = BaseUpdate.objects.filter(operation=operation).select_related("operation", "tenant").first()
    if row is None:
        raise Conflict(_("Its jails are gone."), code="gone")
    return row
