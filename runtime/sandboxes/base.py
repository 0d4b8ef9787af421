"""A sandbox: the first process of an environment and what keeps it, as a kernel knows it.

Everybody else asks these verbs and knows neither OCI runtime nor monitor, control group or pid file. An
environment that the sandbox never heard of is `GONE`, and every verb is a no-op for it unless it says
otherwise.

A start is four verbs, since each of two takes long by itself: `prepare`, `make`, `finish`, `let_go`. What a
kind does between them goes on beside it, on another processor.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Self
from uuid import UUID

from runtime.contract import EnvironmentSpec, Kind, TenantEnvelope, Usage
from runtime.contract import Kernel as KernelName
from runtime.contract.said import Said
from runtime.contract.words import refusals
from runtime.errors import HostLacks
from runtime.host.cgroup.base import Counter
from runtime.host.cgroup.device_program import Rules
from runtime.host.processes import Identity
from runtime.node import Node
from runtime.resources.base import Resource

#: From the kill of the first process until its last one must be gone.
KILL_DEADLINE_S = 20.0
FREEZE_DEADLINE_S = 10.0


#: What an environment's first process is to be made from (runtime-spec 1.0.2); its kind says so.
Config = Callable[[EnvironmentSpec], dict[str, Any]]


def no_config(spec: EnvironmentSpec) -> dict[str, Any]:
    """Of a sandbox that makes nothing."""
    raise RuntimeError(f"nobody told this sandbox what to make of {spec.id}")


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


class Part(StrEnum):
    """What each kernel has a resource of its own for; a kind's list of resources says where in the order."""

    LIMITS = "limits"
    """Processor, memory, tasks and disk I/O."""
    DESCRIPTION = "description"
    """What the first process is made from."""


@dataclass
class Inner:
    """A command that is to run inside: a program of the host that brings it there, with the streams of whoever
    starts it. To be closed when that was started."""

    words: list[str]
    environment: Mapping[str, str]
    descriptors: tuple[int, ...] = ()
    """To be handed on to it."""
    apart: str = ""
    """Name of what it runs in beside the environment: `Sandbox.end_apart` when it has ended."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)


@dataclass(frozen=True)
class Shell:
    """A terminal that is asked for: what runs in it, and how large it is."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    columns: int = 80
    rows: int = 24
    log_bytes: int = 2**20


@dataclass(frozen=True, slots=True)
class Kept:
    """A terminal as a look found it."""

    created_at: float
    """Seconds since the epoch."""
    shell: Identity | None
    """None when it has ended."""
    keeper: Identity | None
    """What keeps the pty and writes its log."""
    exit_code: int | None
    """How the shell ended; None while it runs, or when that isn't known."""


@dataclass(frozen=True, slots=True)
class Console:
    """Where the environment's own console is found (`runtime.console`)."""

    log: Path
    """Directory of its log, which stays from one start to the next."""
    keeper: Path
    """Directory of the socket and fifos of what keeps it."""


@dataclass(frozen=True, slots=True)
class Walls:
    """What the kernel says of a first process. Nothing in it is a number of the host's own."""

    kernel: str
    """Release of the kernel that answers its system calls."""
    namespaces: Mapping[str, int]
    """Inode numbers, as `/proc/self/ns` inside shows them; one that it shares with the node isn't in it."""
    ids: int
    """User ids that it has, none of which is anybody else's."""
    capabilities: tuple[str, ...]
    """Of its bounding set, within its own user namespace."""
    filters: int
    """Of its system calls (seccomp(2)); 0: all of the kernel's are open to it."""
    no_new_privileges: bool


