"""Jobs about volumes: to have one, with a size; to snapshot it, to put it back; to have one gone."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from runtime.contract import (
    BackupSource,
    DropVolume,
    DropVolumeSnapshot,
    KeepVolume,
    RestoreVolume,
    SnapshotVolume,
    VolumeClass,
)
from runtime.contract.said import Said
from runtime.contract.words import backups as backup_words
from runtime.contract.words import volumes as words
from runtime.host.processes import Identity
from runtime.jobs.backups import restore
from runtime.jobs.base import Course, Job, Plan, Task
from runtime.known import known_environments
from runtime.node import Node
from runtime.sandboxes import sandbox_of
from runtime.state import Records
from runtime.storage.mounted import mounts_of
from runtime.storage.volume_history import VolumeHistory, refuse_below
from runtime.storage.volumes import MIB, Volumes


class Keep(Job):
    kind = "keep_volume"

    def plan(self, course: Course) -> Plan:
        work, volumes = course.spec.work, Volumes(course.node)
        assert isinstance(work, KeepVolume)

        def keep() -> Said:
            source = None
            if work.copy_of is not None and not volumes.is_there(work.volume_id):
                source = VolumeHistory(course.node, work.copy_of.volume_id, work.size_mb).snapshot(
                    work.copy_of.snapshot
                )
                refuse_below(source, work.size_mb)
            if work.backup is not None and work.is_new and not volumes.is_there(work.volume_id):
                volumes.publish(work.volume_id)
            volumes.keep(
                work.volume_id,
                work.tenant_id,
                work.size_mb,
                is_new=work.is_new,
                in_place=work.volume_class is VolumeClass.DATABASE,
                source=source,
            )
            return words.volume_of(work.size_mb)

        def fetch() -> Said | None:
            if volumes.is_there(work.volume_id):
                return None
            assert work.backup is not None
            in_place = work.volume_class is VolumeClass.DATABASE
            volumes.begin(work.volume_id, work.tenant_id, work.size_mb, in_place=in_place)
            fresh = volumes.fresh(work.volume_id)
            return _come(course, work.backup, fresh, work.size_mb, lambda: volumes.used_bytes(work.volume_id))

        def take_back() -> None:
            if work.is_new:
                volumes.drop(work.volume_id)

        fetches = [Task("volume fetch", fetch)] if work.backup is not None and work.is_new else []
        return Plan([*fetches, Task("volume", keep)], undo=take_back)


class Drop(Job):
    kind = "drop_volume"

    def plan(self, course: Course) -> Plan:
        work, volumes = course.spec.work, Volumes(course.node)
        assert isinstance(work, DropVolume)

        def drop() -> None:
            volumes.drop(work.volume_id, is_held=lambda volume_id: is_held(course.node, volume_id))

        return Plan([Task("volume removal", drop)])


class Snapshot(Job):
    """Of the volume as it is, in use or not."""

    kind = "snapshot_volume"

    def plan(self, course: Course) -> Plan:
        work = course.spec.work
        assert isinstance(work, SnapshotVolume)
        history = VolumeHistory(course.node, work.volume_id, work.size_mb)

        def take() -> Said:
            history.take(work.snapshot)
            gone = history.delete(*work.gone)
            course.volume = history.measured()
            return words.snapshot_made_in_turn(gone) if gone else words.snapshot_made()

        return Plan([Task("volume snapshot", take)], undo=lambda: history.delete(work.snapshot))


class DropSnapshot(Job):
    kind = "drop_volume_snapshot"

    def plan(self, course: Course) -> Plan:
        work = course.spec.work
        assert isinstance(work, DropVolumeSnapshot)
        history = VolumeHistory(course.node, work.volume_id, work.size_mb)

        def drop() -> Said:
            history.delete(work.snapshot)
            course.volume = history.measured()
            return words.snapshot_deleted()

        return Plan([Task("volume snapshot removal", drop)])


class Restore(Job):
    """The volume as it was; with a snapshot, made first, of what it is."""

    kind = "restore_volume"

    def plan(self, course: Course) -> Plan:
        work, job = course.spec.work, course.spec.id
        assert isinstance(work, RestoreVolume)
        history = VolumeHistory(course.node, work.volume_id, work.size_mb)

        def keep() -> Said | None:
            if work.before is None or history.is_put_back_by(job):
                return None
            history.take(work.before)
            return words.snapshot_made()

        def put_back() -> Said:
            assert work.snapshot is not None
            history.put_back(work.snapshot, job, lambda one: is_held(course.node, one))
            course.volume = history.measured()
            return words.restored()

        def fetch() -> Said | None:
            if history.is_put_back_by(job):
                return None
            assert work.backup is not None
            fresh, group = history.begin_fetch(
                work.tenant_id, in_place=work.volume_class is VolumeClass.DATABASE
            )
            return _come(course, work.backup, fresh, work.size_mb, lambda: used(group))

        def used(group: int) -> int:
            return Volumes(course.node).quotas.used_bytes(0, group) or 0

        def exchange() -> Said:
            history.end_fetch(work.tenant_id, job, lambda one: is_held(course.node, one))
            course.volume = history.measured()
            return words.restored()

        first = [Task("volume fetch", fetch)] if work.backup is not None else []
        last = Task("volume restore", exchange if work.backup is not None else put_back)
        return Plan([*first, Task("volume snapshot", keep), last], undo=lambda: history.undo(job, work.before))


def _come(course: Course, source: BackupSource, tree: Path, size_mb: int, used: Callable[[], int]) -> Said:
    """The files of a backup, into an empty tree that is held to that size."""

    def watch(_share: float, _done: int) -> None:
        came = used()
        course.progress(min(0.95, came / (size_mb * MIB)), backup_words.brought_back(came // MIB))

    restore(course, source, tree, watch, size_mb * MIB, is_again=False)
    return backup_words.brought_back(used() // MIB)


def is_held(node: Node, volume_id: UUID) -> bool:
    """Whether an environment that was given it runs and has it mounted."""
    sandbox = sandbox_of(node)
    for environment_id in known_environments(node):
        if not _was_given(Records(node, environment_id), volume_id):
            continue
        process = Identity.parse(sandbox.look(environment_id).identity)
        if process is not None and any(one.volume_id == volume_id for one in mounts_of(process).volumes):
            return True
    return False


def _was_given(records: Records, volume_id: UUID) -> bool:
    specs = (records.wanted(), records.applied())
    return any(one.volume_id == volume_id for spec in specs if spec is not None for one in spec.volumes)
