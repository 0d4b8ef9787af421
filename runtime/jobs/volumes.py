"""Jobs about volumes: to have one, with a size; to have one gone."""

from uuid import UUID

from runtime.contract import DropVolume, KeepVolume, VolumeClass
from runtime.contract.said import Said
from runtime.contract.words import volumes as words
from runtime.host.processes import Identity
from runtime.jobs.base import Course, Job, Plan, Task
from runtime.known import known_environments
from runtime.node import Node
from runtime.sandboxes import sandbox_of
from runtime.state import Records
from runtime.storage.mounted import mounts_of
from runtime.storage.volumes import Volumes


class Keep(Job):
    kind = "keep_volume"

    def plan(self, course: Course) -> Plan:
        work, volumes = course.spec.work, Volumes(course.node)
        assert isinstance(work, KeepVolume)

        def keep() -> Said:
            volumes.keep(
                work.volume_id,
                work.tenant_id,
                work.size_mb,
                is_new=work.is_new,
                in_place=work.volume_class is VolumeClass.DATABASE,
            )
            return words.volume_of(work.size_mb)

        def take_back() -> None:
            if work.is_new:
                volumes.drop(work.volume_id)

        return Plan([Task("volume", keep)], undo=take_back)


class Drop(Job):
    kind = "drop_volume"

    def plan(self, course: Course) -> Plan:
        work, volumes = course.spec.work, Volumes(course.node)
        assert isinstance(work, DropVolume)

        def drop() -> None:
            volumes.drop(work.volume_id, is_held=lambda volume_id: is_held(course.node, volume_id))

        return Plan([Task("volume removal", drop)])


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
