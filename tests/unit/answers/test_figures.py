"""What an environment is told of itself: the kernel's structures with its own figures in them."""

import struct

import pytest

from runtime.answers.figures import Disk, Load, statfs, sysinfo
from runtime.host.cgroup.base import GroupRoom

MIB = 2**20


def _room(**values: int) -> GroupRoom:
    whole = {
        "memory_bytes": 96 * MIB,
        "used_bytes": 30 * MIB,
        "shared_bytes": 2 * MIB,
        "swap_bytes": 64 * MIB,
        "swap_used_bytes": 8 * MIB,
        "tasks": 12,
        "cpu_ns": 0,
    }
    return GroupRoom(**{**whole, **values})


def _told(room: GroupRoom, *, host_swap_bytes: int = 2**40) -> dict[str, int]:
    answer = sysinfo(room, [0.5, 1.0, 2.0], 99.2, host_swap_bytes)
    assert len(answer) == 112, "sizeof(struct sysinfo)"
    names = "uptime load_1 load_5 load_15 total free shared buffers swap swap_free".split()
    told = dict(zip(names, struct.unpack_from("<q9Q", answer), strict=True))
    return {
        **told,
        "tasks": struct.unpack_from("<H", answer, 80)[0],
        "unit": struct.unpack_from("<I", answer, 104)[0],
    }


def test_the_machine_is_its_group() -> None:
    assert _told(_room()) == {
        "uptime": 100,
        "load_1": 1 << 15,
        "load_5": 1 << 16,
        "load_15": 1 << 17,
        "total": 96 * MIB,
        "free": 66 * MIB,
        "shared": 2 * MIB,
        "buffers": 0,
        "swap": 64 * MIB,
        "swap_free": 56 * MIB,
        "tasks": 12,
        "unit": 1,
    }


def test_swap_is_none_where_the_machine_has_none() -> None:
    told = _told(_room(), host_swap_bytes=0)
    assert (told["swap"], told["swap_free"]) == (0, 0)


def test_more_in_use_than_there_is_leaves_nothing() -> None:
    told = _told(_room(used_bytes=97 * MIB, swap_used_bytes=65 * MIB, tasks=70_000))
    assert (told["free"], told["swap_free"], told["tasks"]) == (0, 0, 65_535)


def test_load_comes_near_to_what_is_used_and_goes_again() -> None:
    load = Load()
    assert load.seen(1000.0, 0) == [0, 0, 0]
    busy = load.seen(1060.0, 120 * 10**9)  # two processors for a minute
    assert busy[0] == pytest.approx(2 * (1 - 2.718281828**-1), rel=1e-3)
    assert busy[0] > busy[1] > busy[2] > 0
    assert load.seen(1060.2, 121 * 10**9) == busy, "asked twice at once"
    idle = load.seen(3060.0, 120 * 10**9 + 1)
    assert idle[0] < 0.001
    assert load.seen(5.0, 10**9)[0] > 0, "it began anew"


def _statfs(blocks: int, free: int, available: int, block: int = 4096) -> bytes:
    head = struct.pack("<qqQQQ", 0x9123683E, block, blocks, free, available)
    return head + bytes(range(120 - len(head)))


def test_a_disk_has_its_own_size_and_all_else_of_the_kernels() -> None:
    kernels = _statfs(10**6, 9 * 10**5, 8 * 10**5)
    told = statfs(kernels, Disk(256 * MIB, 100 * MIB))
    assert struct.unpack_from("<3Q", told, 16) == (65_536, 25_600, 25_600)
    assert (told[:16], told[40:]) == (kernels[:16], kernels[40:])


def test_free_is_never_more_than_the_pool_has() -> None:
    told = statfs(_statfs(10**6, 300, 200), Disk(256 * MIB, 100 * MIB))
    assert struct.unpack_from("<3Q", told, 16) == (65_536, 300, 200)
