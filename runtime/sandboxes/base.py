"""A sandbox: the first process of an environment and what keeps it, as a kernel knows it.

Engine, reports, exits and the agent ask these verbs and know neither OCI runtime nor monitor, control group
or pid file. An environment that the sandbox never heard of is `GONE`, and every verb is a no-op for it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from runtime.contract import Usage
from runtime.contract.said import Said
from runtime.resources.base import Resource

#: From the kill of the first process until its last one must be gone.
KILL_DEADLINE_S = 20.0
FREEZE_DEADLINE_S = 10.0


class SandboxState(StrEnum):
    """How far an environment's first process is."""

    GONE = "gone"
    """There is none; one that has ended and waits to be reaped counts as gone."""
    MADE = "made"
    """It is there and waits to be let go: none of the environment's own instructions ran."""
    RUNNING = "running"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at the kernel found."""

    state: SandboxState
    pid: int | None = None
    """Host pid of the first process; None when it is gone, or isn't one of the host."""
    identity: str = ""
    """Which process that is: no other one has the same, whatever its pid. Empty where there is no pid."""

    @property
    def is_there(self) -> bool:
        return self.state is not SandboxState.GONE

    @property
    def is_up(self) -> bool:
        """It was let go, and has not ended."""
        return self.state in (SandboxState.RUNNING, SandboxState.FROZEN)


class Sandbox(ABC):
    """One per kernel and node. Every verb reads the kernel, none a memory of this process."""

    resource: ClassVar[type[Resource]]
    """The resource whose `remove` ends every process of an environment: the first to go when all goes."""

    @abstractmethod
    def look(self, environment_id: UUID) -> Seen:
        """The first process now."""

    @abstractmethod
    def is_half_made(self, environment_id: UUID) -> bool:
        """Whether a start was cut off before its first process was there and ready. It may belong to another
        spec, and may appear at any moment: whoever finds one takes it away first. False when nothing is."""

    @abstractmethod
    def made_for(self, environment_id: UUID) -> tuple[int, int] | None:
        """Counters of restarts and installs that it was last made for; None when it can't be told."""

    def making(self) -> AbstractContextManager[object]:
        """Entered around the steps that make and let go; what makes them quicker. Does nothing by default."""
        return nullcontext()

    @abstractmethod
    def stop(
        self,
        environment_id: UUID,
        *,
        timeout_s: float,
        interrupted: Callable[[], bool] = lambda: False,
        kill_within_s: float = KILL_DEADLINE_S,
    ) -> Said | None:
        """Asks it to shut down, waits up to `timeout_s` seconds, then kills; 0 kills at once. A frozen one is
        thawed. Returns how it ended; None, without doing anything, when it is gone.

        `interrupted` is asked twice a second; True ends the waiting, nothing is killed: raises `Superseded`.
        Raises `RuntimeFault` (`unkillable`) when the kernel doesn't let it end within `kill_within_s`.
        """

    @abstractmethod
    def freeze(self, environment_id: UUID, frozen: bool, *, within_s: float = FREEZE_DEADLINE_S) -> None:
        """Freezes or thaws all its processes; a no-op when they are so, or gone. Raises `RuntimeFault` (`busy`)
        when one of them can't be frozen in time; they run on then."""

    @abstractmethod
    def has_console(self, environment_id: UUID) -> bool:
        """Whether its console is kept, and its exit code will be known. False when it is gone."""

    @abstractmethod
    def usage(self, environment_id: UUID) -> Usage:
        """Processor, memory and tasks; zeros when it doesn't run."""

    @abstractmethod
    def was_first(self, environment_id: UUID, pid: int) -> bool:
        """Whether this host pid is, or was until a moment ago, that of its first process."""
