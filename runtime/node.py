"""One node of one installation: its settings, its paths, and the names that mark what is ours.

Several installations can live on one machine. Everything on the host that an installation makes
carries its mark: cgroup root, nftables table, link names, and the id ranges and addresses it hands out.
"""

import hashlib
import json
import os
import re
import shutil
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from runtime.contract.backup_place import HOST_PATTERN
from runtime.contract.base import Name, Port
from runtime.contract.said import Said
from runtime.contract.words import refusals

DEFAULT_HOME = Path("/var/lib/wadah")

#: First host uid of slot 0: systemd's table of uid ranges calls 0x70000000-0x7FFDFFFF unused.
#: https://systemd.io/UIDS-GIDS/
FIRST_UID = 0x70000000
IDS_PER_SLOT = 65_536
#: Slots of 65,536 ids up to 0x7FFCFFFF, which stays below 2^31; the one behind them unpacks images.
MAX_SLOTS = 4093
IMPORT_SLOT = 4093
#: Slots of builds, before that of the quarantine: so many go at once on a node.
BUILD_SLOTS = 3
#: The default installation has the 2,048 slots before, each further one on the same machine a block behind.
SMALL_BLOCKS_FROM, SMALL_BLOCK, SMALL_BLOCKS = 2048, 136, 15


class NodeSettings(BaseModel):
    """What `HOME/node/node.json` holds; written once when the node is prepared, editable by the operator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    mark: str = Field(pattern=r"^[0-9a-f]{3}$|^$")
    """Empty for the installation in /var/lib/wadah, else three hex digits of its home's hash."""
    ipv4_network: IPv4Network | None
    ipv6_network: IPv6Network | None
    first_slot: int = Field(ge=0, lt=MAX_SLOTS)
    slots: int = Field(ge=1, le=MAX_SLOTS)
    pool_bytes: int = Field(ge=256 * 2**20)
    """Size of the loop file when the pool is one."""
    pool_device: str | None = None
    """A block device with btrfs on it in place of the loop file."""
    pool_uuid: str | None = None
    """Of the file system that was made on that device here; None: whoever named it made it."""
    pool_is_written: bool = False
    """The loop file was written whole when it was made, and is never given back: no discard."""
    network_namespace: str | None = None
    """Path of the network namespace that the node's processes live in (tests, two nodes on one machine)."""
    nameservers: tuple[str, ...] = ()
    """For VEs; empty: the host's own, without loopback ones."""
    forward_ports: tuple[Port, Port] | None = None
    """The first and the last port of the node that may lead into environments; None: by its block, see
    `default_forward_ports`. Nothing of the host should listen there."""
    backup_directory: str | None = None
    """Where tenants of this node may have their backups in directories; None: nowhere here."""
    backup_server: str | None = None
    """HOST:PORT of this machine at which the other nodes get at that directory; None: they don't."""
    background_disk_mib_s: int | None = Field(default=None, ge=1, le=1_000_000)
    """The most that backups and builds read of the pool, and write to it, in MiB a second; None: no bound."""
    redis_url: str = ""
    """Broker; empty: the installation's own Redis on HOME/run/redis.sock."""

    @field_validator("backup_directory")
    @classmethod
    def _is_absolute(cls, path: str | None) -> str | None:
        if path is not None and not Path(path).is_absolute():
            raise ValueError("backup_directory is an absolute path")
        return path

    @field_validator("backup_server")
    @classmethod
    def _is_a_place(cls, text: str | None) -> str | None:
        if text is not None:
            _host_and_port(text)
        return text

    @property
    def backup_server_at(self) -> tuple[str, int] | None:
        """Host, without brackets, and port; None: nowhere, or there is no directory."""
        has_one = self.backup_server is not None and self.backup_directory is not None
        return _host_and_port(self.backup_server) if has_one and self.backup_server else None

    @field_validator("forward_ports")
    @classmethod
    def _in_order(cls, ports: tuple[int, int] | None) -> tuple[int, int] | None:
        if ports is not None and ports[0] > ports[1]:
            raise ValueError("the first port comes first")
        return ports


def _host_and_port(text: str) -> tuple[str, int]:
    """Raises `ValueError`."""
    parts = urlsplit(f"//{text}")
    if parts.path or parts.username or not parts.hostname or not re.fullmatch(HOST_PATTERN, parts.hostname):
        raise ValueError("backup_server is HOST:PORT")
    if not parts.port:
        raise ValueError("backup_server is HOST:PORT, with a port from 1 to 65535")
    return parts.hostname, parts.port


def default_forward_ports(first_slot: int) -> tuple[int, int]:
    """20000-27999 for the first block of ids, 256 ports from 28000 on for each of the others.

    Below the kernel's own choice for outgoing connections, 32768-60999.
    """
    if first_slot < SMALL_BLOCKS_FROM:
        return 20_000, 27_999
    number = (first_slot - SMALL_BLOCKS_FROM) // SMALL_BLOCK
    return 28_000 + 256 * number, 28_255 + 256 * number


