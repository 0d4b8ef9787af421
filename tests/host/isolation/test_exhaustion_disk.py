"""Group B: a disk ends at its limit, and can be emptied."""

from runtime.contract import EnvironmentSpec, SecurityProfile
from runtime.host import btrfs
from runtime.node import Node
from runtime.resources.volume import RootVolume
from tests.host.isolation.conftest import Victim
from tests.host.support.inside import attempt, sh
from tests.host.support.laboratory import inside

MIB = 2**20


def test_b08_the_disk_ends_at_its_limit_and_can_be_emptied(
    node: Node, victim: Victim, neighbour: EnvironmentSpec
) -> None:
    spec = victim(disk_mb=64)
    _, said = attempt(node, spec, "dd if=/dev/zero of=/root/fill bs=1M count=200 conv=fsync")
    assert "uota exceeded" in said
    assert RootVolume(node).used_bytes(spec.id) <= 65 * MIB
    sh(node, neighbour, "echo fine > /root/fine; sync; rm /root/fine")
    sh(node, spec, "rm /root/fill; sync; dd if=/dev/zero of=/root/again bs=1M count=20 conv=fsync 2>/dev/null")


def test_b08_a_deleted_subvolume_does_not_hide_what_its_snapshots_hold(node: Node, victim: Victim) -> None:
    """Written in a nested subvolume, kept by a snapshot, the first deleted: it still counts."""
    spec = victim(disk_mb=64, security=SecurityProfile(nesting=True))

    def hide() -> list[int]:
        import ctypes
        import os
        import struct

        libc = ctypes.CDLL(None, use_errno=True)
        root = os.open("/", os.O_RDONLY)

        def volume(request: int, name: str, fd: int = 0) -> int:
            data = struct.pack("=q4088s", fd, name.encode())
            return libc.ioctl(root, ctypes.c_ulong(request), ctypes.create_string_buffer(data, len(data)))

        create, snapshot = 1 << 30 | 4096 << 16 | 0x940E, 1 << 30 | 4096 << 16 | 0x9401
        wrote = []
        for turn in range(6):
            if volume(create, f"work{turn}"):
                break
            total = 0
            try:
                with open(f"/work{turn}/data", "wb") as file:
                    for _ in range(30):
                        file.write(os.urandom(2**20))
                        file.flush()
                        os.fsync(file.fileno())
                        total += 1
            except OSError:
                pass
            source = os.open(f"/work{turn}", os.O_RDONLY)
            volume(snapshot, f"kept{turn}", source)
            os.close(source)
            try:
                os.unlink(f"/work{turn}/data")
                os.rmdir(f"/work{turn}")
            except OSError:
                pass
            os.sync()
            wrote.append(total)
        return wrote

    wrote = inside(node, spec, hide, timeout_s=60)
    btrfs.sync(node.store)
    held = sum(
        one.stat().st_blocks * 512 for one in node.root_volume(spec.id).glob("kept*/data") if one.is_file()
    )
    assert held <= 66 * MIB, f"{held // MIB} MiB are held of 64; written {wrote}"


def test_b10_empty_files_end_at_the_limit_too(node: Node, victim: Victim) -> None:
    spec = victim(disk_mb=16)

    def litter() -> int:
        import os

        os.mkdir("/litter")
        made = 0
        try:
            while made < 100_000:
                os.close(os.open(f"/litter/{made:0200d}", os.O_CREAT | os.O_WRONLY))
                made += 1
        except OSError:
            pass
        os.sync()
        return made

    assert inside(node, spec, litter, timeout_s=60) < 100_000
    assert RootVolume(node).used_bytes(spec.id) <= 20 * MIB
    sh(node, spec, "rm -r /litter; sync; echo fine > /root/fine", timeout_s=60)
