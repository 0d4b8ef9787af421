"""What new volumes begin with, when that isn't nothing: whoever has such says it here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from panel.operations.models import Operation
from panel.rights.actor import Actor


@dataclass(frozen=True)
class Beginning:
    part: Mapping[str, Any]
    """Of the contract's `KeepVolume`: what the node makes it of."""
    details: dict[str, Any] = field(default_factory=dict)
    """For the operation: what it is called by, when it is asked for again."""
    within_s: float = 600.0


Again = Callable[[Actor, UUID, str], Beginning]
"""By the id that stands in the details, for the node of this id. Raises a `Refused` for one that is gone."""

_AGAIN: dict[str, Again] = {}


PutBack = Callable[[Actor, UUID, Operation], Operation]
"""By the id that stands in the details of an operation that failed, which is asked for once more."""

_PUT_BACK: dict[str, PutBack] = {}


def puts_back(name: str, again: PutBack) -> None:
    """For an app's `ready()`: a volume is put back to something of it."""
    _PUT_BACK[name] = again


def put_back_again(actor: Actor, failed: Operation) -> Operation | None:
    """None where it went back to no such thing."""
    found = next((name for name in _PUT_BACK if name in failed.details), None)
    return _PUT_BACK[found](actor, UUID(failed.details[found]), failed) if found is not None else None


def begins_with(name: str, again: Again) -> None:
    """For an app's `ready()`. `name`: under which the details have the id."""
    _AGAIN[name] = again


def beginning_again(actor: Actor, details: Mapping[str, Any]) -> Beginning | None:
    """What an operation that failed had; None where that was nothing."""
    found = next((name for name in _AGAIN if name in details), None)
    return _AGAIN[found](actor, UUID(details[found]), details.get("node", "")) if found is not None else None
