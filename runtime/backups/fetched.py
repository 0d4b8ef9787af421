"""Files of backups that came to this node, where roots are made from them: one subvolume for each environment.

It belongs to no environment's quota until it becomes a root, but to its tenant's, and is held to the size of
the disk that it is for.
"""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

from runtime.contract import (
    EnvironmentSpec,
    FetchBackup,
    JobOutcome,
    JobReport,
    JobSpec,
    Report,
    Subject,
    SubjectType,
)
from runtime.contract.said import Said
from runtime.contract.words import backups as words
from runtime.contract.words import changes
from runtime.errors import RuntimeFault, Superseded
from runtime.host import btrfs
from runtime.images.waiter import Waiter
from runtime.jobs.process import NotYet, do_apart
from runtime.jobs.records import JobRecords
from runtime.known import known_environments
from runtime.node import Node

MIB = 2**20
#: On the top of a root, as `runtime.resources.volume` has it.
STAMP = "trusted.wadah.installed"
_LOOK_S, _TURN_S = 0.2, 0.5


class Fetched:
    def __init__(self, node: Node):
        self.node = node
        self.directory = node.store / "backups"

    def path(self, environment_id: UUID, backup: UUID) -> Path:
        return self.directory / f"{environment_id}.{backup}"

    def coming(self, environment_id: UUID) -> Path:
        """On its way."""
        return self.directory / f".{environment_id}"

    def read(self, job_id: UUID) -> Path:
        """What a job backs up: the disk at one moment."""
        return self.directory / f"read.{job_id}"

    def make_directory(self) -> None:
        self.directory.mkdir(mode=0o700, exist_ok=True)

    def forget(self, environment_id: UUID, keep: UUID | None = None) -> None:
        """Those of the environment, but one. A no-op when there are none."""
        with suppress(FileNotFoundError):
            for entry in list(self.directory.iterdir()):
                if entry.name.startswith(f"{environment_id}.") and entry.name != f"{environment_id}.{keep}":
                    btrfs.delete_subvolume(entry)

    def sweep(self) -> int:
        """What came for environments that aren't there any more; how many."""
        there: list[Path] = []
        with suppress(FileNotFoundError):
            there = list(self.directory.iterdir())
        # known is asked after it: what comes is of an environment that was known before
        known, swept = {str(one) for one in known_environments(self.node)}, 0
        for entry in there:
            owner, _, _ = entry.name.partition(".")
            if owner not in ("", "read") and owner not in known:
                swept += btrfs.delete_subvolume(entry)
        return swept


def is_there(node: Node, spec: EnvironmentSpec) -> bool:
    """Whether nothing has to be fetched: no backup is asked for, it is here, or its root was made already."""
    if spec.origin is None or spec.origin.backup is None:
        return True
    stamp = f"{spec.installs} {spec.origin.snapshot}"
    root = node.root_volume(spec.id)
    for one in (root, root.with_name("root.old")):
        with suppress(OSError):
            if os.getxattr(one, STAMP).decode() == stamp:
                return True
    return Fetched(node).path(spec.id, spec.origin.snapshot).is_dir()


def fetch(node: Node, spec: EnvironmentSpec, waiter: Waiter) -> Said | None:
    """Raises `RuntimeFault`; `Superseded` when it is interrupted."""
    if is_there(node, spec):
        return None
    return _Fetch(node, spec, waiter).until(time.monotonic() + waiter.within_s)


class _Fetch:
    """The job that fetches it, in a process of its own."""

    def __init__(self, node: Node, spec: EnvironmentSpec, waiter: Waiter):
        assert spec.origin is not None
        assert spec.origin.backup is not None
        self.node, self.waiter = node, waiter
        self.job = JobSpec(
            node=node.name,
            id=uuid4(),
            about=Subject(type=SubjectType.ENVIRONMENT, id=str(spec.id)),
            work=FetchBackup(
                environment_id=spec.id,
                tenant_id=spec.tenant_id,
                backup=spec.origin.snapshot,
                source=spec.origin.backup,
                most_bytes=spec.limits.disk_mb * MIB,
            ),
            deadline_s=max(1.0, waiter.within_s),
        )
        self.last: JobReport | None = None
        self.is_over = threading.Event()

    def until(self, until: float) -> Said | None:
        """Waits for its end. Raises what it failed with."""
        thread = threading.Thread(target=self._do, daemon=True)
        thread.start()
        told: Said | None = None
        while not self.is_over.wait(_LOOK_S):
            if self.waiter.interrupted() or time.monotonic() > until:
                JobRecords(self.node, self.job.id).accept(self.job.model_copy(update={"generation": 2}))
                raise Superseded(changes.superseded())
            said = self.last.message if self.last else None
            if said and said != told:
                told = said
                self.waiter.tell(said)
        thread.join()
        last = self.last
        if last is None:
            raise RuntimeFault(words.backup_not_there(), code="backup_failed")
        if last.outcome is not JobOutcome.SUCCEEDED:
            raise RuntimeFault(
                last.message,
                code=last.code or "backup_failed",
                next_step=last.next_step,
                retryable=last.retryable,
            )
        return last.message or None

    def _do(self) -> None:
        try:
            while JobRecords(self.node, self.job.id).newest_generation() <= self.job.generation:
                try:
                    do_apart(self.node, self.job, self._hear)
                    return
                except NotYet:
                    time.sleep(_TURN_S)
        finally:
            self.is_over.set()

    def _hear(self, report: JobReport | Report) -> None:
        if isinstance(report, JobReport):
            self.last = report
