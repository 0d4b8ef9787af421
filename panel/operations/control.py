"""Retrying and cancelling: what that means, the app knows that an operation is about something of."""

from typing import Protocol
from uuid import UUID

from panel.operations.models import Operation
from panel.rights.actor import Actor


class Control(Protocol):
    """Both raise a `Refused`, and say which operation does it; None: there was nothing to do."""

    def retry(self, actor: Actor, operation_id: UUID) -> Operation | None:
        """Ask for the same once more. Only of an operation that has failed."""

    def cancel(self, actor: Actor, operation_id: UUID) -> Operation | None:
        """Stop the work by asking for what was before. Only of one that is open."""


_controls: list[Control] = []


def controls(control: Control) -> None:
    """For an app's `ready()`; there is one as long as all operations are about environments."""
    _controls[:] = [control]


def retry(actor: Actor, operation_id: UUID) -> Operation | None:
    return _controls[0].retry(actor, operation_id)


def cancel(actor: Actor, operation_id: UUID) -> Operation | None:
    return _controls[0].cancel(actor, operation_id)
