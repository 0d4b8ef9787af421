"""The intent as a document: what is wanted of an environment beside what is looked for by columns.

One frozen model of contract parts, kept in one JSON column. What each part means to people (who may change it,
when it acts) is in `panel.environments.options`; a field here without a line there is refused by a test.
"""

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from pydantic import Field

from runtime.contract import (
    Allow,
    AppRun,
    Device,
    DirectoryOptions,
    GivenDevice,
    Hooks,
    JailOptions,
    Limits,
    Rescue,
    RestartPolicy,
    SecurityProfile,
)
from runtime.contract.base import Message
from runtime.contract.boot_words import MOST_BOOT_WORDS, BootWord
from runtime.contract.devices import MOST_GIVEN
from runtime.contract.environment import Boot
from runtime.contract.limit_rules import MOST_RULES, RuleText
from runtime.contract.processors import PoolName

#: Characters of the notes.
MOST_NOTES = 4000


class NetworkOptions(Message):
    """What tenants set of `runtime.contract.Network`; addresses and forwards are rows of their own."""

    nameservers: Annotated[tuple[IPv4Address | IPv6Address, ...], Field(max_length=3)] = ()
    """Resolvers for /etc/resolv.conf; empty: the node's own choice."""
    allow_private: bool = False
    """May open connections to private address ranges beyond the node."""
    allow_smtp: bool = False
    """May open connections to port 25."""


class Intent(Message):
    """What is wanted. Fields that `runtime.contract.EnvironmentSpec` has as well are sent to the node."""

    limits: Limits
    network: NetworkOptions = NetworkOptions()
    security: SecurityProfile = SecurityProfile()
    devices: tuple[Device, ...] = ()
    host_devices: Annotated[tuple[GivenDevice, ...], Field(max_length=MOST_GIVEN)] = ()
    """Of the list of its node."""
    limit_rules: Annotated[tuple[RuleText, ...], Field(max_length=MOST_RULES)] = ()
    """What is done when it has so much of something."""
    boot_words: Annotated[tuple[BootWord, ...], Field(max_length=MOST_BOOT_WORDS)] = ()
    """Of a kernel of its own: what else that is told."""
    cpu_pool: PoolName = ""
    """Whose processors it runs on; empty: on those that are in none."""
    restart: RestartPolicy = RestartPolicy()
    boot: Boot = Boot()
    hooks: Hooks = Hooks()
    rescue: Rescue = Rescue.OFF
    """Whether it is started with a small system of the node's, its disk at /mnt, in place of its own."""
    app: AppRun | None = None
    """Of kind `app`: how it is run. Its image is a column."""
    directory: DirectoryOptions | None = None
    """Of kind `directory`: which programs it holds. Another profile is followed by a reinstall."""
    jail: JailOptions | None = None
    """Of kind `jail`: its base, its command, and what is open in it."""
    stop_timeout_s: Annotated[float, Field(ge=0, le=600)] = 30.0
    protected: bool = False
    """Neither deleted nor reinstalled, nor is its disk made smaller, until this is taken off."""
    notes: Annotated[str, Field(max_length=MOST_NOTES)] = ""
    """For whoever looks after it; several lines."""

    @property
    def host_device_names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.host_devices)

    @property
    def all_devices(self) -> tuple[Device, ...]:
        """With those that something else that is wanted is nothing without."""
        wants_fuse = self.jail is not None and Allow.MOUNT_FUSE in self.jail.allow
        return tuple(one for one in Device if one in self.devices or (one is Device.FUSE and wants_fuse))
