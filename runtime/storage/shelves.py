"""A shelf: the read-only snapshots of one tree of the pool, each a subvolume called by its id.

A snapshot costs nothing at first. What is rewritten or deleted in its tree afterwards stays on disk for it, and
counts against the quota group of that tree: simple quotas charge who wrote an extent for as long as it lives.
"""

import errno
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from runtime.contract.words import advice, refusals
from runtime.errors import RuntimeFault
from runtime.host import btrfs

#: A group at its limit refuses even the 16 KiB of metadata of a new subvolume: so much room is given while it
#: is made, for each of them.
ROOM_BYTES = 2**20
#: Each is a subvolume of its own in every snapshot, and all are taken one after the other.
MOST_NESTED = 200
#: Of one that isn't whole yet.
_UNFINISHED = ".new"


@dataclass(frozen=True)
class Shelf:
    """A name inside is never followed: subvolumes are found by id."""

    directory: Path

    def path(self, snapshot: UUID) -> Path:
        return self.directory / str(snapshot)

    def there(self) -> list[UUID]:
        """Those that exist, in no order; empty when there is no such shelf."""
        return [UUID(one.name) for one in self._entries() if _is_id(one.name)]

    def make(self, source: Path, snapshot: UUID, group: int) -> None:
        """One of the source as it is now, charged to the quota group; the caller has left room for it
        (`room_bytes`). Raises `RuntimeFault`."""
        path = self.path(snapshot)
        self.directory.mkdir(mode=0o700, exist_ok=True)
        unfinished = path.with_name(path.name + _UNFINISHED)
        try:
            btrfs.delete_subvolume(unfinished)
            btrfs.snapshot_all(source, unfinished, qgroups=[group], most=MOST_NESTED)
        except btrfs.TooManyNested as error:
            btrfs.delete_subvolume(unfinished)
            raise too_many_nested() from error
        except OSError as error:
            with suppress(OSError):
                btrfs.delete_subvolume(unfinished)
            raise RuntimeFault(
                refusals.snapshot_not_made(str(error.strerror)),
                code="quota_full" if error.errno == errno.EDQUOT else "snapshot_failed",
                next_step=advice.delete_files_or_snapshots(),
            ) from error
        unfinished.rename(path)

    def delete(self, snapshot: UUID) -> int:
        """How many subvolumes that were; 0 when there is none. Raises `RuntimeFault`."""
        return _delete(self.path(snapshot))

    def clear(self, *, keep: frozenset[UUID] = frozenset()) -> int:
        """All go but those to keep, finished or not; how many subvolumes that were."""
        return sum(
            _delete(entry)
            for entry in self._entries()
            if not _is_id(entry.name) or UUID(entry.name) not in keep
        )

    def remove(self) -> int:
        """With all that is on it; how many subvolumes that were. A no-op when there is none."""
        deleted = self.clear()
        with suppress(FileNotFoundError):
            self.directory.rmdir()
        return deleted

    def _entries(self) -> Iterator[Path]:
        with suppress(FileNotFoundError, NotADirectoryError):
            yield from list(self.directory.iterdir())


def room_bytes(source: Path) -> int:
    """What a snapshot takes at first. Raises `RuntimeFault` when there is too much nested in it."""
    nested = len(btrfs.nested_subvolumes(source))
    if nested > MOST_NESTED:
        raise too_many_nested()
    return (nested + 1) * ROOM_BYTES


def too_many_nested() -> RuntimeFault:
    """For a tree with more subvolumes than are taken."""
    return RuntimeFault(
        refusals.too_many_subvolumes(MOST_NESTED),
        code="too_many_subvolumes",
        next_step=advice.delete_subvolumes_inside(),
        retryable=False,
    )


def _delete(path: Path) -> int:
    try:
        return btrfs.delete_subvolume(path)
    except OSError as error:
        raise RuntimeFault(refusals.snapshot_not_deleted(str(error.strerror)), code="volume_busy") from error


def _is_id(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True
