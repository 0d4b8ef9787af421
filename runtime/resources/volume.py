"""The root volume: a btrfs snapshot of an image, with a quota that nested subvolumes can't escape.

The VE's own level-1 group carries the limit, since a subvolume that root inside makes joins the
groups *above* the one it is made in. That group is a child of the tenant's level-2 group.
"""

import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.backups.fetched import Fetched
from runtime.contract import Base, EnvironmentSpec, Origin
from runtime.contract.said import Said
from runtime.contract.words import advice, backups, drift, jails, refusals, steps
from runtime.errors import RuntimeFault
from runtime.files import exclusive, replace_file
from runtime.glance import Glance
from runtime.host import btrfs
from runtime.images.directory.profiles import DirectoryTrees
from runtime.images.oci.library import Library
from runtime.known import known_environments
from runtime.resources.base import Found, Resource
from runtime.resources.guest import NOTE
from runtime.storage.base_update import bring_to, refuse_missing
from runtime.storage.bases import Bases
from runtime.storage.snapshots import Snapshots
from runtime.storage.volumes import Volumes, number_of

MIB = 2**20
#: Left free in the pool for metadata before a new root volume is made.
RESERVE_BYTES = 256 * MIB
#: Subvolumes that root inside may have, with the option `nesting`: each holds some 4 KiB of the kernel's memory
#: that nobody is charged for. Who has more gets no further room on his disk until he has fewer, so makes none.
MOST_SUBVOLUMES = 4096
#: Left to him all the same, once, to delete in: a group at its very limit refuses that too.
CROWDED_ROOM_BYTES = 64 * MIB
OLD_ROOT = "old"
#: What was installed, on the root's own top directory. Root inside neither sees nor sets trusted.*: xattr(7).
STAMP = "trusted.wadah.installed"
#: On the directory of a volume: another root was made from one of its snapshots.
CLONED = "trusted.wadah.cloned"


