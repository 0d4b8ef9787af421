"""What a node saw and did: reports of environments, their steps, and their use of resources."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from runtime.contract.app import AppSeen
from runtime.contract.base import CONTRACT_VERSION, Line, Message, Name
from runtime.contract.network import MOST_INTERFACES, InterfaceUse
from runtime.contract.said import NOTHING, Said
from runtime.contract.volume import VolumeUse


class ObservedState(StrEnum):
    """What the kernel shows; `deleted` means that nothing is left on the node."""

    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    FAILED = "failed"
    DELETED = "deleted"


class StepState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"


class Step(Message):
    """One verb of one resource, journalled on the node before it ran."""

    name: Line
    """For people: "root volume", "network link"."""
    verb: Literal["ensure", "remove", "wait", "do"]
    state: StepState
    started_at: datetime
    duration_ms: Annotated[float, Field(ge=0)] = 0.0
    code: Annotated[str, Field(max_length=64)] = ""
    """Of a failed one, its stable cause, as in `Report.code`."""
    detail: Said = NOTHING
    """What it did, or why it failed."""


class EventCode(StrEnum):
    """What happened to an environment without anybody asking for it."""

    REPAIRED = "repaired"
    """Something of it had changed or gone on the node, and was brought back."""
    OUT_OF_MEMORY = "out_of_memory"
    """The kernel killed one of its processes because its memory limit was reached."""
    CONSOLE_LOST = "console_lost"
    """What kept its console was killed; it runs on, the console is back after its next start."""
    STUCK = "stuck"
    """A look at it waited for a file system that it serves itself; its processes were ended."""
    LIMIT_RULE = "limit_rule"
    """It has as much of something as one of its rules says."""
    UNHEALTHY = "unhealthy"
    """So many checks of its health failed in a row as make it so."""


class EnvironmentEvent(Message):
    """One thing that happened, told once."""

    code: EventCode
    message: Said
    at: datetime


class Report(Message):
    """What one environment looks like on its node now, and what was done for its operation so far."""

    version: Literal[1] = CONTRACT_VERSION
    node: Name
    environment_id: UUID
    generation: Annotated[int, Field(ge=0)]
    """The newest generation that the node has fully brought about (0: none yet)."""
    attempted_generation: Annotated[int, Field(ge=0)] = 0
    """The generation that this report speaks of; greater than `generation` while work goes on or failed."""
    operation_id: UUID | None = None
    sequence: Annotated[int, Field(ge=0)]
    """Nanoseconds of a clock of the node's own that never goes back: a report with a lower one is stale."""
    at: datetime
    state: ObservedState
    final: bool = True
    """False: the apply is still at work and more reports follow."""
    code: Annotated[str, Field(max_length=64)] = ""
    """Stable cause, empty when all is well: `pool_full`, `image_missing`, `init_crashed`, `halted_inside`, …"""
    message: Said = NOTHING
    next_step: Said = NOTHING
    retryable: bool = True
    steps: Annotated[tuple[Step, ...], Field(max_length=200)] = ()
    init_pid: int | None = None
    started_at: datetime | None = None
    restarts: Annotated[int, Field(ge=0)] = 0
    exit_code: int | None = None
    oom_kills: Annotated[int, Field(ge=0)] = 0
    app: AppSeen | None = None
    """Of an app, once its image was resolved."""
    events: Annotated[tuple[EnvironmentEvent, ...], Field(max_length=50)] = ()
    """What happened by itself since the last report; each is told once."""


class Usage(Message):
    """Use of one environment, read from the kernel."""

    environment_id: UUID
    state: ObservedState | None = None
    """As the kernel shows it, so that a lost report is noticed."""
    generation: Annotated[int, Field(ge=0)] = 0
    """The newest that was fully brought about."""
    cpu_ns: Annotated[int, Field(ge=0)] = 0
    """CPU time used since the environment's group was made."""
    memory_bytes: Annotated[int, Field(ge=0)] = 0
    memory_max_bytes: Annotated[int, Field(ge=0)] = 0
    """The most ever held since start."""
    memory_hits: Annotated[int, Field(ge=0)] = 0
    """How often the memory limit was hit."""
    swap_bytes: Annotated[int, Field(ge=0)] = 0
    processes: Annotated[int, Field(ge=0)] = 0
    process_hits: Annotated[int, Field(ge=0)] = 0
    disk_bytes: Annotated[int, Field(ge=0)] = 0
    interfaces: Annotated[tuple[InterfaceUse, ...], Field(max_length=MOST_INTERFACES)] = ()
    oom_kills: Annotated[int, Field(ge=0)] = 0


class UsageReport(Message):
    """Use of all environments of a node at one moment."""

    version: Literal[1] = CONTRACT_VERSION
    node: Name
    at: datetime
    usages: Annotated[tuple[Usage, ...], Field(max_length=10_000)] = ()
    volumes: Annotated[tuple[VolumeUse, ...], Field(max_length=10_000)] = ()
