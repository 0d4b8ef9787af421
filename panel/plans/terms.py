"""What a plan says besides the kernel's limits: how many of what, how much traffic, and which choices."""

from enum import StrEnum
from typing import Annotated

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _
from pydantic import Field

from panel.tenants.models import MOST_TRASH_DAYS
from runtime.contract import Device, Kernel, Kind
from runtime.contract.base import ImageName, Message, Name
from runtime.contract.environment import HIGHEST_RATE_BIT_S

#: Most of anything that is counted; more is a slip of the keyboard.
_MOST = 100_000


class TrafficAction(StrEnum):
    """What happens once the month's traffic is used up."""

    SLOW = "slow"
    SUSPEND = "suspend"


class Allowances(Message):
    """Per environment. None: as many as the tenant's quota leaves."""

    addresses: Annotated[int, Field(ge=0, le=_MOST)] | None = None
    """IPv4 addresses."""
    forwards: Annotated[int, Field(ge=0, le=_MOST)] | None = None
    snapshots: Annotated[int, Field(ge=0, le=_MOST)] | None = None
    backups: Annotated[int, Field(ge=0, le=_MOST)] | None = None
    trash_days: Annotated[int, Field(ge=0, le=MOST_TRASH_DAYS)] | None = None
    """How long what is deleted, or replaced by a reinstall, can be brought back. None: as its tenant has it."""
    traffic_gb: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """Gigabytes (10^9 bytes) in a calendar month of the tenant's time zone, both directions together."""
    traffic_action: TrafficAction = TrafficAction.SLOW
    traffic_slow_bit_s: Annotated[int, Field(ge=8_000, le=HIGHEST_RATE_BIT_S)] = 1_000_000
    """The rate each way once it is used up, with the action `slow`."""


class Opening(TextChoices):
    """What lifts a part of an environment's confinement: fields of `SecurityProfile` and `NetworkOptions`."""

    NESTING = "nesting", _("Containers inside")
    FIREWALL = "firewall", _("Its own firewall")
    COMPAT32 = "compat32", _("32-bit programs")
    PRIVATE = "allow_private", _("Private networks beyond the node")
    SMTP = "allow_smtp", _("Mail to port 25")


class Choices(Message):
    """Which kinds, kernels and images (None: all that a node offers); which devices (none: no device)."""

    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] | None = None
    kernels: Annotated[tuple[Kernel, ...], Field(min_length=1)] | None = None
    images: Annotated[tuple[ImageName, ...], Field(min_length=1, max_length=200)] | None = None
    devices: Annotated[tuple[Device, ...], Field(max_length=len(Device))] = ()
    opens: Annotated[tuple[Opening, ...], Field(max_length=len(Opening))] = ()
    """What of the confinement its tenant may lift; without, it takes an administrator."""
    host_devices: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    """By their names on the lists of nodes."""