class RootVolume(Resource):
    name = "root volume"
    lifetime = "environment"

    @staticmethod
    def number(owner: UUID) -> int:
        """Number of the quota group: the first 48 bits of the id."""
        return number_of(owner)

    @cached_property
    def snapshots(self) -> Snapshots:
        return Snapshots(self.node)

    @cached_property
    def quotas(self) -> btrfs.QuotaTable:
        return btrfs.QuotaTable(btrfs.file_system_uuid(self.node.store))

    def check(self, spec: EnvironmentSpec) -> None:
        used = self.used_bytes(spec.id)
        if used > spec.limits.disk_mb * MIB:
            raise RuntimeFault(
                refusals.disk_below_used(spec.limits.disk_mb, used=-(-used // MIB)),
                code="below_used",
                next_step=advice.delete_files_inside(),
            )
        root = self.node.root_volume(spec.id)
        if spec.jail is not None and root.exists():
            refuse_missing(Bases(self.node), root, spec.jail.build)
        if not root.exists() or _stamp(root) not in (_stamp_of(spec), None):
            self._check_pool(spec)

    def waits(self, spec: EnvironmentSpec) -> bool:
        """A snapshot is of what is on the disk: first the kernel writes what the environment has not, as slowly
        as its limits of the disk's rate say."""
        return bool(self.snapshots.missing(spec)) and self.node.root_volume(spec.id).exists()

    def _check_pool(self, spec: EnvironmentSpec) -> None:
        if spec.origin is not None:
            if not self._source(spec).is_dir():
                raise RuntimeFault(
                    backups.backup_not_there() if spec.origin.backup else refusals.snapshot_missing(),
                    code="snapshot_missing",
                    next_step=advice.choose_another_one(),
                    retryable=False,
                )
        elif not self._has_image(spec):
            raise RuntimeFault(
                refusals.image_missing(spec.made_from),
                code="image_missing",
                next_step=advice.build_the_image(),
            )
        free = self._free_bytes()
        if free < RESERVE_BYTES:
            raise RuntimeFault(
                refusals.pool_full(free // MIB, reserve=RESERVE_BYTES // MIB),
                code="pool_full",
                next_step=advice.enlarge_the_pool(),
            )

    def _free_bytes(self) -> int:
        """What was deleted a moment ago counts as free: the kernel gives it back with its next commit, which
        comes by itself only every 30 s (btrfs(5), `commit`)."""
        for _ in range(5):
            free = shutil.disk_usage(self.node.store).free
            if free >= RESERVE_BYTES:
                break
            btrfs.sync(self.node.store)
            time.sleep(0.2)
        return free

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        root = self.node.root_volume(spec.id)
        retired = root.with_name("root.old")
        wanted = _stamp_of(spec)
        made = self._make_snapshots(spec) if spec.snapshots else None
        self._limit(spec, extra_bytes=self.used_bytes(spec.id) if retired.exists() else 0)
        if root.exists() and _stamp(root) in (wanted, None):
            return self._based(spec, root) or made
        if retired.exists() and _stamp(retired) == wanted:
            # back to what stood before a reinstall that didn't come to its end
            self._delete_tree(root)
            retired.rename(root)
            self._limit(spec)
            return steps.old_root_is_back()
        if not root.exists() and not retired.exists() and self._known(spec.id) == wanted:
            raise RuntimeFault(
                refusals.root_lost(),
                code="root_lost",
                next_step=advice.look_for_the_root(),
                retryable=False,
            )
        self._check_pool(spec)
        if not root.exists() and not retired.exists() and self._known(spec.id):
            self.snapshots.give_up(spec)
        said = self._install(spec, root, retired, wanted)
        return self._based(spec, root) or said

    def _based(self, spec: EnvironmentSpec, root: Path) -> Said | None:
        """A thin jail is of the base that it should be of."""
        if spec.jail is None or spec.jail.base is not Base.THIN:
            return None
        return bring_to(Bases(self.node), root, spec.jail.build)

    def _install(self, spec: EnvironmentSpec, root: Path, retired: Path, wanted: str) -> Said:
        """A new root in the place of the old, which is kept until all else stands (`settle`). Each root carries
        its own stamp, so that a crash between any two lines leaves something that tells what it is."""
        root.parent.mkdir(mode=0o711, exist_ok=True)
        fresh = root.with_name("root.new")
        self._delete_tree(fresh)
        group = btrfs.qgroup_id(1, self.number(spec.id))
        try:
            if spec.origin is None:
                btrfs.snapshot(self._template(spec), fresh, qgroups=[group])
            elif spec.origin.backup is not None:
                self._from_backup(spec, fresh, group)
            else:
                self._from_snapshot(spec, spec.origin, fresh, group)
            os.setxattr(fresh, STAMP, wanted.encode())
        except OSError as error:
            self._delete_tree(fresh)
            raise RuntimeFault(
                refusals.volume_not_made(str(error.strerror), self.node.free_space()), code="volume_failed"
            ) from error
        if root.exists():
            if retired.exists():  # what has the name is a reinstall's that was given up half-way
                self._delete_tree(root)
            else:
                root.rename(retired)
        fresh.rename(root)
        return (
            steps.snapshot(spec.made_from)
            if spec.origin is None
            else backups.from_a_backup()
            if spec.origin.backup is not None
            else steps.from_a_snapshot()
        )

    def _image(self, spec: EnvironmentSpec) -> Path:
        if spec.directory is not None:
            return DirectoryTrees(self.node).path(spec.directory)
        if spec.app is None:
            return self.node.image(spec.image)
        library = Library(self.node)
        chosen = library.chosen(spec.id)
        return library.tree(chosen.key if chosen is not None else ".none")

    def _has_image(self, spec: EnvironmentSpec) -> bool:
        return _begins_empty(spec) or self._image(spec).is_dir()

    def _template(self, spec: EnvironmentSpec) -> Path:
        """What a new root is a snapshot of: of a jail on a base, that base."""
        if spec.jail is None or spec.jail.base is Base.THICK:
            return self._image(spec)
        bases = Bases(self.node)
        return bases.path(bases.empty() if _begins_empty(spec) else bases.of_image(spec.image))

    def _source(self, spec: EnvironmentSpec) -> Path:
        if spec.origin is None:
            return self._image(spec)
        if spec.origin.backup is not None:
            return Fetched(self.node).path(spec.id, spec.origin.snapshot)
        return self.snapshots.path(spec.origin.environment_id, spec.origin.snapshot)

    def _from_snapshot(self, spec: EnvironmentSpec, origin: Origin, fresh: Path, group: int) -> None:
        """A root of its own from a snapshot. One of another environment's is a clone: it begins as a new one,
        with names and keys of its own. What both share is charged to the other, so that one stays in the
        tenant's sum, also when it is deleted, until nothing is shared any more (`remove`)."""
        btrfs.copy_all(self._source(spec), fresh, qgroups=[group])
        if origin.environment_id != spec.id:
            os.setxattr(self.node.volume(origin.environment_id), CLONED, b"1")
            with suppress(OSError):
                os.removexattr(fresh, NOTE)

    def _from_backup(self, spec: EnvironmentSpec, fresh: Path, group: int) -> None:
        """What came becomes the root as it is, and is charged to the environment from here on. In the place of
        another root it is the same environment, with its names and keys; else it begins as a new one."""
        came = self._source(spec)
        number = btrfs.subvolume_id(came)
        for tenant in self.groups_of_tenant(spec.tenant_id):
            btrfs.unassign_qgroup(self.node.store, btrfs.qgroup_id(0, number), tenant)
        btrfs.assign_qgroup(self.node.store, btrfs.qgroup_id(0, number), group)
        root = self.node.root_volume(spec.id)
        with suppress(OSError):
            os.setxattr(came, NOTE, os.getxattr(root, NOTE))
        came.rename(fresh)

    def groups_of_tenant(self, tenant_id: UUID) -> list[int]:
        """The quota group of all that it has on this node, made where there is none; in a list of one."""
        group = btrfs.qgroup_id(2, self.number(tenant_id))
        with exclusive(self.node, "quota"):
            if self.quotas.used_bytes(2, self.number(tenant_id)) is None:
                btrfs.create_qgroup(self.node.store, group)
        return [group]

    def _make_snapshots(self, spec: EnvironmentSpec) -> Said | None:
        """Those that are wanted and were never made, of the root as it is now. A full disk takes one too."""
        missing = self.snapshots.missing(spec)
        root = self.node.root_volume(spec.id)
        if not missing or not root.exists():
            return None
        self._limit(spec, extra_bytes=len(missing) * self.snapshots.room_bytes(spec.id))
        for one in missing:
            self.snapshots.make(spec, one, btrfs.qgroup_id(1, self.number(spec.id)))
        return steps.snapshots_made(len(missing)) if len(missing) > 1 else steps.snapshot_made()

    def settle(self, spec: EnvironmentSpec) -> Said | None:
        """The old root of a reinstall goes, or is found under /old from now on."""
        root = self.node.root_volume(spec.id)
        retired = root.with_name("root.old")
        if self._known(spec.id) != _stamp_of(spec):
            replace_file(self._note(spec.id), _stamp_of(spec))
        self._delete_tree(root.with_name("root.new"))
        if spec.origin is not None and spec.origin.backup is not None:
            Fetched(self.node).forget(spec.id)
        said = self.snapshots.keep(spec)
        if not retired.exists():
            return said
        said = self._retire(root, retired, keep=spec.keep_old_root)
        self._limit(spec)
        return said

    def _retire(self, root: Path, retired: Path, *, keep: bool) -> Said:
        if not keep:
            self._delete_tree(retired)
            return steps.old_root_is_deleted()
        below = root / OLD_ROOT
        if os.path.lexists(below):  # an image may hold a link of this name
            below.rename(root / f"{OLD_ROOT}.image")
        btrfs.set_readonly(retired, False)  # its owner may have set it: what is read-only isn't moved
        retired.rename(below)
        return steps.old_tree_is_kept()

    def _limit(self, spec: EnvironmentSpec, *, extra_bytes: int = 0) -> None:
        """The environment's group inside its tenant's, with their limits. `extra_bytes`: what an old root holds
        that is still kept, so that a full disk can be reinstalled."""
        quotas, store = self.quotas, self.node.store
        number = self.number(spec.id)
        group, tenant = btrfs.qgroup_id(1, number), btrfs.qgroup_id(2, self.number(spec.tenant_id))
        new = quotas.used_bytes(1, number) is None
        if new or not btrfs.is_subvolume(self.node.root_volume(spec.id)):
            # a crash may have come between the making and the joining of a group
            with exclusive(self.node, "quota"):
                if quotas.used_bytes(2, self.number(spec.tenant_id)) is None:
                    btrfs.create_qgroup(store, tenant)
                btrfs.create_qgroup(store, group)
                btrfs.assign_qgroup(store, group, tenant)
        wanted = self._bound(spec) + extra_bytes
        if quotas.limit_bytes(1, number) != wanted:
            btrfs.limit_qgroup(store, group, wanted)
        self._limit_tenant(spec)

    def _limit_tenant(self, spec: EnvironmentSpec) -> None:
        envelope, number = spec.envelope.disk_mb, self.number(spec.tenant_id)
        most = envelope * MIB if envelope else None
        if self.quotas.limit_bytes(2, number) != most:
            btrfs.limit_qgroup(self.node.store, btrfs.qgroup_id(2, number), most)

    def hold(self, specs: Sequence[EnvironmentSpec]) -> None:
        if self.quotas.used_bytes(2, self.number(specs[0].tenant_id)) is not None:
            self._limit_tenant(specs[0])

    def _bound(self, spec: EnvironmentSpec) -> int:
        """Bytes that its group may hold. While it has too many subvolumes, what it held when that was seen."""
        wanted, number = spec.limits.disk_mb * MIB, self.number(spec.id)
        if not spec.security.nesting:
            return wanted
        if _stamp(self.node.root_volume(spec.id)) not in (_stamp_of(spec), None):
            return wanted  # another root is being made
        if btrfs.members(self.node.store, btrfs.qgroup_id(1, number)) <= MOST_SUBVOLUMES:
            return wanted
        now = self.quotas.limit_bytes(1, number) or wanted
        return min(wanted, now, self.used_bytes(spec.id) + CROWDED_ROOM_BYTES)

    def _note(self, environment_id: UUID) -> Path:
        """Says which root was once whole: one that then isn't there was lost, and no new one takes its place
        without being asked for."""
        return self.node.environment(environment_id) / "installed"

    def _known(self, environment_id: UUID) -> str | None:
        with suppress(OSError):
            return self._note(environment_id).read_text()
        return None

    def _delete_tree(self, path: Path) -> int:
        try:
            return btrfs.delete_subvolume(path)
        except OSError as error:
            raise RuntimeFault(refusals.volume_not_deleted(str(error.strerror)), code="volume_busy") from error

    def remove(self, environment_id: UUID) -> Said | None:
        """Gone for the user at once; the kernel gives the space back a little later."""
        directory = self.node.volume(environment_id)
        number = self.number(environment_id)
        group = btrfs.qgroup_id(1, number)
        deleted = 0
        Fetched(self.node).forget(environment_id)
        if self.quotas.used_bytes(1, number) is not None:
            # at its limit a group refuses even the deletion of a subvolume
            btrfs.limit_qgroup(self.node.store, group, None)
            if not _is_cloned(directory):
                for tenant in self.quotas.numbers(2):
                    btrfs.unassign_qgroup(self.node.store, group, btrfs.qgroup_id(2, tenant))
        if directory.is_dir():
            for name in ("root.new", "root", "root.old"):
                deleted += self._delete_tree(directory / name)
            deleted += self.snapshots.remove(environment_id)
            directory.rmdir()
        self._note(environment_id).unlink(missing_ok=True)
        btrfs.delete_qgroup(self.node.store, group)
        return steps.subvolumes(deleted) if deleted > 1 else None

    def discard(self, found: Found) -> None:
        """Into the pool's quarantine: whose data this is, and whether it is missed, a person must say."""
        source = self.node.store / "environments" / found.what
        if not source.is_dir():
            return
        if found.environment_id is not None:
            group = btrfs.qgroup_id(1, self.number(found.environment_id))
            for tenant in self.quotas.numbers(2):
                btrfs.unassign_qgroup(self.node.store, group, btrfs.qgroup_id(2, tenant))
        self.node.quarantine.mkdir(mode=0o700, exist_ok=True)
        source.rename(self.node.quarantine / f"{found.what}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}")

    def quarantined(self) -> list[str]:
        """Names of what was put aside, oldest first."""
        if not self.node.quarantine.is_dir():
            return []
        return sorted((one.name for one in self.node.quarantine.iterdir()), key=lambda name: name[-16:])

    def delete_quarantined(self, name: str) -> None:
        """For good. Raises `RuntimeFault` when there is none of that name."""
        if name not in self.quarantined():
            raise RuntimeFault(refusals.not_in_quarantine(name), code="not_found", retryable=False)
        directory = self.node.quarantine / name
        for one in [*directory.glob("snapshots/*"), *directory.iterdir()]:
            self._delete_tree(one)
        with suppress(FileNotFoundError):
            (directory / "snapshots").rmdir()
        directory.rmdir()

    def sweep(self) -> int:
        """Removes quota groups that nothing belongs to any more, now that their space is cleaned; how many. Of
        environments first, then of tenants that have none left."""
        swept = Fetched(self.node).sweep() + Bases(self.node).sweep()
        for number in self.quotas.numbers(0):
            # of a subvolume that was deleted while snapshots held its extents: even an empty one uses some
            if self.quotas.used_bytes(0, number) == 0:
                swept += btrfs.delete_qgroup(self.node.store, btrfs.qgroup_id(0, number))
        with exclusive(self.node, "quota"):
            unused = [number for number in self.quotas.numbers(1) if not self.quotas.used_bytes(1, number)]
            # who owns one is asked after it was seen: a group is made after its owner is known, and empty
            wanted = self._numbers_wanted() if unused else set()
            for number in unused:
                if number not in wanted:
                    swept += btrfs.delete_qgroup(self.node.store, btrfs.qgroup_id(1, number))
            for number in self.quotas.numbers(2):
                if not self.quotas.used_bytes(2, number):
                    # refused (EBUSY) while a group of an environment is inside
                    swept += btrfs.delete_qgroup(self.node.store, btrfs.qgroup_id(2, number))
        return swept

    def _numbers_wanted(self) -> set[int]:
        """Of all that has a group of its own here, or is about to have one."""
        owners = [*self._owners(), *known_environments(self.node), *Volumes(self.node).there()]
        return {self.number(one) for one in owners}

    def being_cleaned(self) -> int:
        """Subvolumes that were deleted and still have a quota group: the kernel's cleaner comes to some 30 a
        second, and until then each holds memory of the kernel and its room in the pool."""
        top = 1  # of the pool itself, which is below no other
        return max(0, len(self.quotas.numbers(0)) - btrfs.subvolume_count(self.node.store) - top)

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
            "snapshots": len(self.snapshots.there(environment_id)),
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

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        root = self.node.root_volume(spec.id)
        if not btrfs.is_subvolume(root):
            return drift.root_gone()
        if _stamp(root) not in (_stamp_of(spec), None):
            return drift.other_root()
        if root.with_name("root.old").exists():
            return drift.old_root_left()
        if spec.jail is not None and spec.jail.build and Bases(self.node).key_of(root) != spec.jail.build:
            return jails.other_base()
        if self.snapshots.missing(spec) or self.snapshots.surplus(spec):
            return drift.other_snapshots()
        if self.quotas.limit_bytes(1, self.number(spec.id)) != self._bound(spec):
            return drift.disk_limit_changed()
        return None


def _stamp_of(spec: EnvironmentSpec) -> str:
    return f"{spec.installs} {spec.image}" if spec.origin is None else f"{spec.installs} {spec.origin.snapshot}"


def _begins_empty(spec: EnvironmentSpec) -> bool:
    return spec.jail is not None and spec.jail.base is Base.EMPTY


def _is_cloned(volume: Path) -> bool:
    with suppress(OSError):
        return bool(os.getxattr(volume, CLONED))
    return False


def _stamp(root: Path) -> str | None:
    """What is installed in this root; None when it carries no stamp."""
    with suppress(OSError):
        return os.getxattr(root, STAMP).decode()
    return None
