"""Volumes, and a root inside who wants the node to be wrong about what is mounted."""

from runtime.contract import EnvironmentSpec
from runtime.engine import Engine
from runtime.host.processes import Identity
from runtime.jobs.volumes import is_held
from runtime.node import Node
from runtime.sandboxes import sandbox_of
from runtime.storage.mounted import MOST_BYTES, Mounts, mounts_of
from tests.host.conftest import Make
from tests.host.support.disks import Disks
from tests.host.support.inside import attempt, sh
from tests.host.support.laboratory import inside
from tests.host.support.waiting import wait_until


def seen(node: Node, spec: EnvironmentSpec) -> Mounts:
    first = Identity.parse(sandbox_of(node).look(spec.id).identity)
    assert first is not None
    return mounts_of(first)


#: An init that goes where it is told to.
_INIT = """#!/usr/bin/python3 -IS
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while not os.path.exists("/go"):
    time.sleep(0.02)
os.makedirs("/jail", exist_ok=True)
os.chroot("/jail")
os.chdir("/")
os.mkdir("/went")
while True:
    time.sleep(60)
"""


def test_a_first_process_that_moved_its_root_is_given_it_once_and_loses_it(
    disks: Disks, make: Make, node: Node, engine: Engine, image: str
) -> None:
    """Its list of mounts is empty then: each round attached another one, and a detach said that it was done."""
    spec = make(image=image)
    sh(node, spec, f"rm /sbin/init; cat > /sbin/init <<'END'\n{_INIT}END\nchmod 755 /sbin/init")
    spec, report = disks.apply(spec, boots=spec.boots + 1)
    assert not report.code, report.message
    spec = disks.attach(spec, volume := disks.new())
    sh(node, spec, "touch /go")
    wait_until(lambda: attempt(node, spec, "test -d /jail/went")[0] == 0, "its root elsewhere")
    for _ in range(2):
        engine.reconcile()
    assert sh(node, spec, "grep -c ' /mnt/data ' /proc/self/mountinfo") == "1"
    assert is_held(node, volume)
    spec, report = disks.apply(spec, volumes=())
    assert not report.code, report.message
    assert sh(node, spec, "grep -c ' /mnt/data ' /proc/self/mountinfo || true") == "0"


def test_who_unmounts_it_himself_and_keeps_it_elsewhere_has_it_still(
    disks: Disks, make: Make, node: Node
) -> None:
    spec = disks.attach(make(), disks.new())
    sh(
        node,
        spec,
        "unshare -m sh -c 'mount --make-rprivate /; touch /private; exec sleep 1000' "
        ">/dev/null 2>&1 </dev/null & "
        "until test -e /private; do sleep 0.05; done; umount /mnt/data",
    )
    spec, report = disks.apply(spec, volumes=())
    assert report.code == "volume_held", report.message
    assert "in use by sleep" in str(report.message)


def mount_very_many(number: int) -> int:
    """Mounts whose names take 16 KB each in the kernel's list."""
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount(b"none", b"/", None, 1 << 18 | 1 << 14, None)  # nothing of it propagates
    for _ in range(15):
        os.mkdir(b"\1" * 255)
        os.chdir(b"\1" * 255)
    assert libc.mount(b"none", b".", b"tmpfs", 0, None) == 0
    return sum(libc.mount(b".", b".", None, 1 << 12, None) == 0 for _ in range(number))


def test_a_list_of_mounts_without_end_is_not_read_to_its_end(
    disks: Disks, make: Make, node: Node, engine: Engine, image: str
) -> None:
    """25,000 such mounts, made in eight seconds, held a round up for twenty, and a neighbour's deletion too."""
    spec, other = disks.attach(make(image=image), disks.new()), disks.new()
    assert inside(node, spec, mount_very_many, 1500) == 1500
    assert sum(map(len, seen(node, spec).lines)) < 2 * MOST_BYTES + 2**20
    _, report = disks.apply(spec, volumes=())
    assert report.code == "volume_held", report.message
    assert "so much is mounted inside" in str(report.message)
    assert not is_held(node, other)
    engine.reconcile()
    assert sh(node, spec, "touch /mnt/data/there; ls /mnt/data") == "there"
