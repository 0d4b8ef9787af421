"""How an app is: found out by the agent, kept in a file where every process of the node reads it."""

from contextlib import suppress
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel, ValidationError

from runtime.contract import HealthSeen, HealthState
from runtime.files import replace_file
from runtime.node import Node


class _Note(BaseModel):
    started_at: float
    """Of the start that it is about (`State.started_at`)."""
    seen: HealthSeen


def _file(node: Node, environment_id: UUID) -> Path:
    return node.run / "health" / f"{environment_id}.json"


def note(node: Node, environment_id: UUID, started_at: float, seen: HealthSeen) -> None:
    """OSError on a full disk."""
    file = _file(node, environment_id)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    replace_file(file, _Note(started_at=started_at, seen=seen).model_dump_json())


def noted(node: Node, environment_id: UUID, started_at: float | None) -> HealthSeen:
    """As it was found since this start; starting, where nothing was found yet."""
    with suppress(OSError, ValidationError):
        known = _Note.model_validate_json(_file(node, environment_id).read_bytes())
        if known.started_at == started_at:
            return known.seen
    return HealthSeen(state=HealthState.STARTING)


def forget(node: Node, environment_id: UUID) -> None:
    """A no-op when nothing was noted."""
    _file(node, environment_id).unlink(missing_ok=True)
