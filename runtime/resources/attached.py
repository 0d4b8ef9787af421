"""The volumes that an environment sees: attached before its first instruction runs, and live from then on."""

import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any
from uuid import UUID

from runtime.contract import AttachedVolume, EnvironmentSpec, Rescue
from runtime.contract.said import Said
from runtime.contract.words import volumes as words
from runtime.errors import RuntimeFault
from runtime.glance import Glance
from runtime.host.processes import Identity
from runtime.host.safetree import SafeTree
from runtime.images.oci.library import Library
from runtime.oci.users import user_of
from runtime.resources.base import Found, Sandboxed
from runtime.state import Records
from runtime.storage.attaching import Namespaces, attach, detach, no_place, root_of
from runtime.storage.mounted import Mounted, Mounts, elsewhere, holder, mounts_of
from runtime.storage.volumes import Volumes


class AttachedVolumes(Sandboxed):
    """Nothing of it is kept but the mounts, which go with the environment's mount namespace."""

    name = "volumes"

    def check(self, spec: EnvironmentSpec) -> None:
        volumes = Volumes(self.node)
        if not all(volumes.is_there(one.volume_id) for one in spec.volumes):
            raise RuntimeFault(words.not_there(), code="volume_missing")

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        process = self._first(spec.id)
        if process is None or (not spec.volumes and not Volumes(self.node).there()):
            return None
        there, wanted = mounts_of(process), self._wanted(spec)
        right = [one for one in there.volumes if any(one.is_as(other) for other in wanted)]
        # of one that is where it belongs, further mounts are the environment's own
        kept = {one.volume_id for one in right}
        old = [one for one in there.volumes if one.volume_id not in kept]
        new = [one for one in wanted if not any(other.is_as(one) for other in there.volumes)]
        went = self._went(spec) | {one.volume_id for one in old}
        self._refuse_untold(spec, there, is_asked=bool(new or went))
        if not old and not new and not went:
            return None
        if old or new:
            self.check(spec)
        with ExitStack() as undo:
            inside = self._inside(spec.id, undo)
            self._detach(spec.id, process, inside, old)
            self._refuse_elsewhere(spec.id, process, went)
            for volume in new:
                if there.covering(volume.path) is not None:
                    raise no_place(volume.path)
            for volume in new:
                self._give_to_app(spec, volume)
            if new:
                attach(self.node, spec.id, inside, new)
        return _said([one.path for one in new], [one.point for one in old])

    def _went(self, spec: EnvironmentSpec) -> frozenset[UUID]:
        """What it had when a spec was last brought about, and has no more: somebody inside may have taken it
        from where it was, and hold it elsewhere."""
        before = Records(self.node, spec.id).applied()
        wanted = {one.volume_id for one in self._wanted(spec)}
        return (
            frozenset(one.volume_id for one in self._wanted(before) if before) - wanted
            if before
            else frozenset()
        )

    @staticmethod
    def _refuse_untold(spec: EnvironmentSpec, there: Mounts, *, is_asked: bool) -> None:
        if not is_asked or spec.rescue is not Rescue.OFF:
            return
        if there.top != root_of(spec.id) and there.is_all:
            raise RuntimeFault(words.root_is_private(), code="root_is_private", next_step=words.restart_it())
        if not there.is_all:
            raise _held(words.too_many_mounts())

    def _inside(self, environment_id: UUID, undo: ExitStack) -> Namespaces:
        found = []
        for name in ("mnt", "user"):
            found.append(self.sandbox.open_namespace(environment_id, name))
            undo.callback(os.close, found[-1])
        return Namespaces(*found)

    def _give_to_app(self, spec: EnvironmentSpec, one: AttachedVolume) -> None:
        """A volume that nothing was ever on belongs to whom its place belongs in the app's image, as Docker has
        it; where its image has no such place, to the app's user."""
        top = Volumes(self.node).path(one.volume_id)
        seen = top.lstat()
        if not spec.runs_app or one.read_only or (seen.st_uid, seen.st_gid) != (0, 0) or any(top.iterdir()):
            return
        with SafeTree.open(self.node.root_volume(spec.id)) as tree:
            try:
                place = tree.open_plain(one.path.lstrip("/"), os.O_PATH | os.O_DIRECTORY)
            except OSError:
                user = user_of(tree, Library(self.node).user_name(spec))
                os.chown(top, user.uid, user.gid)
                return
            try:
                found = os.fstat(place)
                os.chown(top, found.st_uid, found.st_gid)
                top.chmod(stat.S_IMODE(found.st_mode))
            finally:
                os.close(place)

    def _wanted(self, spec: EnvironmentSpec) -> tuple[AttachedVolume, ...]:
        """A rescue system has the environment's disk alone."""
        return spec.volumes if spec.rescue is Rescue.OFF else ()

    def _first(self, environment_id: UUID) -> Identity | None:
        return Identity.parse(self.sandbox.look(environment_id).identity)

    def _detach(
        self, environment_id: UUID, process: Identity, inside: Namespaces, old: Iterable[Mounted]
    ) -> None:
        own = next((one for one in old if not one.is_whole or not one.point.isprintable()), None)
        if own is not None:  # who mounted it there ends that himself
            raise _held(words.also_at("".join(letter if letter.isprintable() else "?" for letter in own.point)))
        for one in old:
            if detach(self.node, environment_id, inside, one.point):
                continue
            name = holder(self.sandbox.members(environment_id), one)
            raise _held(words.held(one.point, name or "?"))
        left = [one for one in mounts_of(process).volumes if one in old]
        if left:
            raise _held(words.also_at(left[0].point))

    def _refuse_elsewhere(self, environment_id: UUID, process: Identity, went: Iterable[UUID]) -> None:
        found = elsewhere(self.sandbox.members(environment_id), process, went)
        if found is not None:
            raise _held(words.held(found.point, found.process) if found.point else words.too_many_mounts())

    def remove(self, environment_id: UUID) -> Said | None:
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        process = self._first(environment_id)
        there = mounts_of(process).volumes if process is not None else ()
        return {"mounted": ", ".join(f"{one.volume_id} {one.point}" for one in there)} if there else None

    def inventory(self) -> Iterable[Found]:
        return ()

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        process = self._first(spec.id) if spec.volumes else None
        if process is None:
            return None
        there = mounts_of(process)
        if not there.is_all or there.top != root_of(spec.id):  # nothing could be attached
            return None
        is_so = all(any(one.is_as(wanted) for one in there.volumes) for wanted in self._wanted(spec))
        return None if is_so else words.others()


def _held(said: Said) -> RuntimeFault:
    return RuntimeFault(said, code="volume_held", next_step=words.end_that())


def _said(new: list[str], old: list[str]) -> Said:
    came, went = tuple(map(Said, new)), tuple(map(Said, old))
    if came and went:
        return words.exchanged(came, went)
    return words.attached(came) if came else words.detached(went)
