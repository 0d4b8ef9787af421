"""Volumes of a node: subvolumes of the pool that belong to a tenant and to no environment.

Each has a quota group of its own with its size as the limit, inside its tenant's: subvolumes made on it join
that group too. On disk the files have the ids that environments see.
"""

import os
from collections.abc import Callable
from contextlib import suppress
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

    def is_there(self, volume_id: UUID) -> bool:
        return btrfs.is_subvolume(self.path(volume_id))

    def used_bytes(self, volume_id: UUID) -> int:
        """0 when there is no such volume."""
        return self.quotas.used_bytes(1, number_of(volume_id)) or 0

    def keep(
        self, volume_id: UUID, tenant_id: UUID, size_mb: int, *, is_new: bool, in_place: bool = False
    ) -> None:
        """Has it there with that size; a no-op when it is so. With `in_place` what is made is written without
        copies. Raises `RuntimeFault` (`volume_lost`,
        `below_used`, `pool_full`)."""
        is_there = self.is_there(volume_id)
        if not is_there and not is_new:
            raise RuntimeFault(words.lost(), code="volume_lost", next_step=words.look_for_it(), retryable=False)
        used = self.used_bytes(volume_id)
        if used > size_mb * MIB:
            raise RuntimeFault(
                words.below_used(size_mb, -(-used // MIB)), code="below_used", next_step=words.delete_files()
            )
        group = btrfs.qgroup_id(1, number_of(volume_id))
        if is_there:
            btrfs.limit_qgroup(self.node.store, group, size_mb * MIB)
            return
        self._refuse_full_pool()
        with exclusive(self.node, "quota"):  # until something is in the groups, they look like left ones
            self._make_groups(group, btrfs.qgroup_id(2, number_of(tenant_id)))
            btrfs.limit_qgroup(self.node.store, group, size_mb * MIB)
            self._make(self.path(volume_id), group, in_place=in_place)

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

    def _make(self, path: Path, group: int, *, in_place: bool) -> None:
        try:
            btrfs.create_subvolume(path, qgroups=[group])
            if in_place:
                btrfs.write_in_place(path)
            path.chmod(0o755)
        except OSError as error:
            raise RuntimeFault(
                words.not_made(str(error.strerror), self.node.free_space()), code="volume_failed"
            ) from error

    def drop(self, volume_id: UUID, *, is_held: Callable[[UUID], bool] = lambda _: False) -> None:
        """Gone with all that is on it; a no-op when it is. The kernel gives the space back a little later, and
        until then the tenant's group has it. Raises `RuntimeFault` (`volume_held`)."""
        if is_held(volume_id):
            raise RuntimeFault(words.still_attached(), code="volume_held", next_step=words.detach_first())
        group = btrfs.qgroup_id(1, number_of(volume_id))
        has_group = self.quotas.used_bytes(1, number_of(volume_id)) is not None
        if has_group:  # at its limit it refuses even the deletion of a subvolume
            btrfs.limit_qgroup(self.node.store, group, None)
        try:
            btrfs.delete_subvolume(self.path(volume_id))
        except OSError as error:
            raise RuntimeFault(words.not_deleted(str(error.strerror)), code="volume_busy") from error
        if has_group:
            room = self.used_bytes(volume_id) + _LAST_ROOM_BYTES
            btrfs.limit_qgroup(self.node.store, group, room)
            btrfs.delete_qgroup(self.node.store, group)
