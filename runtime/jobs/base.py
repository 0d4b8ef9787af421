"""A kind of job: its steps, and what takes back what they did."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

from runtime.contract import BackupMade, BootSeen, JobSpec, Report, TargetSeen, VolumeMeasured
from runtime.contract.build import Built
from runtime.contract.said import NOTHING, Said
from runtime.contract.words import jobs as words
from runtime.errors import RuntimeFault
from runtime.node import Node
from runtime.state import Records

#: A moment of an environment is waited for so long, behind whoever is at work on it.
MOMENT_WITHIN_S = 120.0


@dataclass
class Course:
    """One job on its way: what its steps know of each other, and how they tell how far they are."""

    node: Node
    spec: JobSpec
    tell: Callable[[], object] = lambda: None
    may_go_on: Callable[[], None] = lambda: None
    """Raises `Superseded` when the job is to be cancelled, `DeadlinePassed` when its time is over."""
    tell_of_environment: Callable[[Report], None] = lambda _: None
    """What became of an environment, for the panel."""
    share: float = 0.0
    doing: Said = NOTHING
    made: Said = NOTHING
    """What became of it, for people."""
    bytes: int = 0
    backup: BackupMade | None = None
    boot: BootSeen | None = None
    target: TargetSeen | None = None
    built: Built | None = None
    volume: VolumeMeasured | None = None

    def progress(self, share: float, doing: Said) -> None:
        """To be called often by a step that takes long: it is told, and the step is ended here by a cancel or
        the deadline."""
        self.share, self.doing = share, doing
        self.tell()
        self.may_go_on()

    @contextmanager
    def moment_of(self, environment_id: UUID) -> Iterator[None]:
        """The environment's lock, for what nobody else may change meanwhile. Seconds at most: whoever stops,
        resizes or deletes it waits behind this. Raises `RuntimeFault` (`busy`) when others hold it for too
        long."""
        records, until = Records(self.node, environment_id), time.monotonic() + MOMENT_WITHIN_S
        while True:
            with records.try_lock() as mine:
                if mine:
                    yield
                    return
            self.may_go_on()
            if time.monotonic() > until:
                raise RuntimeFault(words.environment_busy(MOMENT_WITHIN_S), code="busy")
            time.sleep(0.2)


@dataclass(frozen=True)
class Task:
    """One step: safe to run twice, and after it was killed in its own middle."""

    name: str
    act: Callable[[], Said | None]


@dataclass(frozen=True)
class Plan:
    """What a job consists of."""

    tasks: Sequence[Task] = field(default_factory=tuple)
    undo: Callable[[], object] = lambda: None
    """Takes away what a job left that came to no end, wherever it was cut off. A no-op when nothing is left."""


class Job(ABC):
    """One file each."""

    kind: ClassVar[str]
    """As in the contract's model of its work."""

    @abstractmethod
    def plan(self, course: Course) -> Plan:
        """Its steps, in order, and what takes them back. Does nothing yet. Raises `RuntimeFault` for a job that
        can't be done here."""
