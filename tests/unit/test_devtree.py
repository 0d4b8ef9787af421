"""What a device is goes by what the kernel and udev say of its number: machines of all sorts, as files."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from runtime.contract import AllowedDevice, AllowedDevices, DeviceClass
from runtime.host import devtree
from runtime.host.devtree import Number


class Machine:
    def __init__(self, root: Path):
        self.root = root
        (root / "sys/dev/char").mkdir(parents=True)
        (root / "udev").mkdir()

    def has(self, number: str, subsystem: str, name: str, *told: str, interfaces: tuple[str, ...] = ()) -> None:
        real = self.root / "sys/devices" / number.replace(":", "-")
        real.mkdir(parents=True)
        place = self.root / "sys/class" / subsystem
        place.mkdir(parents=True, exist_ok=True)
        (real / "subsystem").symlink_to(place)
        major, minor = number.split(":")
        (real / "uevent").write_text(f"MAJOR={major}\nMINOR={minor}\nDEVNAME={name}\n")
        for index, one in enumerate(interfaces):
            (real / f"1-1:1.{index}").mkdir()
            (real / f"1-1:1.{index}/bInterfaceClass").write_text(f"{one}\n")
        (self.root / "sys/dev/char" / number).symlink_to(real)
        if told:
            (self.root / "udev" / f"c{number}").write_text("".join(f"E:{one}\n" for one in told))

    def goes(self, number: str) -> None:
        (self.root / "sys/dev/char" / number).unlink()
        (self.root / "udev" / f"c{number}").unlink()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(devtree, "SYSFS", tmp_path / "sys")
    monkeypatch.setattr(devtree, "UDEV", tmp_path / "udev")
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("number", "subsystem", "name", "interfaces", "sort"),
    [
        ("188:0", "tty", "ttyUSB0", (), DeviceClass.SERIAL),
        ("166:1", "tty", "ttyACM1", (), DeviceClass.SERIAL),
        ("4:65", "tty", "ttyS1", (), DeviceClass.SERIAL),
        ("81:0", "video4linux", "video0", (), DeviceClass.VIDEO),
        ("116:3", "sound", "snd/pcmC0D0p", (), DeviceClass.SOUND),
        ("13:68", "input", "input/event4", (), DeviceClass.INPUT),
        ("240:0", "hidraw", "hidraw0", (), DeviceClass.INPUT),
        ("180:0", "usbmisc", "usb/lp0", (), DeviceClass.USB_PRINTER),
        ("189:3", "usb", "bus/usb/001/004", ("07",), DeviceClass.USB_PRINTER),
        ("189:4", "usb", "bus/usb/001/005", ("ff",), DeviceClass.USB_SCANNER),
        ("189:5", "usb", "bus/usb/001/006", ("06", "07"), DeviceClass.USB_SCANNER),
        ("10:232", "misc", "kvm", (), DeviceClass.KVM),
        ("10:183", "misc", "hwrng", (), DeviceClass.CHARACTER),
    ],
)
def test_what_may_be_given(
    machine: Machine, number: str, subsystem: str, name: str, interfaces: tuple[str, ...], sort: DeviceClass
) -> None:
    machine.has(number, subsystem, name, interfaces=interfaces)
    found = [judged for judged, _told in devtree.every()]
    assert [(str(one.number), one.name, one.sort) for one in found] == [(number, name, sort)]


@pytest.mark.parametrize(
    ("number", "subsystem", "name", "interfaces", "said"),
    [
        ("1:1", "mem", "mem", (), "memory"),
        ("1:4", "mem", "port", (), "memory"),
        ("250:0", "dax", "dax0.0", (), "memory"),
        ("21:0", "scsi_generic", "sg0", (), "a disk"),
        ("248:0", "bsg", "bsg/0:0:0:0", (), "a disk"),
        ("244:0", "nvme", "nvme0", (), "a disk"),
        ("90:0", "mtd", "mtd0", (), "a disk"),
        ("4:1", "tty", "tty1", (), "console or a terminal"),
        ("5:1", "tty", "console", (), "console or a terminal"),
        ("136:7", "tty", "pts/7", (), "console or a terminal"),
        ("10:237", "misc", "loop-control", (), "host itself"),
        ("10:223", "misc", "uinput", (), "host itself"),
        ("10:196", "vfio", "vfio/vfio", (), "host itself"),
        ("10:238", "misc", "vhost-net", (), "host itself"),
        ("202:0", "msr", "cpu/0/msr", (), "msr"),
        ("226:0", "drm", "dri/card0", (), "drm"),
        ("249:0", "watchdog", "watchdog0", (), "watchdog"),
        ("189:6", "usb", "bus/usb/001/007", ("08",), "neither a printer's"),
        ("189:7", "usb", "bus/usb/001/001", ("09",), "neither a printer's"),
        ("189:8", "usb", "bus/usb/001/008", ("07", "08"), "neither a printer's"),
        ("189:9", "usb", "bus/usb/001/009", (), "neither a printer's"),
        ("99:9", "surprise", "harmless", (), "surprise"),
    ],
)
def test_what_is_never_given(
    machine: Machine, number: str, subsystem: str, name: str, interfaces: tuple[str, ...], said: str
) -> None:
    machine.has(number, subsystem, name, interfaces=interfaces)
    major, minor = number.split(":")
    judged = devtree.judge(Number(int(major), int(minor)))
    assert judged.sort is None and said in str(judged.why_not)
    assert not list(devtree.every())


def test_the_port_that_the_kernel_writes_to_is_the_hosts(machine: Machine) -> None:
    machine.has("4:64", "tty", "ttyS0")
    machine.has("4:65", "tty", "ttyS1")
    (machine.root / "sys/class/tty/console").mkdir(parents=True)
    (machine.root / "sys/class/tty/console/active").write_text("tty0 ttyS0\n")
    assert [judged.name for judged, _told in devtree.every()] == ["ttyS1"]


def test_the_right_one_of_two_of_a_kind_on_whatever_port(machine: Machine) -> None:
    machine.has("188:0", "tty", "ttyUSB0", "ID_SERIAL=FTDI_A", "ID_PATH=usb-0:1")
    machine.has("188:1", "tty", "ttyUSB1", "ID_SERIAL=FTDI_B", "ID_PATH=usb-0:2")
    assert devtree.with_properties(("ID_SERIAL=FTDI_B",)).number == Number(188, 1)
    machine.goes("188:1")
    with pytest.raises(devtree.NoDevice, match="plugged in"):
        devtree.with_properties(("ID_SERIAL=FTDI_B",))
    machine.has("188:7", "tty", "ttyUSB7", "ID_SERIAL=FTDI_B", "ID_PATH=usb-0:3")
    assert devtree.with_properties(("ID_SERIAL=FTDI_B",)).number == Number(188, 7)


def test_what_is_said_of_two_names_neither(machine: Machine) -> None:
    machine.has("188:0", "tty", "ttyUSB0", "ID_MODEL=FT232", "ID_PATH=usb-0:1")
    machine.has("188:1", "tty", "ttyUSB1", "ID_MODEL=FT232", "ID_PATH=usb-0:2")
    with pytest.raises(devtree.NoDevice, match="several devices"):
        devtree.with_properties(("ID_MODEL=FT232",))
    assert devtree.with_properties(("ID_MODEL=FT232", "ID_PATH=usb-0:2")).number == Number(188, 1)


def test_a_disk_keeps_its_serial_number_to_itself(machine: Machine) -> None:
    """What udev says of it leads to no disk: it is judged as any other."""
    machine.has("21:0", "scsi_generic", "sg0", "ID_SERIAL=Disk")
    assert devtree.with_properties(("ID_SERIAL=Disk",)).sort is None


@pytest.mark.parametrize(
    "device",
    [
        {"name": "modem"},
        {"name": "modem", "path": "/dev/ttyUSB0", "udev": ["ID_SERIAL=x"]},
        {"name": "modem", "path": "/etc/passwd"},
        {"name": "modem", "path": "/dev/../etc/passwd"},
        {"name": "modem", "udev": ["serial"]},
        {"name": "Modem", "path": "/dev/ttyUSB0"},
        {"name": "null", "path": "/dev/ttyUSB0"},
        {"name": "modem", "path": "/dev/ttyUSB0", "inside": "/dev/null"},
        {"name": "modem", "path": "/dev/ttyUSB0", "inside": "/etc/x"},
        {"name": "modem", "path": "/dev/ttyUSB0", "inside": "/dev/.."},
        {"name": "modem", "path": "/dev/ttyUSB0", "inside": "/dev/bus/usb"},
    ],
)
def test_what_can_not_be_listed(device: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AllowedDevice.model_validate(device)


def test_a_name_and_a_place_inside_once() -> None:
    one = AllowedDevice(name="a", path="/dev/x", inside="/dev/b")
    for other in (AllowedDevice(name="a", path="/dev/y"), AllowedDevice(name="b", path="/dev/y")):
        with pytest.raises(ValidationError):
            AllowedDevices(devices=(one, other))
