"""What a node remembers of a job, in files (`runtime.state`)."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from runtime.contract import BackupMade, BootSeen, JobOutcome, JobSpec, TargetSeen, VolumeMeasured
from runtime.contract.build import Built
from runtime.contract.said import NOTHING, Said
from runtime.known import JOB
from runtime.node import Node
from runtime.state import Failure, SubjectRecords

KEPT_JOB_S = 24 * 3600


class JobState(BaseModel):
    """How far the node came with one job."""

    model_config = ConfigDict(extra="ignore")

    outcome: JobOutcome | None = None
    """None: not at its end yet."""
    failure: Failure | None = None
    made: Said = NOTHING
    """What became of it, for people."""
    bytes: int = 0
    backup: BackupMade | None = None
    boot: BootSeen | None = None
    target: TargetSeen | None = None
    built: Built | None = None
    volume: VolumeMeasured | None = None
    ended_at: float = 0
    """Seconds since the epoch."""


class JobRecords(SubjectRecords[JobSpec, JobState]):
    """Those of one job. They are kept for `KEPT_JOB_S` after its end: who asks again is told how it ended."""

    spec_model = JobSpec
    state_model = JobState

    def __init__(self, node: Node, job_id: UUID):
        super().__init__(node, job_id, key=f"{JOB}{job_id}", directory=node.jobs / str(job_id))

    def forget(self) -> None:
        """Nothing but that it was done is remembered, for as long as a late message may come."""
        self.bury(self.newest_generation())

    @contextmanager
    def turn(self, spec: JobSpec) -> Iterator[bool]:
        """Jobs about one subject are done one after the other: yields False, without waiting, when it is
        another one's turn. It goes with the process that holds it."""
        with _turn(self.node, spec) as mine:
            yield mine


@contextmanager
def _turn(node: Node, spec: JobSpec) -> Iterator[bool]:
    directory = node.run / "locks"
    directory.mkdir(mode=0o700, exist_ok=True)
    file = directory / f"turn.{spec.about.type}.{spec.about.id}"
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)
