"""The root volume: a btrfs snapshot of an image, with a quota that nested subvolumes can't escape.

The VE's own level-1 group carries the limit, since a subvolume that root inside makes joins the
groups *above* the one it is made in. That group is a child of the tenant's level-2 group.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.errors import RuntimeFault
from runtime.host import btrfs
from runtime.resources.base import Found, Resource

MIB = 2**20
#: Left free in the pool for metadata before a new root volume is made.
RESERVE_BYTES = 256 * MIB
OLD_ROOT = "old"


class RootVolume(Resource):
    name = "root volume"
    lifetime = "environment"

    @staticmethod
    def number(owner: UUID) -> int:
        """Number of the quota group: the first 48 bits of the id."""
        return int.from_bytes(owner.bytes[:6], "big") or 1

    @cached_property
    def quotas(self) -> btrfs.QuotaTable:
        return btrfs.QuotaTable(btrfs.file_system_uuid(self.node.store))

    def check(self, spec: EnvironmentSpec) -> None:
        used = self.used_bytes(spec.id)
        if used > spec.limits.disk_mb * MIB:
            raise RuntimeFault(
                f"disk: {spec.limits.disk_mb} MiB is below the {-(-used // MIB)} MiB in use",
                code="below_used",
                next_step="Delete files inside, or choose a larger disk.",
                retryable=False,
            )
        if not self.node.root_volume(spec.id).exists():
            self._check_pool(spec)

    def _check_pool(self, spec: EnvironmentSpec) -> None:
        if not self.node.image(spec.image).is_dir():
            raise RuntimeFault(
                f"image: {spec.image} is not on this node",
                code="image_missing",
                next_step="Build it on the images page, or choose another.",
            )
        free = shutil.disk_usage(self.node.store).free
        if free < RESERVE_BYTES:
            raise RuntimeFault(
                f"the pool is full: {free // MIB} MiB free, {RESERVE_BYTES // MIB} MiB are kept as reserve",
                code="pool_full",
                next_step="Delete environments or images, or make the pool larger.",
            )

    def ensure(self, spec: EnvironmentSpec) -> str | None:
        group = btrfs.qgroup_id(1, self.number(spec.id))
        tenant = btrfs.qgroup_id(2, self.number(spec.tenant_id))
        self._limit(spec, group, tenant)
        root = self.node.root_volume(spec.id)
        retired = root.with_name("root.old")
        wanted = f"{spec.installs} {spec.image}"
        made = None
        if not root.exists() or self._installed(spec.id) not in (wanted, None):
            self._check_pool(spec)
            made = self._install(spec, root, retired, group, wanted)
        self._stamp(spec.id, wanted)
        if retired.exists():
            made = self._retire(root, retired, keep=spec.keep_old_root)
        return made

    def _install(self, spec: EnvironmentSpec, root: Path, retired: Path, group: int, wanted: str) -> str:
        """A new root in the place of the old. The stamp is written before the new root has its name, so
        that a crash at any line leaves either no root (made again) or the new one with the right stamp."""
        root.parent.mkdir(mode=0o711, exist_ok=True)
        fresh = root.with_name("root.new")
        self._delete_tree(fresh)
        try:
            btrfs.snapshot(self.node.image(spec.image), fresh, qgroups=[group])
        except OSError as error:
            raise RuntimeFault(
                f"the root volume can't be made: {error.strerror}", code="volume_failed"
            ) from error
        if root.exists():
            self._delete_tree(retired)
            root.rename(retired)
        self._stamp(spec.id, wanted)
        fresh.rename(root)
        return "snapshot of " + spec.image

    def _retire(self, root: Path, retired: Path, *, keep: bool) -> str:
        if not keep:
            self._delete_tree(retired)
            return "reinstalled"
        below = root / OLD_ROOT
        if os.path.lexists(below):  # an image may hold a link of this name
            below.rename(root / f"{OLD_ROOT}.image")
        btrfs.set_readonly(retired, False)  # its owner may have set it: what is read-only isn't moved
        retired.rename(below)
        return "reinstalled, old tree under /old"

    def _limit(self, spec: EnvironmentSpec, group: int, tenant: int) -> None:
        quotas, store = self.quotas, self.node.store
        number = self.number(spec.id)
        if quotas.used_bytes(2, self.number(spec.tenant_id)) is None:
            btrfs.create_qgroup(store, tenant)
        if quotas.used_bytes(1, number) is None:
            btrfs.create_qgroup(store, group)
            btrfs.assign_qgroup(store, group, tenant)
        wanted = spec.limits.disk_mb * MIB
        if quotas.limit_bytes(1, number) != wanted:
            btrfs.limit_qgroup(store, group, wanted)
        envelope = spec.envelope.disk_mb * MIB if spec.envelope.disk_mb else None
        if quotas.limit_bytes(2, self.number(spec.tenant_id)) != envelope:
            btrfs.limit_qgroup(store, tenant, envelope)

    def _stamp_file(self, environment_id: UUID) -> Path:
        return self.node.environment(environment_id) / "installed"

    def _installed(self, environment_id: UUID) -> str | None:
        with suppress(OSError):
            return self._stamp_file(environment_id).read_text()
        return None

    def _stamp(self, environment_id: UUID, wanted: str) -> None:
        if self._installed(environment_id) != wanted:
            file = self._stamp_file(environment_id)
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = file.with_suffix(".new")
            temporary.write_text(wanted)
            temporary.rename(file)

    def _delete_tree(self, path: Path) -> int:
        try:
            return btrfs.delete_subvolume(path)
        except OSError as error:
            raise RuntimeFault(
                f"the root volume can't be deleted: {error.strerror}", code="volume_busy"
            ) from error

    def remove(self, environment_id: UUID) -> str | None:
        """Gone for the user at once; the kernel gives the space back a little later."""
        directory = self.node.volume(environment_id)
        number = self.number(environment_id)
        group = btrfs.qgroup_id(1, number)
        deleted = 0
        if self.quotas.used_bytes(1, number) is not None:
            # at its limit a group refuses even the deletion of a subvolume
            btrfs.limit_qgroup(self.node.store, group, None)
            for tenant in self.quotas.numbers(2):
                btrfs.unassign_qgroup(self.node.store, group, btrfs.qgroup_id(2, tenant))
        if directory.is_dir():
            for name in ("root.new", "root", "root.old"):
                deleted += self._delete_tree(directory / name)
            directory.rmdir()
        self._stamp_file(environment_id).unlink(missing_ok=True)
        btrfs.delete_qgroup(self.node.store, group)
        return f"{deleted} subvolumes" if deleted > 1 else None

    def sweep(self) -> int:
        """Removes quota groups that nothing belongs to any more, now that their space is cleaned; how many."""
        wanted = {self.number(one) for one in self._owners()}
        swept = 0
        for number in self.quotas.numbers(0):
            # of a subvolume that was deleted while snapshots held its extents: even an empty one uses some
            if self.quotas.used_bytes(0, number) == 0:
                swept += btrfs.delete_qgroup(self.node.store, btrfs.qgroup_id(0, number))
        for number in self.quotas.numbers(1):
            if number not in wanted and not self.quotas.used_bytes(1, number):
                swept += btrfs.delete_qgroup(self.node.store, btrfs.qgroup_id(1, number))
        return swept

    def used_bytes(self, environment_id: UUID) -> int:
        """Bytes that the VE holds itself, nested subvolumes included; what it shares with its image is free."""
        return self.quotas.used_bytes(1, self.number(environment_id)) or 0

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        root = self.node.root_volume(environment_id)
        if not btrfs.is_subvolume(root):
            return None
        number = self.number(environment_id)
        return {
            "subvolume": btrfs.subvolume_id(root),
            "nested": len(btrfs.nested_subvolumes(root)),
            "qgroup": f"1/{number}",
            "used_bytes": self.quotas.used_bytes(1, number),
            "limit_bytes": self.quotas.limit_bytes(1, number),
        }

    def _owners(self) -> list[UUID]:
        found = []
        for entry in (self.node.store / "environments").iterdir():
            with suppress(ValueError):
                found.append(UUID(entry.name))
        return found

    def inventory(self) -> Iterable[Found]:
        for entry in (self.node.store / "environments").iterdir():
            try:
                owner: UUID | None = UUID(entry.name)
            except ValueError:
                owner = None
            yield Found(self.name, owner, entry.name)

    def drifted(self, spec: EnvironmentSpec) -> str | None:
        if not btrfs.is_subvolume(self.node.root_volume(spec.id)):
            return "its root volume is gone"
        if self.quotas.limit_bytes(1, self.number(spec.id)) != spec.limits.disk_mb * MIB:
            return "its disk limit was changed"
        return None