class Sandbox(ABC):
    """One per kernel and node. Every verb reads the kernel, none a memory of this process; but a start that is
    under way is known to the one that began it."""

    kernel: ClassVar[KernelName]
    resource: ClassVar[type[Resource]]
    """The resource whose `remove` takes an environment's processes away: the first to go when all goes."""
    parts: ClassVar[Mapping[Part, type[Resource]]]

    def __init__(self, node: Node, config: Config = no_config):
        self.node = node
        self.config = config

    def of_kernel(self, kernel: KernelName) -> "Sandbox":
        """The one for environments of this kernel. Raises `HostLacks` for one that this isn't."""
        if kernel is not self.kernel:
            raise HostLacks(refusals.kernel_not_offered(kernel), code="kernel_unavailable", retryable=False)
        return self

    # the host ------------------------------------------------------------------------------------

    def unavailable(self) -> Said | None:
        """Why this host can't offer it, with the remedy; None when it can."""
        return None

    least_memory_mb: ClassVar[int] = 0
    """Of an environment, for this kernel to have enough besides."""

    def refuses_kind(self, kind: Kind) -> Said | None:
        """Why this kernel has none of this kind, on any host; None when it has."""
        return None

    def refuses(self, spec: EnvironmentSpec) -> Said | None:
        """Why this host, or this kernel on any host, can't have this one; None when it can."""
        return self.refuses_kind(spec.kind) or self.unavailable()

    def start_ms(self) -> float | None:
        """What its start took when this host tried it; None: there was nothing to try."""
        return None

    def prepare_host(self) -> list[str]:
        """Makes what all environments share, in the node's mount namespace. What it changed, a line each; empty
        when all was so."""
        return []

    def keep_ready(self) -> Callable[[], None]:
        """To be called once, by a process before it forks those that work: what it returns is called at each
        arrival of work, and makes the steps to come quicker. Does nothing by default."""
        return lambda: None

    def making(self, spec: EnvironmentSpec) -> AbstractContextManager[object]:
        """Entered around the steps of a start; what makes them quicker. Does nothing by default."""
        return nullcontext()

    # making --------------------------------------------------------------------------------------

    @abstractmethod
    def prepare(self, spec: EnvironmentSpec) -> None:
        """Begins what takes its time and needs nothing of the environment yet. Takes away first what an earlier
        start or an ended process left. A no-op when the first process is there."""

    @abstractmethod
    def make(self, spec: EnvironmentSpec) -> None:
        """All that the first process is made from is there: begins to make it, and doesn't wait. A no-op when
        it was begun, or when it wasn't this one that was asked to `prepare`."""

    @abstractmethod
    def finish(self, spec: EnvironmentSpec) -> Said | None:
        """Waits until the first process is there and whole, short of its first instruction: `MADE` from then
        on. A no-op (None) when it is there and was finished. Raises `RuntimeFault`."""

    @abstractmethod
    def let_go(self, spec: EnvironmentSpec) -> None:
        """Its first instruction runs. A no-op when it runs already. Raises `RuntimeFault` (`init_gone`)."""

    @abstractmethod
    def abandon(self, environment_id: UUID) -> None:
        """Nobody waits any more for a start that this one began. A no-op when it began none."""

    @abstractmethod
    def is_half_made(self, environment_id: UUID) -> bool:
        """Whether a start was cut off before its first process was there and ready. It may belong to another
        spec, and may appear at any moment: whoever finds one takes it away first. False when nothing is."""

    @abstractmethod
    def made_for(self, environment_id: UUID) -> tuple[int, int] | None:
        """Counters of restarts and installs that it was last made for; None when it can't be told."""

    # looking -------------------------------------------------------------------------------------

    @abstractmethod
    def look(self, environment_id: UUID) -> Seen:
        """The first process now."""

    def is_there(self, environment_id: UUID) -> bool:
        """Whether there is a first process; cheaper than a look."""
        return self.look(environment_id).is_there

    def keeps(self, environment_id: UUID) -> bool:
        """Whether it is this one that has something of it: a first process, or what is left of one."""
        return self.is_there(environment_id) or self.is_half_made(environment_id)

    @abstractmethod
    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        """What is there, for people; None when it is gone."""

    @abstractmethod
    def inventory(self) -> Iterable[tuple[UUID | None, str]]:
        """Everything on this node that holds or held a first process: whose (None: it can't be told), and
        what."""

    @abstractmethod
    def watched(self, environment_id: UUID) -> frozenset[Identity]:
        """Processes of the host whose end is worth a look: the first one, and what keeps its console."""

    @abstractmethod
    def has_console(self, environment_id: UUID) -> bool:
        """Whether its console is kept, and its exit code will be known. False when it is gone."""

    def lost_console(self, environment_id: UUID, first: int) -> bool:
        """Whether what had `first`, its first process, still has it, and nothing keeps its console any more.

        An end takes both away in no order that somebody else could see: the process is looked at again after
        its console. False when it is gone, or is another one by now."""
        return not self.has_console(environment_id) and self.look(environment_id).pid == first

    @abstractmethod
    def usage(self, environment_id: UUID) -> Usage:
        """Processor, memory and tasks; zeros when it doesn't run."""

    def oom_kills(self, environment_id: UUID) -> int:
        """Of `usage`, the processes that were killed for lack of memory."""
        return self.usage(environment_id).oom_kills

    def counters(self, environment_id: UUID) -> Mapping[str, Counter]:
        """What is counted and bounded of it, by OpenVZ's names; empty where nothing is, or when it doesn't
        run."""
        return {}

    def allow_devices(  # noqa: B027 (some have no such list)
        self, environment_id: UUID, allowed: Rules
    ) -> None:
        """Its processes open these character devices and no others; a no-op when it is so, or when it doesn't
        run. What is open stays open. Raises `RuntimeFault`."""

    def allows_devices(self, environment_id: UUID, allowed: Rules) -> bool:
        """Whether it is so. True where there is no such list, or when it doesn't run."""
        return True

    def walls(self, environment_id: UUID) -> Walls | None:
        """What stands between it and the host, as the kernel has it; None when it is gone."""
        return None

    @abstractmethod
    def was_first(self, environment_id: UUID, pid: int) -> bool:
        """Whether this host pid is, or was until a moment ago, that of its first process."""

    @abstractmethod
    def holds_processes(self, environment_id: UUID) -> bool:
        """Whether something may still run there. While it may, its user ids are nobody else's."""

    @abstractmethod
    def members(self, environment_id: UUID) -> list[int]:
        """Host pids of all its processes, as they are now; of use together with `kill_members` alone."""

    @abstractmethod
    def open_namespace(self, environment_id: UUID, name: str) -> int:
        """A descriptor of a namespace (`net`, `mnt`, …; namespaces(7)) of its first process, for the caller to
        close. Raises `RuntimeFault` (`init_gone`) when that is gone."""

    # how it ended --------------------------------------------------------------------------------

    @property
    @abstractmethod
    def ends(self) -> tuple[Path, ...]:
        """Directories in which a file appears when a first process ends by itself."""

    @abstractmethod
    def owner_of_end(self, name: str) -> UUID | None:
        """Whose end a file of that name in `ends` tells; None for other files."""

    @abstractmethod
    def exit_code(self, environment_id: UUID) -> int | None:
        """128 + the signal when a signal ended it; None when it runs, or nobody knows."""

    def last_words(self, environment_id: UUID) -> str:
        """What its kernel said when it gave up; empty where it has none of its own, or said nothing."""
        return ""

    # changing ------------------------------------------------------------------------------------

    def tell_inside(self, spec: EnvironmentSpec) -> None:  # noqa: B027 (most share the host's kernel)
        """Name and addresses, to a kernel of its own that runs already. Does nothing where the host's kernel
        has them. Raises `RuntimeFault`."""

    @abstractmethod
    def signal(self, environment_id: UUID, number: int) -> bool:
        """Sends it to the first process; False, without doing anything, when that is gone."""

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

    # without a first process ----------------------------------------------------------------------

    def is_open(self, environment_id: UUID) -> bool:
        """Whether it has no first process and may be entered: `RUNNING`, without a pid."""
        return False

    def open(self, environment_id: UUID) -> None:
        """It may be entered from now on, each time by a process of its own that is all there is of it. A no-op
        when it may. Raises `HostLacks` where the kernel has no such thing."""
        raise HostLacks(refusals.kind_not_offered("directory"), code="kind_unavailable", retryable=False)

    def shut(self, environment_id: UUID) -> None:  # noqa: B027 (most are never open)
        """It may not, and whoever is in is killed. A no-op when it may not."""

    @abstractmethod
    def take_away(self, environment_id: UUID) -> None:
        """Kills all its processes and forgets the first one, however far its start came. Raises `RuntimeFault`
        (`unkillable`, `busy`) while the kernel doesn't let one go."""

    # what people do inside -----------------------------------------------------------------------

    @abstractmethod
    def inner(
        self,
        environment_id: UUID,
        command: Sequence[str],
        *,
        terminal: bool = False,
        environment: Mapping[str, str] | None = None,
        pid_file: Path | None = None,
    ) -> Inner:
        """For a further process with the confinement of the first one, as root in `/`. `pid_file`: where its
        host pid is written when it runs. Raises `RuntimeFault` (`not_running`, `no_bundle`)."""

    def beside(self, spec: EnvironmentSpec, tools: Path, words: Sequence[str], *, pid_file: Path) -> Inner:
        """For a program of a tree of the node's own, over an environment's root volume: as root there, whether
        it runs or not, and with nothing of what runs. Raises `RuntimeFault`."""
        raise HostLacks(refusals.kernel_not_offered(self.kernel), code="kernel_unavailable", retryable=False)

    @abstractmethod
    def console(self, environment_id: UUID) -> Console:
        """Where its own console is, whether it runs or not."""

    @abstractmethod
    def start_terminal(self, environment_id: UUID, directory: Path, shell: Shell) -> None:
        """A further process as by `inner`, on a pty that is kept in this directory with its log. What an ended
        terminal left there is taken away, but for the log, which goes on. Raises `RuntimeFault`; of a
        start that failed nothing is left, and of one that could not be begun what was there."""

    @abstractmethod
    def look_at_terminal(self, environment_id: UUID, directory: Path) -> Kept | None:
        """None when no terminal was started there, or its start was cut off."""

    # work of the node's own ----------------------------------------------------------------------

    def apart(
        self,
        place: Path,
        config: Mapping[str, Any],
        *,
        memory_bytes: int,
        processes: int,
        is_background: bool = False,
        payer: "Payer | None" = None,
    ) -> AbstractContextManager["Apart"]:
        """Where a program of the node's own runs that reads what strangers sent, from a configuration of
        runtime-spec 1.0.2. `place`: a directory for it alone. Everything of it is gone afterwards.
        `is_background`: environments go before it, where both want the processors. `payer`: within what this
        tenant may have together with its environments."""
        raise NotImplementedError(f"{self.kernel} runs nothing apart")

    def end_apart(self, name: str) -> None:
        """What still runs in a directory of this name that nobody has any more. A no-op when nothing does."""
        raise NotImplementedError(f"{self.kernel} runs nothing apart")


@dataclass(frozen=True)
class Payer:
    """A tenant that something is done for, and what it may have on the node."""

    tenant_id: UUID
    envelope: TenantEnvelope
    cpu: float | None = None
    """Cores of this alone; None: as many as the tenant has."""


@dataclass(frozen=True)
class Apart:
    """See `Sandbox.apart`."""

    words: list[str]
    """To be started, with streams of the caller's."""
    environment: Mapping[str, str]
    end: Callable[[], None]
    """Ends it at once."""
