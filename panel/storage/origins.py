"""Where roots come from that aren't made from a snapshot of the node: whoever brings such says it here."""

from collections.abc import Callable
from uuid import UUID

from panel.nodes.models import Node
from runtime.contract import BackupSource

#: By the id of a backup; None: it is gone.
_FROM: list[Callable[[UUID, Node], BackupSource | None]] = []


def comes_from(find: Callable[[UUID, Node], BackupSource | None]) -> None:
    """For an app's `ready()`."""
    _FROM.append(find)


def source_of(backup: UUID, node: Node) -> BackupSource | None:
    """For this node."""
    return next((source for find in _FROM if (source := find(backup, node)) is not None), None)
