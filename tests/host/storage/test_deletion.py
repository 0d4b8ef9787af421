"""D05, D07: whatever a tree holds, it goes in bounded time; whoever isn't root sees nothing of the pool."""

import os
import stat
import subprocess
import time
from pathlib import Path

from runtime.contract import DesiredState, Limits, ObservedState, SecurityProfile
from runtime.engine import Engine
from runtime.host import btrfs, mounts
from runtime.node import Node
from runtime.resources.volume import RootVolume
from tests.host.conftest import Make
from tests.host.support.laboratory import inside
from tests.host.support.node import Specs


def _entangle() -> dict[str, int]:
    """Deep, many, oddly named, nested and read-only: all that makes a recursive delete stumble."""
    import ctypes
    import os
    import struct

    libc = ctypes.CDLL(None, use_errno=True)

    def volume(place: str, name: str) -> int:
        fd = os.open(place, os.O_RDONLY)
        data = struct.pack("=q4088s", 0, name.encode())
        answer = libc.ioctl(
            fd, ctypes.c_ulong(1 << 30 | 4096 << 16 | 0x940E), ctypes.create_string_buffer(data, 4096)
        )
        os.close(fd)
        return int(answer)

    def lock(place: str) -> int:
        fd = os.open(place, os.O_RDONLY)
        flags = ctypes.create_string_buffer(struct.pack("=Q", 2), 8)
        answer = libc.ioctl(fd, ctypes.c_ulong(1 << 30 | 8 << 16 | 0x941A), flags)
        os.close(fd)
        return int(answer)

    made = sum(volume("/", f"nested{one}") == 0 for one in range(12))
    place = "/nested0"
    for level in range(8):
        made += volume(place, f"in{level}") == 0
        place += f"/in{level}"
    for name in (b"\xff\xfe", b"new\nline", b"-rf", b"\x1b[2J", b"x" * 255):
        os.close(os.open(b"/nested1/" + name, os.O_CREAT))
    for number in range(3000):
        os.close(os.open(f"/nested1/{number}", os.O_CREAT))
    os.chdir("/nested2")
    depth = 0
    while depth < 5000:
        os.mkdir("d")
        os.chdir("d")
        depth += 1
    os.chdir("/")
    locked = sum(lock(one) == 0 for one in (place, "/nested1", "/"))
    return {"made": made, "locked": locked}


def _subvolumes(node: Node, of: str) -> list[str]:
    said = subprocess.run(
        ["btrfs", "subvolume", "list", node.store], check=True, capture_output=True, timeout=20
    )
    return [line for line in said.stdout.decode(errors="replace").splitlines() if of in line]


def test_d05_a_tangled_tree_goes_at_once(
    node: Node, make: Make, image: str, engine: Engine, specs: Specs
) -> None:
    limits = Limits(cpu=1, memory_mb=128, disk_mb=128)
    spec = make(image=image, limits=limits, security=SecurityProfile(nesting=True))
    assert inside(node, spec, _entangle) == {"made": 20, "locked": 3}
    assert len(_subvolumes(node, str(spec.id))) == 21
    began = time.monotonic()
    report = engine.apply(specs.change(spec, desired=DesiredState.DELETED))
    assert report is not None
    assert report.state is ObservedState.DELETED, report.message
    assert time.monotonic() - began < 20
    assert _subvolumes(node, str(spec.id)) == []


def test_d05_a_root_made_read_only_can_be_reinstalled(
    node: Node, make: Make, engine: Engine, specs: Specs
) -> None:
    """Its owner may set the flag; keeping the old tree moves it, which a read-only one refuses."""
    spec = make()
    btrfs.set_readonly(node.root_volume(spec.id), True)
    report = engine.apply(specs.change(spec, installs=1, keep_old_root=True))
    assert report is not None
    assert not report.code, report.message
    assert (node.root_volume(spec.id) / "old/bin/busybox").exists()


def _as_nobody(paths: list[Path]) -> list[str]:
    """What of these an ordinary user of the host can list, in the node's own mount namespace even."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        for path in paths:
            try:
                os.listdir(path)
                os.write(writing, f"{path}\n".encode())
            except OSError:
                continue
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as file:
        return file.read().split()


def test_d07_an_ordinary_user_reaches_no_tree(node: Node, make: Make) -> None:
    spec = make()
    places = [node.root, node.store, node.volume(spec.id), node.root_volume(spec.id), node.image("busybox")]
    places += [node.environment(spec.id), node.mount_point(spec.id) / "root", node.oci_root, node.exits]
    assert _as_nobody(places) == []
    assert stat.S_IMODE(node.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(node.environment(spec.id).stat().st_mode) == 0o700


def test_d07_no_file_of_the_pool_runs_with_rights_on_the_host(node: Node) -> None:
    (line,) = [one for one in mounts.mount_table() if one.split()[4] == str(node.store)]
    assert {"nosuid", "nodev"} <= set(line.split()[5].split(","))


def test_d11_records_are_roots_alone(node: Node, make: Make) -> None:
    spec = make(credentials={"revision": 1, "root_password_hash": "$6$salt$hash"})
    for file in node.environment(spec.id).rglob("*"):
        if file.is_file():
            inherited = file.stat().st_mode & 0o077 and file.parent.stat().st_mode & 0o077
            assert not inherited, f"{file} can be read by others"
    assert not list(Path("/tmp").glob(f"*{spec.id}*"))


def test_subvolumes_that_are_not_cleaned_yet_are_counted(node: Node) -> None:
    """A deleted one holds memory of the kernel and its quota group until the cleaner has been there."""
    volume, place = RootVolume(node), node.store / "many"
    before = volume.being_cleaned()
    btrfs.create_subvolume(place)
    for number in range(200):
        btrfs.create_subvolume(place / str(number))
    assert volume.being_cleaned() <= before
    assert btrfs.subvolume_count(node.store) >= 201
    assert btrfs.delete_subvolume(place) == 201
    assert 0 < volume.being_cleaned() <= before + 201
