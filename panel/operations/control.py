"""Retrying and cancelling: what that means, the app knows that an operation is of."""

from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

from django.utils.translation import gettext as _

from panel.errors import Conflict
from panel.operations.models import Operation, OperationKind, OperationState, SubjectType
from panel.rights.actor import Actor


class Control(Protocol):
    """Both raise a `Refused`, and say which operation does it; None: there was nothing to do."""

    def retry(self, actor: Actor, operation_id: UUID) -> Operation | None:
        """Ask for the same once more. Only of an operation that has failed."""

    def cancel(self, actor: Actor, operation_id: UUID) -> Operation | None:
        """Stop the work, and have what was before. Only of one that is open."""


_controls: dict[tuple[str, str], Control] = {}


def controls(control: Control, subject_type: SubjectType, kinds: Iterable[OperationKind]) -> None:
    """For an app's `ready()`: operations of these kinds, about subjects of that type, are its own."""
    for kind in kinds:
        _controls[subject_type, kind] = control


def retry(actor: Actor, operation_id: UUID) -> Operation | None:
    return _of(actor, operation_id).retry(actor, operation_id)


def cancel(actor: Actor, operation_id: UUID) -> Operation | None:
    return _of(actor, operation_id).cancel(actor, operation_id)


def refuse_unless_failed(operation: Operation) -> None:
    """Only what has failed is asked for once more."""
    if operation.is_open:
        raise Conflict(_("It is still at work; it can be cancelled."), code="still_open")
    if operation.state != OperationState.FAILED:
        raise Conflict(
            _("It has %(state)s; only a failed operation can be tried again.") % {"state": operation.state},
            code="not_failed",
        )


def _of(actor: Actor, operation_id: UUID) -> Control:
    operation = Operation.objects.get_for(actor, operation_id)
    return _controls[operation.subject_type, operation.kind]
