"""Devices of the host that an environment is given while it runs: seen inside, opened as far as was said."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from runtime import allowed_devices
from runtime.contract import (
    Access,
    AllowedDevice,
    AllowedDevices,
    DesiredState,
    Device,
    EnvironmentSpec,
    GivenDevice,
    Kernel,
    Rescue,
)
from runtime.engine import Engine
from runtime.glance import Glance
from runtime.host import cgroup, devtree
from runtime.node import Node
from runtime.resources.given_devices import GivenDevices
from runtime.sandboxes import sandbox_of
from runtime.sandboxes.shared.cgroup import Cgroup
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs

#: Character devices of the kernel itself that machines without any hardware have.
_RANDOM, _KVM = Path("/dev/hwrng"), Path("/dev/kvm")
_revisions = count(1)
Listed = Callable[..., None]


@pytest.fixture
def listed(node: Node) -> Iterator[Listed]:
    """Has the node hold a list of these."""

    def hold(*allowed: AllowedDevice) -> None:
        assert allowed_devices.note(node, AllowedDevices(revision=next(_revisions), devices=allowed))

    allowed_devices.known(node)
    yield hold
    hold()


@pytest.fixture
def random(listed: Listed) -> GivenDevice:
    if not _RANDOM.is_char_device():
        pytest.skip("this kernel has no /dev/hwrng")
    listed(AllowedDevice(name="dice", path=str(_RANDOM)))
    return GivenDevice(name="dice", access=Access.READ)


def opens(node: Node, spec: EnvironmentSpec, path: str, how: str = "<") -> bool:
    return sh(node, spec, f"(: {how} {path}) 2>/dev/null && echo yes || echo no").strip() == "yes"


def applied(engine: Engine, spec: EnvironmentSpec) -> EnvironmentSpec:
    report = engine.apply(spec)
    assert report is not None and not report.code, report and report.message
    return spec


def test_it_comes_and_goes_while_it_runs(
    make: Make, node: Node, engine: Engine, specs: Specs, random: GivenDevice
) -> None:
    spec = make()
    first = sandbox_of(node).look(spec.id).identity
    assert not opens(node, spec, "/dev/dice")
    spec = applied(engine, specs.change(spec, host_devices=(random,)))
    assert sh(node, spec, "ls -l /dev/dice").startswith("c")
    assert "10, 183" in " ".join(sh(node, spec, "ls -l /dev/dice").split())
    assert opens(node, spec, "/dev/dice")
    assert not opens(node, spec, "/dev/dice", ">"), "it was given to read"
    assert GivenDevices(node, sandbox_of(node)).drifted(spec, Glance()) is None
    spec = applied(engine, specs.change(spec, host_devices=()))
    assert sh(node, spec, "ls /dev/dice 2>&1 || true").strip().endswith("No such file or directory")
    assert not (node.given / str(spec.id)).exists()
    assert sandbox_of(node).look(spec.id).identity == first, "it was never started anew"


def test_it_is_there_before_the_first_instruction_and_after_a_restart(
    make: Make, node: Node, engine: Engine, specs: Specs, random: GivenDevice
) -> None:
    spec = make(host_devices=(random,))
    assert opens(node, spec, "/dev/dice")
    spec = applied(engine, specs.change(spec, boots=1, stop_timeout_s=0))
    assert opens(node, spec, "/dev/dice")
    spec = applied(engine, specs.change(spec, desired=DesiredState.STOPPED, stop_timeout_s=0))
    assert not (node.given / str(spec.id)).exists(), "nothing is left of it while it is off"


def test_a_number_that_was_not_given_opens_nothing(
    make: Make, node: Node, engine: Engine, specs: Specs, listed: Listed, random: GivenDevice
) -> None:
    """Not even with a node of it at hand: the control group refuses what the list has no more."""
    spec = make(host_devices=(random,))
    sh(node, spec, "mkdir -p /tmp/kept && touch /tmp/kept/one && mount --bind /dev/dice /tmp/kept/one")
    assert opens(node, spec, "/tmp/kept/one")
    spec = applied(engine, specs.change(spec, host_devices=()))
    assert not opens(node, spec, "/tmp/kept/one")
    assert "rw" not in sh(node, spec, "mknod /tmp/own c 10 183 && echo rw || true")


def test_read_and_write_are_told_apart_and_changed_while_it_runs(
    make: Make, node: Node, engine: Engine, specs: Specs, listed: Listed
) -> None:
    if not _KVM.is_char_device():
        pytest.skip("this kernel has no /dev/kvm")
    listed(AllowedDevice(name="machines", path=str(_KVM), inside="/dev/kvm"))
    spec = make(host_devices=(GivenDevice(name="machines", access=Access.READ),))
    assert opens(node, spec, "/dev/kvm") and not opens(node, spec, "/dev/kvm", "<>")
    spec = applied(engine, specs.change(spec, host_devices=(GivenDevice(name="machines"),)))
    assert opens(node, spec, "/dev/kvm", "<>")
    assert "10, 232" in " ".join(sh(node, spec, "ls -l /dev/kvm").split())


def test_the_same_one_comes_back_when_it_is_plugged_in_again(
    make: Make,
    node: Node,
    engine: Engine,
    specs: Specs,
    listed: Listed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """udev's notes are stand-ins, the devices are the kernel's own: it gets another number each time."""
    if not (_KVM.is_char_device() and _RANDOM.is_char_device()):
        pytest.skip("this kernel has no two devices for it")
    monkeypatch.setattr(devtree, "UDEV", tmp_path)
    listed(AllowedDevice(name="modem", udev=("ID_SERIAL=Acme_Modem_0001",)))
    (tmp_path / "c10:183").write_text("S:serial/by-id/x\nE:ID_SERIAL=Acme_Modem_0001\n")
    (tmp_path / "c10:232").write_text("E:ID_SERIAL=Acme_Modem_0002\n")
    spec = make(host_devices=(GivenDevice(name="modem"),))
    devices = GivenDevices(node, sandbox_of(node))

    def number() -> str:
        return " ".join(sh(node, spec, "ls -l /dev/modem 2>/dev/null || true").split())

    assert "10, 183" in number(), "of two of a kind the right one"
    (tmp_path / "c10:183").unlink()
    assert devices.drifted(spec, Glance()) is not None, "it was plugged away"
    engine.again(spec.id)
    assert number() == ""
    (tmp_path / "c10:232").write_text("E:ID_SERIAL=Acme_Modem_0001\n")
    assert devices.drifted(spec, Glance()) is not None
    engine.again(spec.id)
    assert "10, 232" in number()
    assert devices.drifted(spec, Glance()) is None
    assert opens(node, spec, "/dev/modem", "<>")


@pytest.mark.skipif(cgroup.version() != 1, reason="on cgroup v2 the list is a program that can't be read")
def test_what_somebody_lifted_on_the_host_is_taken_back(
    make: Make, node: Node, engine: Engine, random: GivenDevice
) -> None:
    spec = make(host_devices=(random,))
    (cgroup.ROOT / "devices" / Cgroup(node).path(spec) / "devices.allow").write_text("c 10:232 rw")
    assert GivenDevices(node, sandbox_of(node)).drifted(spec, Glance()) is not None
    engine.again(spec.id)
    lines = (cgroup.ROOT / "devices" / Cgroup(node).path(spec) / "devices.list").read_text().splitlines()
    assert "c 10:183 r" in lines and not any(one.startswith("c 10:232") for one in lines)


def test_it_goes_together_with_the_devices_of_every_kernel(
    make: Make, node: Node, image: str, random: GivenDevice
) -> None:
    spec = make(image=image, devices=(Device.FUSE,), host_devices=(random,))
    assert opens(node, spec, "/dev/fuse", "<>") and opens(node, spec, "/dev/dice")
    assert not opens(node, spec, "/dev/net/tun", "<>")


def test_nobody_inside_changes_the_node(make: Make, node: Node, random: GivenDevice) -> None:
    spec = make(host_devices=(random,))
    for words in ("chmod 600 /dev/dice", "chown 0:0 /dev/dice", "rm /dev/dice"):
        assert sh(node, spec, f"{words} 2>/dev/null && echo done || true") == ""
    sh(node, spec, "mount -o remount,bind,rw /dev/dice 2>/dev/null; chmod 600 /dev/dice 2>/dev/null || true")
    assert os.stat(node.given / str(spec.id) / "c10:183").st_mode & 0o777 == 0o666


def test_what_its_owner_has_of_that_name_stays(
    make: Make, node: Node, engine: Engine, specs: Specs, random: GivenDevice
) -> None:
    spec = make()
    sh(node, spec, "ln -s /etc/passwd /dev/dice")
    spec = specs.change(spec, host_devices=(random,))
    report = engine.apply(spec)
    assert report is not None and report.code == "no_place"
    assert "/dev/dice is something else" in report.message
    assert sh(node, spec, "readlink /dev/dice").strip() == "/etc/passwd"
    sh(node, spec, "rm /dev/dice")
    spec = applied(engine, specs.change(spec, host_devices=(random,)))
    assert opens(node, spec, "/dev/dice")


def test_a_rescue_system_has_none_and_it_comes_back(
    make: Make, node: Node, engine: Engine, specs: Specs, random: GivenDevice
) -> None:
    spec = make(host_devices=(random,))
    spec = applied(engine, specs.change(spec, rescue=Rescue.ONLINE, boots=1, stop_timeout_s=0))
    assert not opens(node, spec, "/dev/dice")
    spec = applied(engine, specs.change(spec, rescue=Rescue.OFF, boots=2, stop_timeout_s=0))
    assert opens(node, spec, "/dev/dice")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dev/loop0", "disk"),
        ("/dev/kmsg", "memory"),
        ("/dev/loop-control", "host itself is changed"),
        ("/dev/btrfs-control", "host itself is changed"),
        ("/dev/tty1", "console or a terminal"),
        ("/dev/ttyS0", "console or a terminal"),
        ("/dev/ptmx", "console or a terminal"),
    ],
)
def test_what_is_never_given_is_told_by_what_the_kernel_says_it_is(
    engine: Engine, specs: Specs, busybox: str, listed: Listed, tmp_path: Path, path: str, said: str
) -> None:
    """By a harmless name, too."""
    if not Path(path).exists():
        pytest.skip(f"this machine has no {path}")
    if path == "/dev/ttyS0" and "ttyS0" not in Path("/sys/class/tty/console/active").read_text():
        pytest.skip("its kernel doesn't write to this port")
    listed(AllowedDevice(name="harmless", path=path))
    spec = specs.new(host_devices=(GivenDevice(name="harmless"),))
    report = engine.apply(spec)
    assert report is not None
    engine.apply(specs.change(spec, desired=DesiredState.DELETED))
    assert report.code == "device_unavailable"
    assert said in report.message


def test_one_that_is_on_no_list_is_refused_and_leaves_nothing(
    make: Make, node: Node, engine: Engine, specs: Specs
) -> None:
    spec = make()
    report = engine.apply(specs.change(spec, host_devices=(GivenDevice(name="nothing"),)))
    assert report is not None and report.code == "device_unavailable"
    assert "isn't on the list" in report.message
    assert not (node.given / str(spec.id)).exists()


def test_other_kernels_have_none(engine: Engine, specs: Specs, busybox: str, node: Node) -> None:
    for kernel in (Kernel.OWN, Kernel.GUARDED):
        spec = specs.new(host_devices=(GivenDevice(name="dice"),), kernel=kernel)
        report = engine.apply(spec)
        assert report is not None and report.code
        engine.apply(specs.change(spec, desired=DesiredState.DELETED))
