"""Snapshots of an environment: read-only copies of its whole root, subvolumes made inside included.

A snapshot costs nothing at first. What the environment rewrites or deletes afterwards stays on disk for it, and
counts against the environment: simple quotas charge who wrote an extent for as long as it lives.
"""

import errno
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.contract.said import Said
from runtime.contract.words import advice, refusals, steps
from runtime.errors import RuntimeFault
from runtime.files import replace_file
from runtime.host import btrfs
from runtime.node import Node

#: A group at its limit refuses even the 16 KiB of metadata of a new subvolume: so much room is given while it
#: is made, for each of them.
ROOM_BYTES = 2**20
#: Each is a subvolume of its own in every snapshot, and all are taken one after the other.
MOST_NESTED = 200
_DIRECTORY = "snapshots"
#: Of one that isn't whole yet.
_UNFINISHED = ".new"


class Snapshots:
    """Those of all environments of a node. A name inside is never followed: subvolumes are found by id."""

    def __init__(self, node: Node):
        self.node = node

    def path(self, environment_id: UUID, snapshot: UUID) -> Path:
        return self.node.volume(environment_id) / _DIRECTORY / str(snapshot)

    def there(self, environment_id: UUID) -> list[UUID]:
        """Those that exist, in no order; empty when there is no such environment."""
        return [UUID(one.name) for one in self._entries(environment_id) if _is_id(one.name)]

    def missing(self, spec: EnvironmentSpec) -> list[UUID]:
        """Those that are wanted and were never made, oldest first. One that was made once and is gone isn't
        made again: it would show another moment."""
        if not spec.snapshots:
            return []
        known = {*self._known(spec.id), *self.there(spec.id)}
        return [one for one in spec.snapshots if one not in known]

    def lost(self, spec: EnvironmentSpec) -> list[UUID]:
        """Those that were made once, are still wanted, and are gone."""
        there = set(self.there(spec.id))
        return [one for one in self._known(spec.id) if one in spec.snapshots and one not in there]

    def surplus(self, spec: EnvironmentSpec) -> list[UUID]:
        """Those that are there and not wanted."""
        return [one for one in self.there(spec.id) if one not in spec.snapshots]

    def room_bytes(self, environment_id: UUID) -> int:
        """What one of its root takes at first. Raises `RuntimeFault` when there is too much nested in it."""
        nested = len(btrfs.nested_subvolumes(self.node.root_volume(environment_id)))
        if nested > MOST_NESTED:
            raise too_many_nested()
        return (nested + 1) * ROOM_BYTES

    def make(self, spec: EnvironmentSpec, snapshot: UUID, group: int) -> None:
        """One of the root as it is now, charged to the quota group. The caller has left room for it."""
        root, path = self.node.root_volume(spec.id), self.path(spec.id, snapshot)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        unfinished = path.with_name(path.name + _UNFINISHED)
        try:
            btrfs.delete_subvolume(unfinished)
            btrfs.snapshot_all(root, unfinished, qgroups=[group], most=MOST_NESTED)
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
        self._note(spec.id, [*self._known(spec.id), snapshot])

    def keep(self, spec: EnvironmentSpec) -> Said | None:
        """Takes away what isn't wanted any more, finished or not; what was done, for people."""
        gone = self.surplus(spec)
        for entry in self._entries(spec.id):
            if not _is_id(entry.name) or UUID(entry.name) in gone:
                self._delete(entry)
        known = self._known(spec.id)
        kept = [one for one in known if one in spec.snapshots]
        if kept != known:
            self._note(spec.id, kept)
        return steps.snapshots_deleted(len(gone)) if gone else None

    def remove(self, environment_id: UUID) -> int:
        """All of them; how many subvolumes that were. A no-op when there are none."""
        deleted = sum(self._delete(entry) for entry in self._entries(environment_id))
        with suppress(FileNotFoundError):
            (self.node.volume(environment_id) / _DIRECTORY).rmdir()
        self._noted(environment_id).unlink(missing_ok=True)
        return deleted

    def _delete(self, path: Path) -> int:
        try:
            return btrfs.delete_subvolume(path)
        except OSError as error:
            raise RuntimeFault(
                refusals.snapshot_not_deleted(str(error.strerror)), code="volume_busy"
            ) from error

    def _entries(self, environment_id: UUID) -> Iterator[Path]:
        with suppress(FileNotFoundError, NotADirectoryError):
            yield from list((self.node.volume(environment_id) / _DIRECTORY).iterdir())

    def _noted(self, environment_id: UUID) -> Path:
        """Names the snapshots that were once whole, so that one that was lost is told and not made anew."""
        return self.node.environment(environment_id) / "snapshots"

    def _known(self, environment_id: UUID) -> list[UUID]:
        with suppress(OSError, ValueError):
            return [UUID(line) for line in self._noted(environment_id).read_text().split()]
        return []

    def _note(self, environment_id: UUID, ids: list[UUID]) -> None:
        replace_file(self._noted(environment_id), "".join(f"{one}\n" for one in ids))


def too_many_nested() -> RuntimeFault:
    """For a root with more subvolumes than are taken."""
    return RuntimeFault(
        refusals.too_many_subvolumes(MOST_NESTED),
        code="too_many_subvolumes",
        next_step=advice.delete_subvolumes_inside(),
        retryable=False,
    )


def _is_id(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True
