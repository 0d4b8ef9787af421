"""Where roots come from that aren't made from a snapshot of the node: whoever brings such says it here."""

from collections.abc import Callable
from uuid import UUID

from runtime.contract import BackupSource

#: By the id of a backup; None: it is gone.
_FROM: list[Callable[[UUID], BackupSource | None]] = []


def comes_from(find: Callable[[UUID], BackupSource | None]) -> None:
    """For an app's `ready()`."""
    _FROM.append(find)


def source_of(backup: UUID) -> BackupSource | None:
    return next((source for find in _FROM if (source := find(backup)) is not None), None)
