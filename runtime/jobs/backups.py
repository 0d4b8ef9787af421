"""Jobs about backups: to make one, to have one forgotten, to bring the files of one to this node."""

import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import structlog

from runtime.backups.fetched import Fetched
from runtime.backups.places import access_of, opened
from runtime.backups.quarantine import Quarantine
from runtime.backups.quarantine import place as quarantine_place
from runtime.backups.repository import MIB, Restic, Watch, notes_of
from runtime.contract import (
    BackUp,
    BackupSource,
    CheckTarget,
    FetchBackup,
    ForgetBackup,
    Locked,
    ProveBackup,
    PutBackFiles,
    Repository,
)
from runtime.contract.said import Said
from runtime.contract.words import backups as words
from runtime.errors import RuntimeFault
from runtime.host import btrfs
from runtime.jobs.base import Course, Job, Plan, Task
from runtime.jobs.records import JobRecords
from runtime.resources.volume import RootVolume
from runtime.storage.shelves import MOST_NESTED, too_many_nested
from runtime.storage.trees import Trees
from runtime.storage.volumes import Volumes

log = structlog.get_logger()

_TURN_S = 1.0


class Back(Job):
    """The disk as it is at one moment; the environment goes on, and may be changed or deleted meanwhile."""

    kind = "back_up"

    def plan(self, course: Course) -> Plan:
        work = course.spec.work
        assert isinstance(work, BackUp)
        made = _Backup(course, work)
        return Plan(
            [
                Task("backup snapshot", made.snapshot),
                Task("backup", made.back_up),
            ],
            undo=made.take_back,
        )


