"""A18, B08: what btrfs lets the owner of a tree ask of it by ioctl, tried as root inside.

The root of an environment is a subvolume that it owns; whatever owners may do, tenants may try.
"""

from collections.abc import Callable
from uuid import UUID

import pytest

from runtime.contract import EnvironmentSpec, Limits, SecurityProfile
from runtime.engine import Engine
from runtime.host import btrfs
from runtime.node import Node
from runtime.resources.volume import RootVolume
from tests.host.conftest import Make
from tests.host.isolation.conftest import Try
from tests.host.support.inside import attempt, sh
from tests.host.support.laboratory import inside
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until

MIB = 2**20
Small = Callable[[int], EnvironmentSpec]


@pytest.fixture
def small(make: Make, image: str) -> Small:
    def create(tenant: int) -> EnvironmentSpec:
        limits = Limits(cpu=1, memory_mb=128, disk_mb=48)
        nesting = SecurityProfile(nesting=True)
        return make(image=image, limits=limits, tenant_id=UUID(int=tenant), security=nesting)

    return create


def _answers(requests: list[int]) -> list[int]:
    """errno of each request on a descriptor that is none: EBADF where the kernel would look at it."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    found = []
    for one in requests:
        libc.syscall(16, ctypes.c_long(-1), ctypes.c_ulong(one), None)
        found.append(ctypes.get_errno())
    return found


def test_a18_of_the_calls_of_btrfs_only_those_on_its_own_tree_come_through(tries: Try) -> None:
    """Whatever direction and size the request says, and with high bits that the kernel doesn't read."""
    own, nesting = {9, 13, 15, 18, 25, 26, 31, 54, 60, 61, 62}, {1, 14}
    for more in (0, 1 << 30 | 4096 << 16, 3 << 30 | 16 << 16, 1 << 32, 0xFFFFFFFF << 32):
        answers = tries(_answers, [more | 0x94 << 8 | number for number in range(256)])
        assert {number for number, answer in enumerate(answers) if answer != 38} == own | nesting, hex(more)
        assert {answers[number] for number in own} == {9}
        assert {answers[number] for number in nesting} == {25}


def test_b04_no_subvolume_is_made_without_the_option(tries: Try) -> None:
    """Root of an environment of 256 MiB held 470 MB of the kernel's memory with 115,000 of them."""

    def spread() -> list[int]:
        import ctypes
        import os
        import struct

        libc, made, said = ctypes.CDLL(None, use_errno=True), 0, set()
        at = os.open("/", os.O_RDONLY)
        for turn in range(200):
            for number, source in ((14, 0), (1, at)):
                words = struct.pack("=q4088s", source, f"many{number}-{turn}".encode())
                request = ctypes.c_ulong(1 << 30 | 4096 << 16 | 0x94 << 8 | number)
                made += libc.ioctl(at, request, ctypes.create_string_buffer(words, 4096)) == 0
                said.add(ctypes.get_errno())
        return [made, *said]

    assert tries(spread) == [0, 25]


def test_a18_calls_of_everything_else_come_through(tries: Try) -> None:
    answers = tries(_answers, [kind << 8 | 1 for kind in range(256) if kind != 0x94])
    assert set(answers) == {9}


def _join(request: int, name: str, groups: list[int]) -> int:
    """A new subvolume or snapshot of / that joins just these quota groups; the errno, 0 when it was made."""
    import ctypes
    import os
    import struct

    libc = ctypes.CDLL(None, use_errno=True)
    words = struct.pack(f"=9Q{len(groups)}Q", 0, len(groups), *[0] * 7, *groups)
    inherit = ctypes.create_string_buffer(words, len(words))
    root = os.open("/", os.O_RDONLY)
    with_groups = 1 << 2
    volume = struct.pack(
        "=qQQQQQQ4040s",
        *(root if request == 23 else 0, 0, with_groups, len(words), ctypes.addressof(inherit), 0, 0),
        name.encode(),
    )
    number = 1 << 30 | 4096 << 16 | 0x94 << 8 | request
    if libc.ioctl(root, ctypes.c_ulong(number), ctypes.create_string_buffer(volume, 4096)):
        return ctypes.get_errno()
    return 0


@pytest.mark.parametrize("request_number", [23, 24], ids=["snapshot", "subvolume"])
@pytest.mark.parametrize("into", ["none", "another tenant's"])
def test_b08_no_subvolume_chooses_its_quota_group(
    node: Node, small: Small, neighbour: EnvironmentSpec, request_number: int, into: str
) -> None:
    """The kernel asks for no right: in no group it has no limit, and in another's it uses up another's disk."""
    spec = small(1)
    theirs = RootVolume(node).used_bytes(neighbour.id)
    groups = [] if into == "none" else [btrfs.qgroup_id(1, RootVolume.number(neighbour.id))]
    assert inside(node, spec, _join, request_number, "hidden", groups) != 0
    attempt(node, spec, "mkdir -p /hidden; dd if=/dev/zero of=/hidden/fill bs=1M count=100 conv=fsync")
    sh(node, spec, "sync")
    held = sum(one.stat().st_blocks for one in node.root_volume(spec.id).glob("hidden/fill")) * 512
    assert 30 * MIB <= held <= 49 * MIB
    assert RootVolume(node).used_bytes(neighbour.id) - theirs < MIB


