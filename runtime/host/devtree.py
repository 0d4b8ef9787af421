"""What the kernel and udev say of the devices of this machine: by number, whatever their names say."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runtime.contract.devices import DeviceClass
from runtime.contract.said import NOTHING, Said
from runtime.contract.words import devices as words

SYSFS, UDEV, DEV = Path("/sys"), Path("/run/udev/data"), Path("/dev")

#: Of udev's properties, by which a device is known again.
TOLD = (
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_PATH",
    "ID_VENDOR_ID",
    "ID_MODEL_ID",
    "ID_MODEL",
    "ID_USB_INTERFACE_NUM",
)
#: linux/Documentation/admin-guide/devices.txt
_MEMORY, _CONSOLES, _MISC, _PTYS = 1, 4, 10, frozenset((2, 3, 5, *range(128, 144)))
_FIRST_SERIAL = 64
#: Subsystems by what may be given of them.
_BY_SUBSYSTEM = {
    "video4linux": DeviceClass.VIDEO,
    "dvb": DeviceClass.VIDEO,
    "sound": DeviceClass.SOUND,
    "input": DeviceClass.INPUT,
    "hidraw": DeviceClass.INPUT,
    "cpuid": DeviceClass.CHARACTER,
    "printer": DeviceClass.CHARACTER,
    "ppdev": DeviceClass.CHARACTER,
    "lirc": DeviceClass.CHARACTER,
}
_BY_MISC = {"hwrng": DeviceClass.CHARACTER, "kvm": DeviceClass.KVM}
#: bInterfaceClass of the USB: imaging and printers, and what a maker calls his own, as most scanners do.
_IMAGING, _PRINTER, _OF_ITS_MAKER = "06", "07", "ff"


@dataclass(frozen=True, slots=True)
class Number:
    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}:{self.minor}"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a device is, or why it is nothing that may be given away."""

    number: Number
    name: str = ""
    """As the kernel calls it below /dev; empty where it doesn't say."""
    sort: DeviceClass | None = None
    why_not: Said = NOTHING


class NoDevice(Exception):
    """There is nothing, or no device; its text is why."""

    def __init__(self, why: Said):
        super().__init__(str(why))
        self.why = why


def at(path: str) -> Judged:
    """What lies at a name of the host, links followed. Raises `NoDevice`."""
    try:
        seen = Path(path).stat()
    except OSError as gone:
        raise NoDevice(words.not_there()) from gone
    number = Number(os.major(seen.st_rdev), os.minor(seen.st_rdev))
    if stat.S_ISBLK(seen.st_mode):
        return Judged(number, why_not=words.a_disk())
    if not stat.S_ISCHR(seen.st_mode):
        raise NoDevice(words.no_device())
    return judge(number)


def with_properties(wanted: tuple[str, ...]) -> Judged:
    """The one device of which udev says all of this. Raises `NoDevice` when it is none, or several."""
    found = [one for one, told in _database() if set(wanted) <= told]
    if not found:
        raise NoDevice(words.not_there())
    judged = [judge(one) for one in found]
    fit = [one for one in judged if one.sort is not None]
    if len(fit) > 1 or (not fit and len(judged) > 1):
        raise NoDevice(words.several(len(fit) or len(judged)))
    return (fit or judged)[0]


def every() -> Iterator[tuple[Judged, tuple[str, ...]]]:
    """Those that may be given away, with what udev says of each."""
    told = dict(_database())
    with suppress(OSError), os.scandir(SYSFS / "dev/char") as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            major, _, minor = entry.name.partition(":")
            judged = judge(Number(int(major), int(minor)))
            if judged.sort is not None and judged.name:
                known = told.get(judged.number, frozenset())
                yield judged, tuple(sorted(one for one in known if one.partition("=")[0] in TOLD))[:8]


def judge(number: Number) -> Judged:
    """What the kernel says that a character device is; its name plays no part."""
    place = SYSFS / "dev/char" / str(number)
    subsystem, name = _subsystem(place), _said(place).get("DEVNAME", "")
    if number.major == _MEMORY or subsystem in ("mem", "dax", "nd"):
        return Judged(number, name, why_not=words.memory())
    if subsystem in ("bsg", "scsi_generic", "nvme", "nvme-generic", "raw", "mtd", "ubi"):
        return Judged(number, name, why_not=words.a_disk())
    if number.major in _PTYS or subsystem in ("vc", "vtconsole", "pty"):
        return Judged(number, name, why_not=words.a_terminal())
    if subsystem == "tty" or number.major == _CONSOLES:
        return _serial(number, name)
    if subsystem == "misc" or number.major == _MISC:
        sort = _BY_MISC.get(name) if subsystem == "misc" else None
        return Judged(number, name, sort, NOTHING if sort else words.of_the_host(name or str(number)))
    if subsystem == "usbmisc":
        is_printer = name.startswith("usb/lp")
        return Judged(number, name, DeviceClass.USB_PRINTER if is_printer else DeviceClass.CHARACTER)
    if subsystem == "usb":
        return _usb(number, name, place)
    sort = _BY_SUBSYSTEM.get(subsystem)
    return Judged(number, name, sort, NOTHING if sort else words.not_known(subsystem or str(number)))


def _serial(number: Number, name: str) -> Judged:
    """Neither a console of the machine nor one that its kernel writes to."""
    with suppress(OSError):
        if name in (SYSFS / "class/tty/console/active").read_text().split():
            return Judged(number, name, why_not=words.a_terminal())
    if not name or (number.major == _CONSOLES and number.minor < _FIRST_SERIAL):
        return Judged(number, name, why_not=words.a_terminal())
    return Judged(number, name, DeviceClass.SERIAL)


def _usb(number: Number, name: str, place: Path) -> Judged:
    """A whole device of the USB: given where all of its interfaces are a printer's or a scanner's."""
    found: set[str] = set()
    with suppress(OSError):
        for one in place.resolve().glob("*:*/bInterfaceClass"):
            found.add(one.read_text().strip())
    if not found or not found <= {_IMAGING, _PRINTER, _OF_ITS_MAKER}:
        return Judged(number, name, why_not=words.other_interface())
    is_printer = found == {_PRINTER}
    return Judged(number, name, DeviceClass.USB_PRINTER if is_printer else DeviceClass.USB_SCANNER)


def _subsystem(place: Path) -> str:
    with suppress(OSError):
        return (place / "subsystem").readlink().name
    return ""


def _said(place: Path) -> dict[str, str]:
    with suppress(OSError):
        lines = (place / "uevent").read_text().splitlines()
        return dict(line.partition("=")[::2] for line in lines)
    return {}


def _database() -> Iterator[tuple[Number, frozenset[str]]]:
    """What udev noted of each character device; nothing where no udev runs."""
    with suppress(OSError), os.scandir(UDEV) as entries:
        for entry in entries:
            major, _, minor = entry.name.removeprefix("c").partition(":")
            if not entry.name.startswith("c") or not (major.isdigit() and minor.isdigit()):
                continue
            with suppress(OSError):
                lines = Path(entry.path).read_text(errors="replace").splitlines()
                told = frozenset(line[2:] for line in lines if line.startswith("E:"))
                yield Number(int(major), int(minor)), told
