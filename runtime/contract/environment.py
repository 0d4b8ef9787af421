"""The spec of one environment: everything a node needs to know to make it so."""

from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from runtime.contract.app import APP_IMAGE, AppOptions
from runtime.contract.backup import BackupSource
from runtime.contract.base import CONTRACT_VERSION, ImageName, Message, Name
from runtime.contract.boot_words import MOST_BOOT_WORDS, BootWord, refused
from runtime.contract.devices import MOST_GIVEN, GivenDevice
from runtime.contract.directory import DIRECTORY_IMAGE, DirectoryOptions
from runtime.contract.hooks import Hooks
from runtime.contract.jail import JailOptions
from runtime.contract.limit_rules import MOST_RULES, RuleText
from runtime.contract.network import Network
from runtime.contract.processors import PoolName
from runtime.contract.volume import MOST_ATTACHED, AttachedVolume


class Kind(StrEnum):
    """What an environment is, seen from inside."""

    SYSTEM = "system"
    APP = "app"
    JAIL = "jail"
    DIRECTORY = "directory"


class Kernel(StrEnum):
    """Which kernel its processes talk to."""

    SHARED = "shared"
    GUARDED = "guarded"
    OWN = "own"


class DesiredState(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    DELETED = "deleted"


#: Snapshots of one environment.
MOST_SNAPSHOTS = 200
#: 4 GiB/s less one byte: a token bucket is told its rate as 32 bits of bytes per second (linux/pkt_sched.h).
HIGHEST_RATE_BIT_S = (2**32 - 1) * 8


class Limits(Message):
    """What the kernel holds an environment to. `None` means: not limited by the environment itself."""

    cpu: Annotated[float, Field(ge=0.05, le=1024)]
    """Hard cap in vCPU; 0.5 is half of one core's time."""
    cpu_weight: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Share under contention, as cgroup v2's cpu.weight: 100 is the norm."""
    memory_mb: Annotated[int, Field(ge=16, le=16_777_216)]
    """MiB of RAM, page cache and tmpfs included."""
    swap_mb: Annotated[int, Field(ge=0, le=16_777_216)] = 0
    """MiB of swap on top of memory_mb."""
    processes: Annotated[int, Field(ge=16, le=4_000_000)] = 512
    """Tasks (processes and threads) at once."""
    disk_mb: Annotated[int, Field(ge=16, le=1_073_741_824)]
    """MiB on the root volume, nested subvolumes included; what is shared with the image is free."""
    disk_read_bytes_s: Annotated[int, Field(ge=65_536)] | None = None
    disk_write_bytes_s: Annotated[int, Field(ge=65_536)] | None = None
    disk_read_iops: Annotated[int, Field(ge=1)] | None = None
    disk_write_iops: Annotated[int, Field(ge=1)] | None = None
    network_in_bit_s: Annotated[int, Field(ge=8_000, le=HIGHEST_RATE_BIT_S)] | None = None
    """Towards the environment."""
    network_out_bit_s: Annotated[int, Field(ge=8_000, le=HIGHEST_RATE_BIT_S)] | None = None
    """From the environment."""


class Suspension(StrEnum):
    """What becomes of a suspended tenant's environments that should run."""

    STOP = "stop"
    FREEZE = "freeze"


class TenantEnvelope(Message):
    """The sum that all environments of one tenant on this node may hold together, held by the kernel; and
    whether they may run at all."""

    revision: Annotated[int, Field(ge=0)] = 0
    """Counts up with every change; one that is older than what the node knows of the tenant holds no more."""
    suspended: Suspension | None = None

    cpu: Annotated[float, Field(ge=0.05)] | None = None
    memory_mb: Annotated[int, Field(ge=16)] | None = None
    swap_mb: Annotated[int, Field(ge=0)] | None = None
    """On top of memory_mb, without which cgroup v1 can't hold it: there one figure holds both together."""
    processes: Annotated[int, Field(ge=16)] | None = None
    disk_mb: Annotated[int, Field(ge=16)] | None = None


class SecurityClass(StrEnum):
    DEFAULT = "default"
    STRICT = "strict"


class SecurityProfile(Message):
    """Which parts of the default confinement an administrator lifted for this environment."""

    confinement: SecurityClass = SecurityClass.DEFAULT
    nesting: bool = False
    """User namespaces and btrfs subvolumes inside."""
    firewall: bool = False
    """Netfilter netlink inside."""
    compat32: bool = False
    """32-bit system calls inside."""


class Device(StrEnum):
    """What an environment may be given beside what every system has (null, zero, random, tty, pts): devices
    whose kernel half keeps to the namespaces of whoever opens them, and no others."""

    TUN = "/dev/net/tun"
    """Links of one's own (VPN): in the opener's network namespace, with CAP_NET_ADMIN there."""
    FUSE = "/dev/fuse"
    """File systems of one's own: seen in the opener's user namespace and those below it only."""


class RestartMode(StrEnum):
    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


class RestartPolicy(Message):
    """What the node does when the init process ends without being asked to.

    A reboot from inside always starts again, a power-off from inside never does. What ends again and again
    waits for up to half a minute whatever is said here.
    """

    mode: RestartMode = RestartMode.ALWAYS
    first_delay_s: Annotated[float, Field(ge=0, le=60)] = 0.5
    max_delay_s: Annotated[float, Field(ge=0, le=3600)] = 60.0
    """The delay doubles from first to max, and starts over after ten minutes of running."""


class Rescue(StrEnum):
    """What it is started with: its own root, or a small system of the node's, with its disk at /mnt."""

    OFF = "off"
    ONLINE = "online"
    OFFLINE = "offline"
    """As `online`, and nothing goes in or out on its addresses."""


class Boot(Message):
    """When its turn is, at a start of its node."""

    order: Annotated[int, Field(ge=0, le=1000)] = 0
    """The higher, the earlier; those of one order start together."""
    delay_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    """Those of a lower order wait so long after it has started."""


class Credentials(Message):
    """How root gets in. Applied when `revision` is newer than what the node last applied."""

    revision: Annotated[int, Field(ge=0)] = 0
    ssh_keys: tuple[Annotated[str, StringConstraints(max_length=16_384, pattern=r"^[^\r\n\x00]+$")], ...] = ()
    root_password_hash: (
        Annotated[str, StringConstraints(max_length=256, pattern=r"^[!*]$|^\$[A-Za-z0-9./$=,+-]+$")] | None
    ) = Field(default=None, repr=False)
    """crypt(5) text; `!` locks the password; None leaves it as it is."""


class Origin(Message):
    """A snapshot that a root is made from, in place of its image."""

    environment_id: UUID
    """Whose: its own, or another environment of the same tenant on the same node."""
    snapshot: UUID
    """With `backup`: the id of that."""
    backup: BackupSource | None = None
    """It is no snapshot of this node: it comes from a repository first."""


class EnvironmentSpec(Message):
    """Brings a node from whatever is there to this. Safe to apply twice, late or out of order."""

    version: Literal[1] = CONTRACT_VERSION
    id: UUID
    tenant_id: UUID
    node: Name
    name: Name
    """The host name inside, unless it is an app that was given one."""
    generation: Annotated[int, Field(ge=1)]
    """Counts up with every change of intent; an older one than the node has seen is dropped."""
    kind: Kind = Kind.SYSTEM
    kernel: Kernel = Kernel.SHARED
    image: ImageName
    desired: DesiredState
    slot: Annotated[int, Field(ge=0, le=4093)]
    """Number of its 65,536 user ids on the node; no two environments of a node share one."""
    limits: Limits
    envelope: TenantEnvelope = TenantEnvelope()
    network: Network = Network()
    credentials: Credentials = Credentials()
    security: SecurityProfile = SecurityProfile()
    devices: Annotated[tuple[Device, ...], Field(max_length=len(Device))] = ()
    """Given at the next start."""
    host_devices: Annotated[tuple[GivenDevice, ...], Field(max_length=MOST_GIVEN)] = ()
    """Of the node's list; given and taken away while it runs."""
    limit_rules: Annotated[tuple[RuleText, ...], Field(max_length=MOST_RULES)] = ()
    """What is done when it has so much of something: `runtime.contract.limit_rules`."""
    boot_words: Annotated[tuple[BootWord, ...], Field(max_length=MOST_BOOT_WORDS)] = ()
    """Of a kernel of its own, at its next start: what else it is told. Other kernels hear none."""
    cpu_pool: PoolName = ""
    """Whose processors it runs on, with whoever else is in that; empty: on those that are in none."""
    restart: RestartPolicy = RestartPolicy()
    boot: Boot = Boot()
    hooks: Hooks = Hooks()
    rescue: Rescue = Rescue.OFF
    """Followed at the next start."""
    boots: Annotated[int, Field(ge=0)] = 0
    """Counts asked-for restarts: a higher number than the node last booted means stop, then start."""
    installs: Annotated[int, Field(ge=0)] = 0
    """Counts asked-for reinstalls: a higher number than the node last installed makes a new root."""
    origin: Origin | None = None
    """What the newest install is made from; None: the image."""
    snapshots: Annotated[tuple[UUID, ...], Field(max_length=MOST_SNAPSHOTS)] = ()
    """Those that there are to be, oldest first: one that wasn't made yet is of the root as it is at the apply,
    before a new install. One that isn't named any more is deleted."""
    volumes: Annotated[tuple[AttachedVolume, ...], Field(max_length=MOST_ATTACHED)] = ()
    """Attached and detached live."""
    keep_old_root: bool = False
    """With a reinstall: the old tree is found under /old in the new one."""
    stop_timeout_s: Annotated[float, Field(ge=0, le=600)] = 30.0
    """Polite stop until this deadline, then forced. 0: forced at once."""
    deadline_s: Annotated[float, Field(ge=1, le=3600)] = 300.0
    """The whole apply ends as failed after this time."""
    operation_id: UUID | None = None
    app: AppOptions | None = None
    directory: DirectoryOptions | None = None
    jail: JailOptions | None = None
    """Its walls and its command are followed at the next start, its base at the next install."""

    @property
    def made_from(self) -> str:
        """What its root comes from, for people."""
        return self.app.image if self.app else self.image

    @property
    def host_name(self) -> str:
        """What it is called inside."""
        return (self.app.hostname if self.app else "") or self.name

    @property
    def runs_app(self) -> bool:
        """Whether its first process is one application, and no system, neither its own nor one to repair it."""
        return self.app is not None and self.rescue is Rescue.OFF

    @property
    def runs_on(self) -> Kernel:
        """The kernel of its next start: a rescue system has the host's own, whatever the environment has."""
        return self.kernel if self.rescue is Rescue.OFF else Kernel.SHARED

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (odd := refused(self.boot_words)) is not None:
            raise ValueError(f"boot_words: {odd} can't be given")
        if self.kind is not Kind.APP and self.app is not None:
            raise ValueError("app: only an environment of kind app takes app options")
        if self.kind is Kind.APP and (self.app is None or self.image != APP_IMAGE):
            raise ValueError("app: an environment of kind app names its image there")
        if self.kind is not Kind.DIRECTORY and self.directory is not None:
            raise ValueError("directory: only an environment of kind directory takes these options")
        if self.kind is Kind.DIRECTORY:
            self._fits_directory()
        if (self.kind is Kind.JAIL) != (self.jail is not None):
            raise ValueError("jail: an environment of kind jail has jail options, and no other has")
        for what in ("volume_id", "path"):
            if len({getattr(one, what) for one in self.volumes}) < len(self.volumes):
                raise ValueError("volumes: each once, and each at a path of its own")
        return self

    def _fits_directory(self) -> None:
        """It has no network, no first process and no device: what asks for one is a mistake of the panel's."""
        if self.directory is None or self.image != DIRECTORY_IMAGE:
            raise ValueError("directory: an environment of kind directory says its profile")
        network = self.network
        if network.ipv4 or network.ipv6 or network.forwards:
            raise ValueError("network: a directory has none")
        if self.devices or self.host_devices or self.volumes or self.rescue is not Rescue.OFF:
            raise ValueError("a directory has no devices, no volumes and no rescue system")