def _many(at_most: int) -> int:
    """How many subvolumes root inside makes now."""
    import ctypes
    import os
    import struct

    libc, made, turn = ctypes.CDLL(None, use_errno=True), 0, os.getpid()
    at = os.open("/", os.O_RDONLY)
    for number in range(at_most):
        words = struct.pack("=q4088s", 0, f"many-{turn}-{number}".encode())
        made += (
            libc.ioctl(at, 1 << 30 | 4096 << 16 | 0x94 << 8 | 14, ctypes.create_string_buffer(words, 4096)) == 0
        )
    return made


def test_b04_subvolumes_beyond_a_number_get_no_room(
    node: Node, engine: Engine, specs: Specs, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the option, 115,000 in 40 s held 472 MB of the kernel's memory; the disk alone was their bound."""
    monkeypatch.setattr("runtime.resources.volume.MOST_SUBVOLUMES", 30)
    monkeypatch.setattr("runtime.resources.volume.CROWDED_ROOM_BYTES", MIB)
    spec, volume = small(1), RootVolume(node)

    def looked_at() -> int:
        btrfs.sync(node.store)
        engine.reconcile()
        return btrfs.members(node.store, btrfs.qgroup_id(1, volume.number(spec.id)))

    assert inside(node, spec, _many, 20) == 20
    assert looked_at() == 21
    assert inside(node, spec, _many, 60) == 60, "they are too many, and nobody has looked yet"
    looked_at()
    sh(node, spec, "rmdir /many-*-1")
    for _ in range(4):
        inside(node, spec, _many, 100)
        looked_at()
    assert looked_at() < 200
    spec = specs.change(spec, generation=spec.generation + 1, installs=1)
    report = engine.apply(spec)
    assert report is not None
    assert not report.code, report.message

    def has_room() -> bool:
        looked_at()
        return volume.quotas.limit_bytes(1, volume.number(spec.id)) == spec.limits.disk_mb * MIB

    wait_until(has_room, "its room", within_s=60)
    assert inside(node, spec, _many, 5) == 5


def test_b08_subvolumes_and_snapshots_that_it_may_make_count_as_its_own(node: Node, small: Small) -> None:
    spec = small(1)

    def spread() -> dict[str, int]:
        import ctypes
        import os
        import struct

        libc = ctypes.CDLL(None, use_errno=True)

        def volume(number: int, place: str, name: str, source: int = 0) -> int:
            at = os.open(place, os.O_RDONLY)
            words = ctypes.create_string_buffer(struct.pack("=q4088s", source, name.encode()), 4096)
            answer = libc.ioctl(at, ctypes.c_ulong(1 << 30 | 4096 << 16 | 0x94 << 8 | number), words)
            os.close(at)
            return int(answer)

        made = written = 0
        place = "/"
        for level in range(6):
            if volume(14, place, f"v{level}"):
                break
            made += 1
            place = f"{place.rstrip('/')}/v{level}"
            made += volume(1, place, "copy", os.open("/", os.O_RDONLY)) == 0
            for below in (place, f"{place}/copy"):
                try:
                    with open(f"{below}/fill", "wb", 0) as file:
                        for _ in range(12):
                            file.write(os.urandom(2**20))
                            os.fsync(file.fileno())
                            written += 1
                except OSError:
                    pass
        return {"made": made, "written": written}

    done = inside(node, spec, spread, timeout_s=60)
    assert done["made"] >= 2
    assert 20 <= done["written"] <= 48
    assert RootVolume(node).used_bytes(spec.id) <= 49 * MIB


def test_b08_the_pool_can_be_written_after_whatever_it_tried(node: Node, small: Small) -> None:
    """Some calls overflowed a table of the pool, which ends the transaction and makes the pool read-only."""
    spec = small(1)

    def hurt() -> dict[str, int]:
        import ctypes
        import os

        libc = ctypes.CDLL(None, use_errno=True)
        root = os.open("/", os.O_RDONLY)
        works = {}
        for number in range(256):
            if number in (1, 14, 15):
                continue
            for direction in range(4):
                for size in (0, 8, 16, 24, 32, 48, 56, 72, 88, 112, 144, 200, 256, 504, 1024, 4096):
                    buffer = ctypes.create_string_buffer(b"\x01" * 16, 4096)
                    request = direction << 30 | size << 16 | 0x94 << 8 | number
                    if libc.ioctl(root, ctypes.c_ulong(request), buffer) >= 0:
                        works[str(number)] = 0
        return works

    works = inside(node, spec, hurt, timeout_s=60)
    assert set(works) <= {"18", "25", "31", "60", "61", "62"}, works
    btrfs.sync(node.store)
    sh(node, spec, "echo fine > /root/fine; sync")
