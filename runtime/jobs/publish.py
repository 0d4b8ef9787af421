"""The job that makes an image of an environment's disk and puts it into a registry."""

import shutil

from runtime.contract import AppOptions, EnvironmentSpec, ImageConfig, PublishImage
from runtime.contract.said import Said
from runtime.contract.words import advice, apps, backups, refusals
from runtime.errors import RuntimeFault
from runtime.host import btrfs
from runtime.images.oci.library import Library
from runtime.images.oci.registry import Registry
from runtime.images.oci.tools import MIB
from runtime.images.oci.tree import pack
from runtime.jobs.base import Course, Job, Plan, Task
from runtime.resources.volume import RESERVE_BYTES
from runtime.state import Records
from runtime.storage.shelves import MOST_NESTED, too_many_nested

#: For each of packing and pushing.
STEP_S = 1800.0
#: Of the layer, plain and packed, before it is pushed.
MOST_BYTES = 32 * 2**30
#: What the node writes, or others mount, and what names one system alone; below its root.
LEFT_OUT = ("dev/*", "proc/*", "sys/*", "run/*", "tmp/*")
OF_AN_APP = ("etc/hostname", "etc/hosts", "etc/resolv.conf")
OF_A_SYSTEM = ("etc/machine-id", "etc/ssh/ssh_host_*", "root/.ssh/authorized_keys", "etc/hostname", "etc/hosts")


class Publish(Job):
    kind = "publish_image"

    def plan(self, course: Course) -> Plan:
        work = course.spec.work
        assert isinstance(work, PublishImage)
        made = _Publishing(course, work)
        return Plan(
            [
                Task("backup snapshot", made.snapshot),
                Task("image layer", made.pack),
                Task("image push", made.push),
            ],
            undo=lambda: made.library.throw_away(made.key),
        )


class _Publishing:
    """Each step begins anew where it was cut off."""

    def __init__(self, course: Course, work: PublishImage):
        self.course, self.work, self.node = course, work, course.node
        self.library, self.key = Library(course.node), f"publish-{course.spec.id}"
        self.tree = self.library.building(self.key, "tree")
        self.layers = self.library.building(self.key, "layers")

    def snapshot(self) -> Said | None:
        """As it is at one moment; the environment goes on."""
        self.library.throw_away(self.key)
        self.library.directory.mkdir(mode=0o700, exist_ok=True)
        with self.course.moment_of(self.work.environment_id):
            root = self.node.root_volume(self.work.environment_id)
            if not btrfs.is_subvolume(root):
                raise RuntimeFault(backups.no_disk(), code="no_disk", retryable=False)
            try:
                btrfs.snapshot_all(root, self.tree, most=MOST_NESTED)
            except btrfs.TooManyNested as error:
                raise too_many_nested() from error
        return None

    def pack(self) -> Said | None:
        spec = Records(self.node, self.work.environment_id).standing()
        if spec is None:
            raise RuntimeFault(backups.no_disk(), code="no_disk", retryable=False)
        btrfs.delete_subvolume(self.layers)
        btrfs.create_subvolume(self.layers)
        self.layers.chmod(0o755)
        group = btrfs.qgroup_id(0, btrfs.subvolume_id(self.layers))
        btrfs.limit_qgroup(self.node.store, group, MOST_BYTES)
        (self.layers / ".scratch").mkdir(mode=0o755)
        left_out = [*LEFT_OUT, *(OF_A_SYSTEM if spec.app is None else OF_AN_APP)]

        def watch(_: int) -> None:
            self._has_room()
            self.course.progress(0.3, apps.packing())

        watch(0)
        config = self._config(spec)
        pack(
            *(self.node, self.tree, self.layers, watch),
            config=config,
            left_out=left_out,
            within_s=STEP_S,
        )
        btrfs.delete_subvolume(self.tree)
        return None

    def push(self) -> Said | None:
        def watch(_: int) -> None:
            self.course.progress(0.7, apps.pushing(self.work.app.image))

        watch(0)
        digest = Registry(self.node, self.work.app).push(self.layers, watch, within_s=STEP_S)
        btrfs.delete_subvolume(self.layers)
        self.course.made = apps.published(self.work.app.image, digest)
        return self.course.made

    def _config(self, spec: EnvironmentSpec) -> dict[str, object]:
        if spec.app is None:
            return config_of(None, ImageConfig(cmd=("/sbin/init",), stop_signal="SIGRTMIN+3"))
        chosen = self.library.chosen(spec.id)
        return config_of(spec.app, chosen.config if chosen is not None else ImageConfig())

    def _has_room(self) -> None:
        free = shutil.disk_usage(self.node.store).free
        if free < RESERVE_BYTES:
            raise RuntimeFault(
                refusals.pool_full(free // MIB, reserve=RESERVE_BYTES // MIB),
                code="pool_full",
                next_step=advice.enlarge_the_pool(),
            )


def config_of(app: AppOptions | None, image: ImageConfig) -> dict[str, object]:
    """What the image says is run: as its own image did, and over it what was asked for; variables of its own,
    which may be secrets of one stage, stay with the environment."""
    entrypoint, cmd = list(image.entrypoint), list(image.cmd)
    if app is not None and app.command is not None:
        entrypoint, cmd = list(app.command), []
    if app is not None and app.args is not None:
        cmd = list(app.args)
    return {
        "entrypoint": entrypoint,
        "cmd": cmd,
        "env": list(image.env),
        "user": image.user if app is None or app.user is None else app.user,
        "workdir": (app.workdir if app else "") or image.workdir,
        "stop_signal": (app.stop_signal if app else "") or image.stop_signal,
        "ports": list(image.ports),
        "volumes": list(image.volumes),
    }
