"""How far the sending of an environment's log came: kept by the agent, read by every process of the node."""

from contextlib import suppress
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel, ValidationError

from runtime.contract import LogsSeen, LogsState
from runtime.files import replace_file
from runtime.node import Node


class Note(BaseModel):
    to: str
    """Whom it is about: another receiver begins anew."""
    identity: str = ""
    position: int = 0
    """As `runtime.shipping.reading.Reader` has them."""
    seen: LogsSeen = LogsSeen(state=LogsState.WAITING)


def _file(node: Node, environment_id: UUID) -> Path:
    return node.environment(environment_id) / "shipped"


def keep(node: Node, environment_id: UUID, note: Note) -> None:
    """A no-op when the environment is going away. OSError on a full disk."""
    with suppress(FileNotFoundError):
        replace_file(_file(node, environment_id), note.model_dump_json())


def noted(node: Node, environment_id: UUID, to: str) -> Note:
    """Of this receiver; a new one, where nothing was sent to it yet."""
    with suppress(OSError, ValidationError):
        note = Note.model_validate_json(_file(node, environment_id).read_bytes())
        if note.to == to:
            return note
    return Note(to=to)
