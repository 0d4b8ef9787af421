"""Volumes of a node: subvolumes of the pool that belong to a tenant and to no environment.

Each has a quota group of its own with its size as the limit, inside its tenant's: subvolumes made on it join
that group too. On disk the files have the ids that environments see.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from uuid import UUID

from runtime.contract.words import advice, refusals
from runtime.contract.words import volumes as words
from runtime.errors import RuntimeFault
from runtime.files import exclusive
from runtime.host import btrfs
from runtime.node import Node
from runtime.storage.shelves import Shelf

MIB = 2**20
#: Left free in the pool, as before a new root.
RESERVE_BYTES = 256 * MIB
#: What is still open somewhere when its volume is deleted may grow by so much, and no more.
_LAST_ROOM_BYTES = MIB


def number_of(owner: UUID) -> int:
    """Number of a quota group: the first 48 bits of the id of whose it is."""
    return int.from_bytes(owner.bytes[:6], "big") or 1


@dataclass(frozen=True)
class Volumes:
    node: Node

    @cached_property
    def quotas(self) -> btrfs.QuotaTable:
        return btrfs.QuotaTable(btrfs.file_system_uuid(self.node.store))

    def there(self) -> list[UUID]:
        """All of this node."""
        found = []
        with suppress(FileNotFoundError):
            for entry in self.node.volumes.iterdir():
                with suppress(ValueError):
                    found.append(UUID(entry.name))
        return found

    def path(self, volume_id: UUID) -> Path:
        return self.node.volumes / str(volume_id)

    def fresh(self, volume_id: UUID) -> Path:
        """Where a tree is made that is to take its place, or to become it."""
        return self.node.volumes / f"{volume_id}.new"

    def shelf(self, volume_id: UUID) -> Shelf:
        """Its snapshots: beside it, where nothing that has it mounted comes to."""
        return Shelf(self.node.volumes / f"{volume_id}.snapshots")

    def group(self, volume_id: UUID) -> int:
        return btrfs.qgroup_id(1, number_of(volume_id))

    @contextmanager
    def room(self, volume_id: UUID, size_mb: int, more_bytes: int) -> Iterator[None]:
        """For a while it may hold more than its size: one that is full takes a snapshot too, and loses one."""
        group = self.group(volume_id)
        btrfs.limit_qgroup(self.node.store, group, size_mb * MIB + more_bytes)
        try:
            yield
        finally:
            btrfs.limit_qgroup(self.node.store, group, size_mb * MIB)

    def is_there(self, volume_id: UUID) -> bool:
        return btrfs.is_subvolume(self.path(volume_id))

    def used_bytes(self, volume_id: UUID) -> int:
        """0 when there is no such volume."""
        return self.quotas.used_bytes(1, number_of(volume_id)) or 0

    def keep(
        self,
        volume_id: UUID,
        tenant_id: UUID,
        size_mb: int,
        *,
        is_new: bool,
        in_place: bool = False,
        source: Path | None = None,
    ) -> None:
        """Has it there with that size; a no-op when it is so. With `in_place` what is made is written without
        copies. A new one has what is in `source`, a snapshot; None: nothing. Raises `RuntimeFault`
        (`volume_lost`, `below_used`, `pool_full`)."""
        is_there = self.is_there(volume_id)
        if not is_there and not is_new:
            raise lost()
        used = self.used_bytes(volume_id)
        if is_there and used > size_mb * MIB:
            raise RuntimeFault(
                words.below_used(size_mb, -(-used // MIB)), code="below_used", next_step=words.delete_files()
            )
        group = self.group(volume_id)
        if is_there:
            btrfs.limit_qgroup(self.node.store, group, size_mb * MIB)
            return
        self.begin(volume_id, tenant_id, size_mb, in_place=in_place, source=source)
        self.publish(volume_id)

    def begin(
        self, volume_id: UUID, tenant_id: UUID, size_mb: int, *, in_place: bool, source: Path | None = None
    ) -> None:
        """Its tree, held to that size, where nobody sees it yet (`fresh`)."""
        self._refuse_full_pool()
        group, fresh = self.group(volume_id), self.fresh(volume_id)
        btrfs.delete_subvolume(fresh)
        with exclusive(self.node, "quota"):  # until something is in the groups, they look like left ones
            self._make_groups(group, btrfs.qgroup_id(2, number_of(tenant_id)))
            btrfs.limit_qgroup(self.node.store, group, size_mb * MIB)
            self._make(fresh, group, in_place=in_place, source=source)

    def publish(self, volume_id: UUID) -> None:
        """What was begun is the volume from now on."""
        self.fresh(volume_id).rename(self.path(volume_id))

    def _refuse_full_pool(self) -> None:
        seen = os.statvfs(self.node.store)
        free = seen.f_bavail * seen.f_frsize
        if free < RESERVE_BYTES:
            raise RuntimeFault(
                refusals.pool_full(free // MIB, reserve=RESERVE_BYTES // MIB),
                code="pool_full",
                next_step=advice.enlarge_the_pool(),
            )

    def _make_groups(self, group: int, tenant: int) -> None:
        for one in (tenant, group):
            btrfs.create_qgroup(self.node.store, one)
        btrfs.assign_qgroup(self.node.store, group, tenant)

    def _make(self, path: Path, group: int, *, in_place: bool, source: Path | None) -> None:
        try:
            if source is not None:
                btrfs.copy_all(source, path, qgroups=[group])
                return
            btrfs.create_subvolume(path, qgroups=[group])
            if in_place:
                btrfs.write_in_place(path)
            path.chmod(0o755)
        except OSError as error:
            raise RuntimeFault(
                words.not_made(str(error.strerror), self.node.free_space()), code="volume_failed"
            ) from error

    def drop(self, volume_id: UUID, *, is_held: Callable[[UUID], bool] = lambda _: False) -> None:
        """Gone with all that is on it, and its snapshots; a no-op when it is. The kernel gives the space back a
        little later, and until then, as what others share with it, it is the tenant's: its group stays in that
        one's. Raises `RuntimeFault` (`volume_held`)."""
        if is_held(volume_id):
            raise RuntimeFault(words.still_attached(), code="volume_held", next_step=words.detach_first())
        group = btrfs.qgroup_id(1, number_of(volume_id))
        has_group = self.quotas.used_bytes(1, number_of(volume_id)) is not None
        if has_group:  # at its limit it refuses even the deletion of a subvolume
            btrfs.limit_qgroup(self.node.store, group, None)
        try:
            for one in (self.fresh(volume_id), self.path(volume_id)):
                btrfs.delete_subvolume(one)
            self.shelf(volume_id).remove()
        except OSError as error:
            raise RuntimeFault(words.not_deleted(str(error.strerror)), code="volume_busy") from error
        if has_group:
            room = self.used_bytes(volume_id) + _LAST_ROOM_BYTES
            btrfs.limit_qgroup(self.node.store, group, room)
            btrfs.delete_qgroup(self.node.store, group)


def lost() -> RuntimeFault:
    return RuntimeFault(words.lost(), code="volume_lost", next_step=words.look_for_it(), retryable=False)
