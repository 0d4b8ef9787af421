"""The job that brings an app's image: its layers, unpacked as they come, then its tree, then its name."""

import shutil
import time
from pathlib import Path

from runtime.contract import PullApp
from runtime.contract.said import Said
from runtime.contract.words import advice, apps, refusals
from runtime.errors import RuntimeFault
from runtime.host import btrfs
from runtime.images.oci.library import Kept, Library, key_of
from runtime.images.oci.registry import Registry, Resolved
from runtime.images.oci.tools import MIB
from runtime.images.oci.tree import Unpacking, arrange
from runtime.jobs.base import Course, Job, Plan, Task
from runtime.node import Node
from runtime.resources.volume import RESERVE_BYTES

#: For each of fetching, and what is left of unpacking then.
STEP_S = 1800.0
_LOOK_S = 0.2


class Pull(Job):
    kind = "pull_app"

    def plan(self, course: Course) -> Plan:
        """Nothing to do when it is here."""
        work = course.spec.work
        assert isinstance(work, PullApp)
        registry, library = Registry(course.node, work.app), Library(course.node)
        key = key_of(registry.reference.name, work.manifest)
        if library.kept(key) is not None:
            return Plan()
        coming = _Coming(course, work, library, key)
        return Plan(
            [
                Task("layers", lambda: coming.fetch(registry)),
                Task("app tree", coming.arrange),
                Task("image in the pool", lambda: coming.take_in(registry)),
            ],
            undo=lambda: library.throw_away(key),
        )


class _Coming:
    """An image on its way. Each step begins anew where it was cut off."""

    def __init__(self, course: Course, work: PullApp, library: Library, key: str):
        self.course, self.work, self.library, self.key = course, work, library, key
        self.node: Node = course.node
        self.found = Resolved(work.digest, work.manifest, work.layers, work.config, work.contents)

    def fetch(self, registry: Registry) -> Said | None:
        packed, most, count = self.found.packed_bytes, self.work.most_bytes, len(self.found.layers)
        if packed > most:
            raise _too_large(most)
        self._has_room(2 * packed)
        self.library.throw_away(self.key)
        self.library.directory.mkdir(mode=0o700, exist_ok=True)
        layers = self._subvolume("layers", packed + 64 * MIB)
        (layers / ".scratch").mkdir(mode=0o755)

        tree = self._subvolume("tree", most)
        each = zip(self.found.layers, self.found.contents, strict=True)
        wanted = [(digest, content) for (digest, _), content in each]
        with Unpacking.begun(self.node, layers, tree, wanted, within_s=2 * STEP_S) as unpacking:

            def watch(received: int) -> None:
                unpacking.look()
                self._has_room(0)
                share = min(1.0, received / max(1, packed))
                self.course.progress(0.6 * share, apps.fetching(received // MIB, packed // MIB, count))

            registry.copy(self.found, layers, watch, within_s=STEP_S, most_bytes=packed)
            self._wait(unpacking)
        return None

    def _wait(self, unpacking: Unpacking) -> None:
        until = time.monotonic() + STEP_S
        while not unpacking.ends_within(_LOOK_S):
            self._has_room(0)
            words = apps.unpacking(self.found.packed_bytes // MIB, len(self.found.layers))
            self.course.progress(0.7, words)
            if time.monotonic() > until:
                raise RuntimeFault(
                    apps.too_slow(STEP_S), code="registry_slow", next_step=apps.look_at_the_registry()
                )

    def arrange(self) -> Said | None:
        arrange(self.library.building(self.key, "tree"))
        return None

    def take_in(self, registry: Registry) -> Said | None:
        tree = self.library.building(self.key, "tree")
        if btrfs.is_subvolume(tree):
            btrfs.sync(tree)
            table = btrfs.QuotaTable(btrfs.file_system_uuid(self.node.store))
            number = btrfs.subvolume_id(tree)
            self.course.bytes = table.used_bytes(0, number) or 0
            btrfs.limit_qgroup(self.node.store, btrfs.qgroup_id(0, number), None)
            self.library.take_in(
                Kept(
                    key=self.key,
                    name=registry.reference.name,
                    digest=self.work.manifest,
                    known_as=tuple(dict.fromkeys((self.work.manifest, self.work.digest))),
                    shown_to=(self.work.tenant_id,),
                    bytes=self.course.bytes,
                    config=self.work.config,
                )
            )
        self.course.made = apps.fetched(self.work.digest, self.found.packed_bytes // MIB)
        return None

    def _subvolume(self, name: str, most_bytes: int) -> Path:
        """One that the kernel holds to so much, whatever is written into it."""
        path = self.library.building(self.key, name)
        btrfs.create_subvolume(path)
        path.chmod(0o755)
        btrfs.limit_qgroup(self.node.store, btrfs.qgroup_id(0, btrfs.subvolume_id(path)), most_bytes)
        return path

    def _has_room(self, wanted: int) -> None:
        free = shutil.disk_usage(self.node.store).free
        if free < RESERVE_BYTES + wanted:
            free = self.library.make_room(RESERVE_BYTES + wanted)
        if free < RESERVE_BYTES + wanted:
            raise RuntimeFault(
                refusals.pool_full(free // MIB, reserve=RESERVE_BYTES // MIB),
                code="pool_full",
                next_step=advice.enlarge_the_pool(),
            )


def _too_large(most: int) -> RuntimeFault:
    return RuntimeFault(
        apps.image_too_large(most // MIB),
        code="image_too_large",
        next_step=apps.choose_a_smaller_one(),
        retryable=False,
    )