def mark_of(home: Path) -> str:
    """The mark of the installation in `home`: empty for the default one."""
    if home == DEFAULT_HOME:
        return ""
    return hashlib.sha256(os.fsencode(home)).hexdigest()[:3]


def default_settings(home: Path) -> NodeSettings:
    """What an installation in `home` has by its path alone: `runtime.claims` chooses mark, networks and block
    so that no other of the machine has them.

    Slots: the first 2,048 for the default installation, else one of fifteen blocks of 136.
    """
    mark = mark_of(home)
    number = int(mark, 16) if mark else None
    octet = 88 if number is None else 89 + number % 128
    return NodeSettings(
        name=_host_name() if number is None else f"node-{mark}",
        mark=mark,
        ipv4_network=IPv4Network(f"10.{octet}.0.0/16"),
        ipv6_network=IPv6Network(f"fd88:0:0:{octet:x}::/64"),
        first_slot=0 if number is None else SMALL_BLOCKS_FROM + SMALL_BLOCK * (number % SMALL_BLOCKS),
        slots=SMALL_BLOCKS_FROM if number is None else SMALL_BLOCK,
        pool_bytes=20 * 2**30,
    )


def _host_name() -> str:
    label = "".join(c if c.isalnum() else "-" for c in socket.gethostname().split(".")[0].lower())
    return label.strip("-")[:63] or "node-1"


