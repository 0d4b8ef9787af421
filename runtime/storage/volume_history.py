"""What a volume was: its snapshots made and deleted, and the volume put back to one.

A snapshot belongs to the volume's quota group. What the volume rewrites or deletes afterwards stays there, and
counts as the volume's.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from runtime.contract import SnapshotMeasured, VolumeMeasured
from runtime.contract.words import advice
from runtime.contract.words import volumes as words
from runtime.errors import RuntimeFault
from runtime.host import btrfs, libc
from runtime.node import Node
from runtime.storage.shelves import ROOM_BYTES, Shelf, room_bytes
from runtime.storage.volumes import MIB, Volumes, lost, number_of

#: On the top of a volume that was put back: by whom. Nobody inside sees or sets trusted.*: xattr(7).
_PUT_BACK_BY = "trusted.wadah.put-back"
#: In which the extents of all snapshots of a volume are counted; 111,000 of them take a third of a second.
_MEASURE_WITHIN_S = 20.0


@dataclass(frozen=True)
class VolumeHistory:
    node: Node
    volume_id: UUID
    size_mb: int
    """MiB that the volume is held to."""

    @property
    def _volumes(self) -> Volumes:
        return Volumes(self.node)

    @property
    def _shelf(self) -> Shelf:
        return self._volumes.shelf(self.volume_id)

    @property
    def _group(self) -> int:
        return self._volumes.group(self.volume_id)

    def take(self, snapshot: UUID) -> None:
        """One of the volume as it is now, in use or not; a no-op when it is there. Raises `RuntimeFault`."""
        if snapshot in self._shelf.there():
            return
        source = self._source()
        with self._volumes.room(self.volume_id, self.size_mb, room_bytes(source)):
            self._shelf.make(source, snapshot, self._group)

    def delete(self, *snapshots: UUID) -> int:
        """How many were there. What they alone held comes back a little later. Raises `RuntimeFault`."""
        there = [one for one in snapshots if one in self._shelf.there()]
        if there and self._volumes.is_there(self.volume_id):
            with self._volumes.room(self.volume_id, self.size_mb, ROOM_BYTES):
                for one in there:
                    self._shelf.delete(one)
        return len(there)

    def snapshot(self, snapshot: UUID) -> Path:
        """Where one lies. Raises `RuntimeFault` (`snapshot_missing`)."""
        path = self._shelf.path(snapshot)
        if not btrfs.is_subvolume(path):
            raise RuntimeFault(
                words.snapshot_not_there(),
                code="snapshot_missing",
                next_step=advice.choose_another_one(),
                retryable=False,
            )
        return path

    def put_back(self, snapshot: UUID, by: UUID, is_held: Callable[[UUID], bool]) -> None:
        """The volume is what the snapshot has; a no-op for a job that has done it. Raises `RuntimeFault`
        (`volume_held`)."""
        fresh = self._volumes.fresh(self.volume_id)
        if self.is_put_back_by(by):
            btrfs.delete_subvolume(fresh)
            return
        source = self.snapshot(snapshot)
        self._source()
        btrfs.delete_subvolume(fresh)
        with self._volumes.room(self.volume_id, self.size_mb, room_bytes(source)):
            try:
                btrfs.copy_all(source, fresh, qgroups=[self._group])
            except OSError as error:
                raise RuntimeFault(words.not_restored(str(error.strerror)), code="restore_failed") from error
            self.exchange(by, is_held)

    def begin_fetch(self, tenant_id: UUID, *, in_place: bool) -> tuple[Path, int]:
        """An empty tree beside the volume, for what is to take its place, and the number of its quota group: it
        is the tenant's until then, and held to the volume's size."""
        self._source()
        fresh, store = self._volumes.fresh(self.volume_id), self.node.store
        btrfs.delete_subvolume(fresh)
        btrfs.create_subvolume(fresh, [btrfs.qgroup_id(2, number_of(tenant_id))])
        if in_place:
            btrfs.write_in_place(fresh)
        fresh.chmod(0o755)
        tree = btrfs.subvolume_id(fresh)
        btrfs.limit_qgroup(store, btrfs.qgroup_id(0, tree), self.size_mb * MIB)
        return fresh, tree

    def end_fetch(self, tenant_id: UUID, by: UUID, is_held: Callable[[UUID], bool]) -> None:
        """What came is the volume from here on, and its to pay; a no-op for a job that has done it."""
        fresh, store = self._volumes.fresh(self.volume_id), self.node.store
        if self.is_put_back_by(by):
            btrfs.delete_subvolume(fresh)
            return
        own = btrfs.qgroup_id(0, btrfs.subvolume_id(fresh))
        btrfs.sync(fresh)
        btrfs.limit_qgroup(store, own, None)
        btrfs.unassign_qgroup(store, own, btrfs.qgroup_id(2, number_of(tenant_id)))
        btrfs.assign_qgroup(store, own, self._group)
        held = self._volumes.used_bytes(self.volume_id)
        with self._volumes.room(self.volume_id, self.size_mb, ROOM_BYTES + held):
            self.exchange(by, is_held)

    def exchange(self, by: UUID, is_held: Callable[[UUID], bool]) -> None:
        """What was made beside the volume (`Volumes.fresh`) is the volume from here on, at one stroke, and what
        it was goes. Raises `RuntimeFault` (`volume_held`)."""
        fresh, path = self._volumes.fresh(self.volume_id), self._volumes.path(self.volume_id)
        os.setxattr(fresh, _PUT_BACK_BY, str(by).encode())
        btrfs.sync(fresh)
        if is_held(self.volume_id):
            raise RuntimeFault(words.still_attached(), code="volume_held", next_step=words.detach_first())
        libc.exchange(str(fresh), str(path))
        with suppress(OSError):  # it is done: what is left goes with the next one, or with the volume
            btrfs.delete_subvolume(fresh)

    def undo(self, by: UUID, before: UUID | None) -> None:
        """What a job that put it back did is taken back, wherever it was cut off; with it the snapshot `before`
        that it made."""
        if not self._volumes.is_there(self.volume_id):
            return
        fresh, path = self._volumes.fresh(self.volume_id), self._volumes.path(self.volume_id)
        with self._volumes.room(self.volume_id, self.size_mb, room_bytes(path) + ROOM_BYTES):
            if self.is_put_back_by(by):
                if before is not None and before in self._shelf.there():
                    btrfs.delete_subvolume(fresh)
                    btrfs.copy_all(self._shelf.path(before), fresh, qgroups=[self._group])
                if btrfs.is_subvolume(fresh):
                    libc.exchange(str(fresh), str(path))
            btrfs.delete_subvolume(fresh)
        if before is not None:
            self.delete(before)

    def is_put_back_by(self, by: UUID) -> bool:
        return _mark(self._volumes.path(self.volume_id)) == by

    def _source(self) -> Path:
        if not self._volumes.is_there(self.volume_id):
            raise lost()
        return self._volumes.path(self.volume_id)

    def measured(self) -> VolumeMeasured | None:
        """What each snapshot holds; None where there is too much to count."""
        there = self._shelf.there()
        until = time.monotonic() + _MEASURE_WITHIN_S
        try:
            trees = [
                btrfs.extents(path, until - time.monotonic())
                for path in (self._volumes.path(self.volume_id), *map(self._shelf.path, there))
            ]
        except (OSError, btrfs.TooLong):
            return None
        holders: dict[int, int] = {}
        for tree in trees:
            for address in tree:
                holders[address] = holders.get(address, 0) + 1
        return VolumeMeasured(
            snapshots=tuple(
                SnapshotMeasured(
                    snapshot=one,
                    bytes=sum(tree.values()),
                    own_bytes=sum(length for address, length in tree.items() if holders[address] == 1),
                )
                for one, tree in zip(there, trees[1:], strict=True)
            )
        )


def _mark(tree: Path) -> UUID | None:
    with suppress(OSError, ValueError):
        return UUID(os.getxattr(tree, _PUT_BACK_BY).decode())
    return None


def refuse_below(source: Path, size_mb: int) -> None:
    """Raises `RuntimeFault` (`below_used`) for a volume of that size that is to have what the snapshot has."""
    with suppress(btrfs.TooLong):
        needed = sum(btrfs.extents(source, _MEASURE_WITHIN_S).values())
        if needed > size_mb * MIB:
            raise RuntimeFault(
                words.snapshot_larger(size_mb, -(-needed // MIB)),
                code="below_used",
                next_step=words.choose_a_larger_size(),
                retryable=False,
            )
