"""Jobs about builds: to have an image built and in a registry; to have gone what was kept of a source."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from runtime import tenants
from runtime.builds import inside, lacking_programs
from runtime.builds.builder import Builder, refused
from runtime.builds.places import MIB, BuildPlaces, Log, build_slot, part_of, trim
from runtime.contract import AppOptions, TenantEnvelope
from runtime.contract.build import BuildApp, BuildSecrets, Built, DropBuilds
from runtime.contract.image import ArchiveFile
from runtime.contract.said import Said
from runtime.contract.words import advice, apps, refusals
from runtime.contract.words import builds as words
from runtime.errors import HostLacks, RuntimeFault
from runtime.host import btrfs
from runtime.host.safetree import SafeTree
from runtime.images.confined import sweep
from runtime.images.oci.registry import Registry
from runtime.jobs.base import Course, Job, Plan, Task
from runtime.node import Node
from runtime.resources.volume import RESERVE_BYTES

_PUSH_S = 1800.0
_LOOK_S = 2.0
_PIECE = 2**20


class BuildOne(Job):
    kind = "build_app"

    def plan(self, course: Course) -> Plan:
        work = course.spec.work
        assert isinstance(work, BuildApp)
        if lacking := lacking_programs():
            why = words.lacks(", ".join(lacking))
            raise HostLacks(why, code="host_lacks", next_step=words.install_them(), retryable=False)
        made = _Building(course, work)
        return Plan(
            [Task("build", made.build), Task("image push", made.push)],
            undo=made.take_back,
        )


class DropAll(Job):
    kind = "drop_builds"

    def plan(self, course: Course) -> Plan:
        work = course.spec.work
        assert isinstance(work, DropBuilds)
        places = BuildPlaces(course.node, work.source_id)

        def drop() -> None:
            places.drop()

        return Plan([Task("build removal", drop)])


class _Building:
    """Each step begins anew where it was cut off."""

    def __init__(self, course: Course, work: BuildApp):
        self.course, self.work, self.node = course, work, course.node
        self.places = BuildPlaces(course.node, work.source_id)
        self.handed = course.node.mounts / f"build-{work.build_id}"
        self.looked_at = 0.0

    def build(self) -> Said | None:
        work, secrets = self.work, self._secrets()
        sweep(self.node)  # of one that was killed something may run on, by the same ids
        self._room()
        self.places.prepare(
            tenant_id=work.tenant_id,
            tenant_mb=self._envelope().disk_mb,
            disk_mb=work.disk_mb,
            is_fresh=work.is_fresh,
        )
        hidden = (*secrets.secrets.values(), secrets.token, secrets.deploy_key)
        log = Log(self.places.log(work.build_id), tuple(one for one in hidden if one))
        self.places.forget_old_logs()
        try:
            with self._slot() as slot:
                return self._build_as(slot, secrets, log)
        except RuntimeFault as fault:
            raise self._explained(fault) from fault
        finally:
            log.close()

    def _build_as(self, slot: int, secrets: BuildSecrets, log: Log) -> Said | None:
        doing: list[tuple[float, Callable[[], Said]]] = [(0.05, words.fetching)]

        def watch() -> None:
            share, say = doing[-1]
            self._look(share, say())

        with self._archive() as archive:
            builder = Builder(
                *(self.node, self.work, secrets, self.places, slot, log, watch),
                archive=archive,
            )
            if self.work.is_image:
                builder.take_image()
                return self._note_commit("")
            commit = builder.fetch()
            doing.append((0.15, lambda: words.pulling(", ".join(builder.bases)[:200])))
            builder.pull()
            doing.append((0.3, lambda: words.building(log.last)))
            builder.build()
        return self._note_commit(commit)

    def _note_commit(self, commit: str) -> Said | None:
        (self.places.notes / "commit").write_text(commit)
        return words.of_commit(commit) if commit else None

    def push(self) -> Said | None:
        app = self.work.app.model_copy(update={"registry": self._secrets().push})

        def watch(_: int) -> None:
            self._look(0.85, apps.pushing(app.image))

        watch(0)
        if self.work.is_image:
            digest = Registry(self.node, app).push(self.places.layers, watch, within_s=_PUSH_S, is_dir=True)
        else:
            digest = self._push_built(app, watch)
        commit = (self.places.notes / "commit").read_text()
        self.places.clear()
        trim(self.node, self.work.tenant_id)
        self.course.built = Built(digest=digest, commit=commit)
        self.course.made = words.built(app.image, digest)
        return self.course.made

    def _push_built(self, app: AppOptions, watch: Callable[[int], None]) -> str:
        until, log = time.monotonic() + _PUSH_S, Log(self.places.log(self.work.build_id), ())

        def look() -> None:
            watch(0)
            if time.monotonic() > until:
                raise RuntimeFault(
                    apps.too_slow(_PUSH_S), code="registry_slow", next_step=apps.look_at_the_registry()
                )

        try:
            with self._slot() as slot:
                builder = Builder(self.node, self.work, BuildSecrets(), self.places, slot, log, look)
                return builder.push(app)
        finally:
            log.close()

    # ---------------------------------------------------------------------------------------------

    def _slot(self) -> AbstractContextManager[int]:
        return build_slot(self.node, lambda: self._look(0.0, words.waiting()))

    def _secrets(self) -> BuildSecrets:
        try:
            key = self.node.report_key.read_bytes().strip()
            return BuildSecrets.opened(self.work.secrets, self.work.build_id, key=key)
        except (OSError, ValueError) as odd:
            raise RuntimeFault(words.secrets_shut(), code="secrets_not_opened", retryable=False) from odd

    @contextmanager
    def _archive(self) -> Iterator[Path | None]:
        """A directory with a copy of it, which its container can be shown."""
        handed = self.work.archive
        if handed is None:
            yield None
            return
        self._forget_archive()
        try:
            self._copy(handed)
        except (OSError, RuntimeFault) as gone:
            self._forget_archive()
            raise RuntimeFault(
                words.archive_gone(),
                code="archive_missing",
                next_step=words.hand_it_in_again(),
                retryable=False,
            ) from gone
        try:
            yield self.handed
        finally:
            self._forget_archive()

    def _copy(self, handed: ArchiveFile) -> None:
        """The panel's user may exchange it at any moment: what is read is what was opened, a plain file."""
        self.handed.mkdir()
        self.handed.chmod(0o755)
        with SafeTree.open(self.node.home / "panel") as safe:
            archive = safe.open_file(f"/archives/{handed.id}", size=handed.bytes)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(archive, "rb") as source:
            copy = os.open(self.handed / inside.HANDED, flags, 0o600)
            with os.fdopen(copy, "wb") as target:
                shutil.copyfileobj(source, target, _PIECE)
                os.fchmod(copy, 0o644)

    def _forget_archive(self) -> None:
        shutil.rmtree(self.handed, ignore_errors=True)

    def take_back(self) -> None:
        self._forget_archive()
        self.places.clear()

    def _look(self, share: float, doing: Said) -> None:
        """Raises when it isn't to go on."""
        self.course.progress(share, doing)
        if time.monotonic() < self.looked_at + _LOOK_S:
            return
        self.looked_at = time.monotonic()
        self._room()
        if self._envelope().suspended is not None:
            raise RuntimeFault(words.suspended(), code="suspended")

    def _envelope(self) -> TenantEnvelope:
        known = tenants.read(tenants.text_of(self.node, self.work.tenant_id))
        mine = self.work.envelope
        return known if known is not None and known.revision >= mine.revision else mine

    def _room(self) -> None:
        free = shutil.disk_usage(self.node.store).free
        if free < RESERVE_BYTES:
            raise RuntimeFault(
                refusals.pool_full(free // MIB, reserve=RESERVE_BYTES // MIB),
                code="pool_full",
                next_step=advice.enlarge_the_pool(),
            )

    def _explained(self, fault: RuntimeFault) -> RuntimeFault:
        """A tool says of a full disk what it says of any other error."""
        places, most = self.places, part_of(self.work.disk_mb)
        if fault.code in ("build_failed", "git_failed", "tool_failed", "not_pulled"):
            btrfs.sync(places.directory)
            if any(_is_full(self.node, one, most) for one in (places.work, places.cache, places.layers)):
                full = refused(words.no_room(most // MIB), "disk_full")
                full.next_step = words.build_afresh()
                return full
            if (whole := self._envelope().disk_mb) and places.is_full(self.work.tenant_id, whole):
                return refused(words.tenant_full(whole), "disk_full")
        return fault


def _is_full(node: Node, place: Path, most_bytes: int) -> bool:
    """Whether it came within a few MiB of what the kernel gives it."""
    try:
        table = btrfs.QuotaTable(btrfs.file_system_uuid(node.store))
        used = table.used_bytes(0, btrfs.subvolume_id(place)) or 0
    except OSError:
        return False
    return used > most_bytes - 4 * MIB