class _Backup:
    def __init__(self, course: Course, work: BackUp):
        self.course, self.work, self.node = course, work, course.node
        self.fetched = Fetched(course.node)
        self.tree = self.fetched.read(course.spec.id)
        self.is_again = False

    def _restic(self, *, makes: bool) -> Restic:
        secrets = opened(self.node, self.work.repository, self.work.secrets)
        access = access_of(self.node, self.work.repository, secrets, makes=makes)
        job = str(self.course.spec.id)
        return Restic(self.node, access, secrets.password, job, self.work.repository_id, is_again=self.is_again)

    def snapshot(self) -> Said | None:
        """Before it, that the target is there: who waits hears of it at once. What it holds is charged to whose
        it is, as with every snapshot; itself, to nobody, so that a full disk has one too."""
        self._restic(makes=self.work.repository_id is None)
        begun = JobRecords(self.node, self.course.spec.id).directory / "begun"
        self.is_again = begun.exists()  # the snapshot isn't enough: it goes before the job has ended
        begun.touch()
        btrfs.delete_subvolume(self.tree)
        self.fetched.make_directory()
        if self.work.environment_id is None:  # what is put back takes its place at one stroke
            self._take(Volumes(self.node).path(self.work.of))
            return None
        with self.course.moment_of(self.work.environment_id):
            self._take(self.node.root_volume(self.work.environment_id))
        return None

    def _take(self, source: Path) -> None:
        if not btrfs.is_subvolume(source):
            raise RuntimeFault(words.no_disk(), code="no_disk", retryable=False)
        try:
            btrfs.snapshot_all(source, self.tree, most=MOST_NESTED)
        except btrfs.TooManyNested as error:
            raise too_many_nested() from error

    def back_up(self) -> Said | None:
        work, restic = self.work, self._restic(makes=self.work.repository_id is None)
        secrets = opened(self.node, work.repository, work.secrets)

        def watch(share: float, done: int) -> None:
            self.course.progress(0.05 + 0.9 * share, words.reading(done // MIB))

        made = restic.back_up(
            self.tree,
            secrets.about,
            host=work.of,
            backup=work.backup,
            tags=work.tags,
            watch=watch,
        )
        btrfs.delete_subvolume(self.tree)
        self.course.backup, self.course.bytes = made, made.bytes
        self.course.made = words.backed_up(made.bytes // MIB, made.files, made.added_bytes // MIB)
        return self.course.made

    def take_back(self) -> None:
        """The snapshot in any case; what is at the target as far as that can be reached."""
        shutil.rmtree(notes_of(self.node, str(self.course.spec.id)), ignore_errors=True)
        btrfs.delete_subvolume(self.tree)
        try:
            self._restic(makes=False).take_back(self.work.backup)
        except RuntimeFault as fault:
            log.warning("nothing taken back at the target", backup=str(self.work.backup), code=fault.code)


class Prove(Job):
    """A system is made of it, apart, seen to start, pictured, and gone again."""

    kind = "prove_backup"

    def plan(self, course: Course) -> Plan:
        work = course.spec.work
        assert isinstance(work, ProveBackup)
        proof = _Proof(course, work)
        return Plan(
            [
                Task("backup check", proof.check),
                Task("quarantine", proof.make),
                Task("quarantine start", proof.see),
                Task("quarantine removal", proof.remove),
            ],
            undo=proof.remove,
        )


class _Proof:
    def __init__(self, course: Course, work: ProveBackup):
        self.course, self.work = course, work
        self.quarantine = Quarantine(course.node, work)
        self.place = ExitStack()

    def check(self) -> None:
        restic = _restic(self.course, self.work.source.repository, self.work.source.secrets)
        restic.check(lambda _share, _done: self.course.progress(0.1, words.checking()))

    def make(self) -> None:
        """Files that aren't what was written to the repository are found here, all of this backup's."""
        while not self.place.enter_context(quarantine_place(self.course.node)):
            self.place.close()
            self.course.progress(0.2, words.behind_another_proof())
            time.sleep(_TURN_S)
        self.quarantine.make(lambda _: self.course.progress(0.3, words.from_a_backup()))

    def see(self) -> Said:
        up: float | None = None

        def waiting(seconds: int) -> None:
            self.course.progress(0.7, words.starting(seconds))

        try:
            up = self.quarantine.seen_up(waiting)
            self.quarantine.probed(waiting)
        finally:
            self.course.boot = self.quarantine.picture(up)
        self.course.made = words.proved(max(1, round(up)))
        return self.course.made

    def remove(self) -> None:
        """A no-op when nothing was made."""
        self.quarantine.remove()
        self.place.close()


class Forget(Job):
    kind = "forget_backup"

    def plan(self, course: Course) -> Plan:
        work = course.spec.work
        assert isinstance(work, ForgetBackup)

        def forget() -> None:
            restic = _restic(course, work.repository, work.secrets)
            restic.forget(
                (work.snapshot, *work.others), lambda _share, _done: course.progress(0.5, words.making_room())
            )

        return Plan([Task("backup removal", forget)])


def _restic(course: Course, repository: Repository, locked: Locked, *, is_again: bool = True) -> Restic:
    """On one that is there. Raises `RuntimeFault`."""
    secrets = opened(course.node, repository, locked)
    access = access_of(course.node, repository, secrets, makes=False)
    return Restic(course.node, access, secrets.password, str(course.spec.id), is_again=is_again)


class Check(Job):
    """Whether backups can go there, by having it reached, opened and written to."""

    kind = "check_target"

    def plan(self, course: Course) -> Plan:
        work = course.spec.work
        assert isinstance(work, CheckTarget)

        def look() -> Said:
            course.progress(0.1, words.asking_the_target())
            secrets = opened(course.node, work.repository, work.secrets)
            access = access_of(course.node, work.repository, secrets, makes=work.repository_id is None)
            job = str(course.spec.id)
            course.target = Restic(course.node, access, secrets.password, job, work.repository_id).look()
            course.made = words.target_checked()
            return course.made

        return Plan([Task("target", look)])


class Fetch(Job):
    """Asked for by a node of itself, for a root that is to be made (`runtime.backups.fetched`)."""

    kind = "fetch_backup"

    def plan(self, course: Course) -> Plan:
        work = course.spec.work
        assert isinstance(work, FetchBackup)
        coming = Fetched(course.node).coming(work.environment_id)
        return Plan(
            [Task("backup fetch", lambda: _fetch(course, work, coming))],
            undo=lambda: btrfs.delete_subvolume(coming),
        )


class PutBack(Job):
    """One path comes into a tree of its own, and from there into the environment as it is now."""

    kind = "put_back_files"

    def plan(self, course: Course) -> Plan:
        work = course.spec.work
        assert isinstance(work, PutBackFiles)
        tree = Fetched(course.node).read(course.spec.id)
        return Plan(
            [
                Task("backup path", lambda: _fetch_path(course, work, tree)),
                Task("put back", lambda: _put(course, work, tree)),
            ],
            undo=lambda: btrfs.delete_subvolume(tree),
        )


def _fetch_path(course: Course, work: PutBackFiles, tree: Path) -> None:
    node, fetched = course.node, Fetched(course.node)
    fetched.make_directory()
    is_again = bool(btrfs.delete_subvolume(tree))
    btrfs.create_subvolume(tree, RootVolume(node).groups_of_tenant(work.tenant_id))
    tree.chmod(0o755)
    group = btrfs.subvolume_id(tree)
    btrfs.limit_qgroup(node.store, btrfs.qgroup_id(0, group), work.most_bytes)

    def watch(_share: float, _done: int) -> None:
        came = RootVolume(node).quotas.used_bytes(0, group) or 0
        course.progress(min(0.9, came / work.most_bytes), words.brought_back(came // MIB))

    restic = _restic(course, work.source.repository, work.source.secrets, is_again=is_again)
    restic.restore_path(work.source.snapshot, work.path, tree, watch)


def _put(course: Course, work: PutBackFiles, tree: Path) -> Said:
    with course.moment_of(work.environment_id):
        done = Trees(course.node).put_from(tree, work.environment_id, work.path.encode())
    btrfs.delete_subvolume(tree)
    course.made = words.put_back(done.entries, done.skipped)
    return course.made


def restore(
    course: Course, source: BackupSource, tree: Path, watch: Watch, most_bytes: int, *, is_again: bool
) -> None:
    """The files of a backup, into an empty tree that is held to so many bytes. Raises `RuntimeFault`."""
    restic = _restic(course, source.repository, source.secrets, is_again=is_again)
    try:
        restic.restore(source.snapshot, tree, watch)
    except RuntimeFault as fault:
        if fault.code == "target_full":  # what is full is the disk that it is for
            raise RuntimeFault(
                words.disk_too_small(most_bytes // MIB),
                code="disk_too_small",
                next_step=words.choose_a_larger_disk(),
                retryable=False,
            ) from fault
        raise


def _fetch(course: Course, work: FetchBackup, coming: Path) -> Said | None:
    node, fetched = course.node, Fetched(course.node)
    ready = fetched.path(work.environment_id, work.backup)
    if ready.is_dir():
        return None
    fetched.make_directory()
    is_again = bool(btrfs.delete_subvolume(coming))
    fetched.forget(work.environment_id)
    volume = RootVolume(node)
    btrfs.create_subvolume(coming, volume.groups_of_tenant(work.tenant_id))
    coming.chmod(0o755)
    group = btrfs.subvolume_id(coming)
    btrfs.limit_qgroup(node.store, btrfs.qgroup_id(0, group), work.most_bytes)

    def watch(_share: float, _done: int) -> None:
        came = volume.quotas.used_bytes(0, group) or 0
        course.progress(min(0.95, came / work.most_bytes), words.brought_back(came // MIB))

    restore(course, work.source, coming, watch, work.most_bytes, is_again=is_again)
    btrfs.sync(coming)
    course.bytes = volume.quotas.used_bytes(0, group) or 0
    btrfs.limit_qgroup(node.store, btrfs.qgroup_id(0, group), None)
    coming.rename(ready)
    course.made = words.brought_back(course.bytes // MIB)
    return course.made
