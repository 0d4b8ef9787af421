"""Devices of a node's host: which there are, which an administrator allows, and which an environment has."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from runtime.contract.base import Line, Message, Name
from runtime.contract.said import NOTHING, Said
from runtime.contract.words import asked

#: Of a node's list; of what a node tells that it sees; of one environment.
MOST_ALLOWED, MOST_SEEN, MOST_GIVEN = 128, 256, 16

#: What every /dev has, or what leads into it.
_TAKEN = frozenset(
    "console core fd full fuse initctl kmsg log mqueue net null ptmx pts random shm stderr stdin stdout tty "
    "urandom zero".split()
)
HostPath = Annotated[str, StringConstraints(pattern=r"^(/dev/[A-Za-z0-9._:+/-]{1,200})?$", max_length=210)]
InsidePath = Annotated[str, StringConstraints(pattern=r"^(/dev/[A-Za-z0-9_-][A-Za-z0-9._-]{0,62})?$")]
#: `NAME=value` of udev, as `udevadm info` shows it.
Property = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}=[^\x00-\x1f\x7f]{1,255}$")]


class DeviceClass(StrEnum):
    """What the kernel says that a device is, of those that may be given away."""

    CHARACTER = "character"
    SERIAL = "serial"
    VIDEO = "video"
    SOUND = "sound"
    INPUT = "input"
    USB_PRINTER = "usb-printer"
    USB_SCANNER = "usb-scanner"
    KVM = "kvm"


class Access(StrEnum):
    """What an environment may do with a device that it has; one that it hasn't is hidden."""

    READ = "read"
    READ_WRITE = "read-write"


class GivenDevice(Message):
    """A device of the host that an environment has."""

    name: Name
    """Of the node's list."""
    access: Access = Access.READ_WRITE


class AllowedDevice(Message):
    """A device that may be given to environments, known by what stays when it is plugged in again."""

    name: Name
    path: HostPath = ""
    """A name of the host below /dev; links are followed, as those of udev in /dev/serial/by-id."""
    udev: Annotated[tuple[Property, ...], Field(max_length=8)] = ()
    """What udev says of it, all of these: `ID_SERIAL=…` wherever it is plugged in, `ID_PATH=…` whatever is
    plugged in there."""
    inside: InsidePath = ""
    """What it is called in an environment; empty: /dev/ and its name."""
    shared: bool = False
    """Several environments may have it at once."""

    @property
    def shown_as(self) -> str:
        return self.inside or f"/dev/{self.name}"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if bool(self.path) == bool(self.udev):
            raise ValueError(asked.device_is_known())
        if ".." in self.path.split("/"):
            raise ValueError(asked.device_path_goes_up())
        if self.shown_as.removeprefix("/dev/") in _TAKEN:
            raise ValueError(asked.taken_inside(self.shown_as))
        return self


class AllowedDevices(Message):
    """All of a node."""

    revision: Annotated[int, Field(ge=0)] = 0
    """Counts up with every change; one that is older than what the node knows holds no more."""
    devices: Annotated[tuple[AllowedDevice, ...], Field(max_length=MOST_ALLOWED)] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [one.name for one in self.devices]
        places = [one.shown_as for one in self.devices]
        if len(set(names)) < len(names) or len(set(places)) < len(places):
            raise ValueError(asked.devices_once())
        return self

    def named(self, name: str) -> AllowedDevice | None:
        return next((one for one in self.devices if one.name == name), None)


class SeenDevice(Message):
    """A device that is there now and might be allowed."""

    path: HostPath
    sort: DeviceClass
    number: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}:[0-9]{1,7}$")]
    udev: Annotated[tuple[Property, ...], Field(max_length=8)] = ()


class DeviceState(Message):
    """What became of one that is allowed."""

    name: Name
    sort: DeviceClass | None = None
    number: Line = ""
    """Major and minor; empty while it isn't plugged in, or is refused."""
    why_not: Said = NOTHING
    refused: bool = False
    """It is there, and is nothing that may be given away."""


class HeldDevices(Message):
    """The list as a node holds it."""

    revision: Annotated[int, Field(ge=0)] = 0
    devices: Annotated[tuple[DeviceState, ...], Field(max_length=MOST_ALLOWED)] = ()
