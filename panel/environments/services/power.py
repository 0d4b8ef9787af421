"""Starting, stopping and pausing."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from panel.environments.models import Environment
from panel.environments.services.intent import Changed, change
from panel.errors import Conflict, Invalid
from panel.operations.models import OperationKind
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from runtime.contract import DesiredState, Rescue


def start(actor: Actor, environment_id: UUID) -> Changed:
    """Also brings back one that crashed or was halted from inside."""

    def mutate(row: Environment) -> dict[str, Any]:
        row.desired_state = DesiredState.RUNNING
        return {}

    return change(actor, environment_id, Permission.ENVIRONMENT_POWER, OperationKind.START, mutate)


def stop(actor: Actor, environment_id: UUID, *, timeout_s: float | None = None) -> Changed:
    """Politely until the deadline, then by force. `timeout_s` is of this stop alone; 0: by force at once."""

    def mutate(row: Environment) -> dict[str, Any]:
        row.desired_state = DesiredState.STOPPED
        if timeout_s is not None:
            if not 0 <= timeout_s <= 600:
                raise Invalid(_("timeout_s is 0 to 600 seconds."), field="timeout_s")
            row.stop_within_s = timeout_s
        return {} if timeout_s is None else {"timeout_s": timeout_s}

    return change(actor, environment_id, Permission.ENVIRONMENT_POWER, OperationKind.STOP, mutate)


def restart(actor: Actor, environment_id: UUID) -> Changed:
    """Stop, then start; starts one that is stopped."""

    def mutate(row: Environment) -> dict[str, Any]:
        row.desired_state = DesiredState.RUNNING
        row.boots += 1
        return {}

    return change(actor, environment_id, Permission.ENVIRONMENT_POWER, OperationKind.RESTART, mutate)


def pause(actor: Actor, environment_id: UUID) -> Changed:
    def mutate(row: Environment) -> dict[str, Any]:
        if row.desired_state == DesiredState.STOPPED:
            raise Conflict(_("It is stopped; only a running environment can be paused."), code="not_running")
        row.desired_state = DesiredState.PAUSED
        return {}

    return change(actor, environment_id, Permission.ENVIRONMENT_POWER, OperationKind.PAUSE, mutate)


def resume(actor: Actor, environment_id: UUID) -> Changed:
    def mutate(row: Environment) -> dict[str, Any]:
        if row.desired_state != DesiredState.PAUSED:
            raise Conflict(_("It isn't paused."), code="not_paused")
        row.desired_state = DesiredState.RUNNING
        return {}

    return change(actor, environment_id, Permission.ENVIRONMENT_POWER, OperationKind.RESUME, mutate)


def rescue(actor: Actor, environment_id: UUID, *, network: bool = True) -> Changed:
    """Start it, anew where it runs, with the rescue system: its disk is at /mnt. Without `network` nothing goes
    in or out on its addresses meanwhile."""

    def mutate(row: Environment) -> dict[str, Any]:
        actor.require(Permission.ENVIRONMENT_POWER, row)
        wanted = Rescue.ONLINE if network else Rescue.OFFLINE
        if row.wanted.rescue is wanted and row.desired_state == DesiredState.RUNNING:
            raise Conflict(_("It has been started with the rescue system already."), code="in_rescue")
        row.intent = {**row.intent, "rescue": wanted.value}
        row.desired_state = DesiredState.RUNNING
        row.boots += 1
        return {"network": network}

    return change(actor, environment_id, Permission.ENVIRONMENT_EXEC, OperationKind.RESCUE, mutate)


def leave_rescue(actor: Actor, environment_id: UUID) -> Changed:
    """Back to its own system: at once where it runs, at the next start where it doesn't."""

    def mutate(row: Environment) -> dict[str, Any]:
        actor.require(Permission.ENVIRONMENT_POWER, row)
        if row.wanted.rescue is Rescue.OFF:
            raise Conflict(_("It isn't in the rescue system."), code="not_in_rescue")
        row.intent = {**row.intent, "rescue": Rescue.OFF.value}
        if row.desired_state != DesiredState.STOPPED:
            row.desired_state = DesiredState.RUNNING
            row.boots += 1
        return {}

    return change(actor, environment_id, Permission.ENVIRONMENT_EXEC, OperationKind.LEAVE_RESCUE, mutate)


#: By the name that a page's button sends.
POWER: dict[str, Callable[[Actor, UUID], Changed]] = {
    "start": start,
    "stop": stop,
    "restart": restart,
    "pause": pause,
    "resume": resume,
    "rescue": rescue,
    "leave-rescue": leave_rescue,
}
