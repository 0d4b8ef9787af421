"""Snapshots of an environment: read-only copies of its whole root, subvolumes made inside included."""

from contextlib import suppress
from pathlib import Path
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.contract.said import Said
from runtime.contract.words import steps
from runtime.files import replace_file
from runtime.node import Node
from runtime.storage.shelves import Shelf, room_bytes

_DIRECTORY = "snapshots"


class Snapshots:
    """Those of all environments of a node."""

    def __init__(self, node: Node):
        self.node = node

    def _shelf(self, environment_id: UUID) -> Shelf:
        return Shelf(self.node.volume(environment_id) / _DIRECTORY)

    def path(self, environment_id: UUID, snapshot: UUID) -> Path:
        return self._shelf(environment_id).path(snapshot)

    def there(self, environment_id: UUID) -> list[UUID]:
        """Those that exist, in no order; empty when there is no such environment."""
        return self._shelf(environment_id).there()

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
        return room_bytes(self.node.root_volume(environment_id))

    def make(self, spec: EnvironmentSpec, snapshot: UUID, group: int) -> None:
        """One of the root as it is now, charged to the quota group. The caller has left room for it."""
        self._shelf(spec.id).make(self.node.root_volume(spec.id), snapshot, group)
        self._note(spec.id, [*self._known(spec.id), snapshot])

    def give_up(self, spec: EnvironmentSpec) -> None:
        """The root that they were to be of was lost: they count as lost too, and aren't made of another one."""
        if missing := self.missing(spec):
            self._note(spec.id, [*self._known(spec.id), *missing])

    def keep(self, spec: EnvironmentSpec) -> Said | None:
        """Takes away what isn't wanted any more, finished or not; what was done, for people."""
        gone = self.surplus(spec)
        self._shelf(spec.id).clear(keep=frozenset(spec.snapshots))
        known = self._known(spec.id)
        kept = [one for one in known if one in spec.snapshots]
        if kept != known:
            self._note(spec.id, kept)
        return steps.snapshots_deleted(len(gone)) if gone else None

    def remove(self, environment_id: UUID) -> int:
        """All of them; how many subvolumes that were. A no-op when there are none."""
        deleted = self._shelf(environment_id).remove()
        self._noted(environment_id).unlink(missing_ok=True)
        return deleted

    def _noted(self, environment_id: UUID) -> Path:
        """Names the snapshots that were once whole, so that one that was lost is told and not made anew."""
        return self.node.environment(environment_id) / "snapshots"

    def _known(self, environment_id: UUID) -> list[UUID]:
        with suppress(OSError, ValueError):
            return [UUID(line) for line in self._noted(environment_id).read_text().split()]
        return []

    def _note(self, environment_id: UUID, ids: list[UUID]) -> None:
        replace_file(self._noted(environment_id), "".join(f"{one}\n" for one in ids))
