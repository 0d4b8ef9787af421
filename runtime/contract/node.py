"""What a node is and can do."""

from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from runtime.contract.backup_place import Host, Pem
from runtime.contract.base import CONTRACT_VERSION, Line, Message, Name, Port
from runtime.contract.devices import MOST_SEEN, HeldDevices, SeenDevice
from runtime.contract.environment import Device, Kernel, Kind
from runtime.contract.processors import CpuPools
from runtime.contract.said import NOTHING, Said


class CheckLevel(StrEnum):
    OK = "ok"
    WEAK = "weak"
    MISSING = "missing"


class Check(Message):
    """One line of `doctor`: what was looked at, what was found, why it matters, what mends it."""

    name: Said
    level: CheckLevel
    found: Said
    why: Said = NOTHING
    remedy: Said = NOTHING


class Cell(Message):
    """A kind on a kernel, as this node has them: offered, or why not."""

    kind: Kind
    kernel: Kernel
    why_not: Said = NOTHING
    """Empty: it is offered."""
    least_memory_mb: Annotated[int, Field(ge=0)] = 0
    start_ms: Annotated[float, Field(ge=0)] | None = None
    """What the start of such a kernel took when this node tried it; None: it wasn't tried, or has none of its
    own."""


class BackupServer(Message):
    """Where the other nodes get at the directory that this one gives for backups."""

    host: Host
    port: Port
    certificate: Pem
    """In PEM, which alone is believed."""


class NodeFacts(Message):
    """Capacity and abilities of a node."""

    name: Name
    version: Line
    kernel_release: Line
    distribution: Line
    cgroup_version: Literal[1, 2]
    cpus: Annotated[int, Field(ge=1)]
    memory_bytes: Annotated[int, Field(ge=0)]
    memory_available_bytes: Annotated[int, Field(ge=0)] = 0
    pool_bytes: Annotated[int, Field(ge=0)]
    pool_used_bytes: Annotated[int, Field(ge=0)]
    load_1m: Annotated[float, Field(ge=0)] = 0.0
    ipv4_network: IPv4Network | None
    ipv6_network: IPv6Network | None
    """Where the addresses of its environments come from; the first address of each is the node's own."""
    first_slot: Annotated[int, Field(ge=0, le=4093)]
    slots: Annotated[int, Field(ge=0, le=4094)]
    """The id ranges that this installation may hand out: [first_slot, first_slot + slots)."""
    tasks: Annotated[int, Field(ge=0)] = 0
    """Processes and threads that all its environments may have together; 0 where it doesn't say."""
    forward_ports: tuple[Port, Port] = (20_000, 27_999)
    """First and last of its ports that may lead into environments."""
    kinds: tuple[Kind, ...]
    kernels: tuple[Kernel, ...]
    matrix: tuple[Cell, ...] = ()
    """Every kind on every kernel; an old report has none."""
    devices: tuple[Device, ...] = ()
    """That its kernel has, of those that an environment may be given."""
    seen_devices: Annotated[tuple[SeenDevice, ...], Field(max_length=MOST_SEEN)] = ()
    """Of the host, that might be allowed."""
    host_devices: HeldDevices = HeldDevices()
    """That are allowed, as it holds them."""
    images: tuple[Line, ...] = ()
    builds: bool = False
    """It has what images are built with."""
    backup_directory: bool | None = None
    """It gives a directory that backups go to; None: it doesn't say."""
    backup_server: BackupServer | None = None
    """None: to its own environments alone."""
    checks: tuple[Check, ...] = ()
    cpu_pools: CpuPools = CpuPools()
    """That it holds."""
    boot_id: UUID


class Leak(Message):
    """An object with the node's mark that no wanted environment owns."""

    resource: Line
    what: Line
    environment_id: UUID | None = None
    """Whose it was, where its name says so."""


class Lacking(Message):
    """A wanted environment that isn't as wanted, and why."""

    environment_id: UUID
    why: Said


class Survey(Message):
    """What a node found when it compared all that is there with all that is wanted."""

    at: datetime
    leaks: Annotated[tuple[Leak, ...], Field(max_length=1000)] = ()
    lacking: Annotated[tuple[Lacking, ...], Field(max_length=1000)] = ()
    known: Annotated[tuple[UUID, ...], Field(max_length=20_000)] = ()
    """Every environment that the node has records of."""


class NodeReport(Message):
    """The heartbeat of a node (every 10 s)."""

    version: Literal[1] = CONTRACT_VERSION
    at: datetime
    facts: NodeFacts
    leaks: Annotated[int, Field(ge=0)] = 0
    environments: Annotated[int, Field(ge=0)] = 0
    survey: Survey | None = None
    """The newest, told once."""

    @property
    def node(self) -> str:
        return self.facts.name