@dataclass(frozen=True)
class Node:
    """Paths and names of one node. Makes nothing; `runtime.prepare` does."""

    home: Path
    settings: NodeSettings = field(repr=False)

    @classmethod
    def load(cls, home: Path) -> "Node":
        """The node whose settings are in `HOME/node/node.json`; FileNotFoundError before `prepare`."""
        data = json.loads((home / "node" / "node.json").read_text())
        return cls(home=home, settings=NodeSettings.model_validate(data))

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def forward_ports(self) -> tuple[int, int]:
        """First and last port of the node that may lead into environments."""
        return self.settings.forward_ports or default_forward_ports(self.settings.first_slot)

    # names on the host -----------------------------------------------------------------------

    @cached_property
    def cgroup_name(self) -> str:
        """Top group below each controller: `wadah`, or `wadah-<mark>`."""
        return f"wadah-{self.settings.mark}" if self.settings.mark else "wadah"

    @cached_property
    def table_name(self) -> str:
        """Our nftables table (family inet, and netdev of the same name)."""
        return f"wadah_{self.settings.mark}" if self.settings.mark else "wadah"

    @cached_property
    def link_prefix(self) -> str:
        """Four letters in front of every link of ours."""
        return f"w{self.settings.mark or 'dah'}"

    def link_name(self, environment_id: UUID, number: int = 0) -> str:
        """Host side of one of the VE's interfaces: prefix, 40 bits of its id and a letter of its own, 15
        characters (IFNAMSIZ - 1). The letter of the first is a digit of the id: four bits more."""
        last = environment_id.hex[10] if number == 0 else "ghijklmnopqrstu"[number - 1]
        return f"{self.link_prefix}{environment_id.hex[:10]}{last}"

    def container_name(self, environment_id: UUID) -> str:
        """The id that conmon and the OCI runtime know it by."""
        return environment_id.hex

    # paths ---------------------------------------------------------------------------------

    @cached_property
    def root(self) -> Path:
        """Root only (0700): everything below belongs to the node half."""
        return self.home / "node"

    @cached_property
    def run(self) -> Path:
        """Sockets and pid files; gone after a reboot."""
        return self.home / "run"

    @property
    def mount_namespace(self) -> Path:
        """Pin of the mount namespace that holds the pool and the VEs' mounts."""
        return self.root / "ns" / "mnt"

    @cached_property
    def host_network(self) -> Path:
        """Pin of the host's network namespace, where the node itself lives in another: packages of an
        image come over it."""
        return self.root / "ns" / "host-net"

    @property
    def pool_file(self) -> Path:
        return self.root / "pool.btrfs"

    @cached_property
    def store(self) -> Path:
        """Where the pool is mounted, inside the node's mount namespace only."""
        return self.root / "store"

    @cached_property
    def quarantine(self) -> Path:
        """Root volumes that no environment of this node owns: put aside, for a person to say."""
        return self.store / "quarantine"

    @cached_property
    def mounts(self) -> Path:
        """Mount points that the OCI runtime reaches as root of a VE, so every directory above must let
        any user pass; HOME doesn't. What is mounted here is seen in the node's mount namespace only."""
        return Path("/run") / self.cgroup_name

    @cached_property
    def lxcfs(self) -> Path:
        return self.mounts / "lxcfs"

    @cached_property
    def devices(self) -> Path:
        """Nodes of the devices that environments may be given, in the node's mount namespace."""
        return self.mounts / "devices"

    @cached_property
    def given(self) -> Path:
        """Nodes of the host's devices that environments have, in the node's mount namespace."""
        return self.mounts / "given"

    @cached_property
    def secrets(self) -> Path:
        """Secrets of apps, in memory alone, in the node's mount namespace."""
        return self.mounts / "secrets"

    @property
    def fuse(self) -> Path:
        """The kernel's control file system of FUSE, in the node's mount namespace."""
        return self.mounts / "fuse"

    @cached_property
    def views(self) -> Path:
        """What environments are shown of /proc and /sys, in the node's mount namespace."""
        return self.mounts / "views"

    @property
    def oci_runtime(self) -> Path:
        """A view of crun that nobody can write through, in the node's mount namespace."""
        return self.mounts / "crun"

    @property
    def temporary(self) -> Path:
        """For sockets of a moment; the path is short, and what a killed program leaves goes with a reboot."""
        return self.mounts / "tmp"

    @cached_property
    def oci_root(self) -> Path:
        """The OCI runtime's own state (`crun --root`)."""
        return self.run / "oci"

    def image(self, name: str) -> Path:
        """Read-only subvolume of an image."""
        return self.store / "images" / name

    @property
    def volumes(self) -> Path:
        """Directory of the volumes, each a subvolume called by its id."""
        return self.store / "volumes"

    def volume(self, environment_id: UUID) -> Path:
        """Directory of the VE in the pool; `root` below it is its root subvolume."""
        return self.store / "environments" / str(environment_id)

    def root_volume(self, environment_id: UUID) -> Path:
        return self.volume(environment_id) / "root"

    def mount_point(self, environment_id: UUID) -> Path:
        """Where the id-mapped view of the root volume is mounted, in the node's mount namespace."""
        return self.mounts / "roots" / str(environment_id)

    def disk_point(self, environment_id: UUID) -> Path:
        """As `mount_point`, beside the rescue system that an environment is started with."""
        return self.mounts / "disks" / str(environment_id)

    def user_namespace(self, environment_id: UUID) -> Path:
        """Pin of the VE's user namespace, in the node's mount namespace."""
        return self.mounts / "users" / str(environment_id)

    def network_namespace(self, environment_id: UUID) -> Path:
        """Pin of the VE's network namespace, in the node's mount namespace."""
        return self.mounts / "networks" / str(environment_id)

    def time_namespace(self, environment_id: UUID) -> Path:
        """Pin of the VE's time namespace, in the node's mount namespace; not there on a kernel without them."""
        return self.mounts / "times" / str(environment_id)

    def environment(self, environment_id: UUID) -> Path:
        """Our own records of the VE (0700): spec, journal, bundle, console. Never below what a tenant owns."""
        return self.root / "environments" / str(environment_id)

    def bundle(self, environment_id: UUID) -> Path:
        return self.environment(environment_id) / "bundle"

    def console(self, environment_id: UUID) -> Path:
        """Directory of the VE's own console: conmon's `log` and `attach` socket."""
        return self.environment(environment_id) / "console"

    def terminals(self, environment_id: UUID) -> Path:
        """One directory per named terminal."""
        return self.environment(environment_id) / "terminals"

    @cached_property
    def exits(self) -> Path:
        """conmon writes one file per ended container here, named by container, with the exit code."""
        return self.run / "exits"

    @cached_property
    def jobs(self) -> Path:
        """A directory per job, until it has ended for a while."""
        return self.root / "jobs"

    @cached_property
    def pending(self) -> Path:
        """One empty file per environment that somebody has something to do for, named by its id."""
        return self.run / "pending"

    @property
    def agent_socket(self) -> Path:
        return self.run / "agent.sock"

    @property
    def redis_password(self) -> Path:
        """Of the user `node` of the installation's own Redis."""
        return self.root / "redis.password"

    @property
    def report_key(self) -> Path:
        """Shared with the panel; what seals this node's reports."""
        return self.root / "report.key"

    @property
    def ticket_key(self) -> Path:
        """Public half of the panel's ticket key."""
        return self.root / "panel-ticket.pub"

    def free_space(self) -> tuple[Said, ...]:
        """For people: how much is free in the pool and beside it; of what can't be asked, nothing is said."""
        found = []
        for say, path in ((refusals.free_in_pool, self.store), (refusals.free_on_disk, self.root)):
            with suppress(OSError):
                found.append(say(shutil.disk_usage(path).free // 2**20))
        return tuple(found)

    # ids -----------------------------------------------------------------------------------

    @property
    def quarantine_slot(self) -> int:
        """The last one of the node's: of what is made of a backup to see whether it starts."""
        return self.settings.first_slot + self.settings.slots - 1

    def build_slot(self, number: int) -> int | None:
        """Of the builds that go at once, from 0 to `BUILD_SLOTS`; None where the node has too few for it."""
        slot = self.quarantine_slot - 1 - number
        return slot if slot > self.settings.first_slot + BUILD_SLOTS else None

    @property
    def slots_to_hand_out(self) -> int:
        """Of the environments: all but those of the quarantine and of builds."""
        kept = 1 + sum(self.build_slot(number) is not None for number in range(BUILD_SLOTS))
        return max(1, self.settings.slots - kept)

    def first_uid(self, slot: int) -> int:
        """Host uid (and gid) of root inside the VE with this slot."""
        return FIRST_UID + slot * IDS_PER_SLOT
