"""A block device in place of the pool's file: refused while it holds anything, found under another name."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from runtime import pool, pool_device
from runtime.errors import HostLacks
from runtime.node import Node, default_settings

pytestmark = pytest.mark.root
MIB = 2**20


def _run(*words: object) -> str:
    done = subprocess.run([str(one) for one in words], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    """Of our own, on a file that takes no room."""
    yield from _disk(tmp_path / "disk", 1100 * MIB)


def _disk(file: Path, size: int) -> Iterator[str]:
    file.touch()
    os.truncate(file, size)
    name = _run("losetup", "--find", "--show", file)
    try:
        yield name
    finally:
        with suppress(subprocess.CalledProcessError):
            _run("losetup", "--detach", name)


def refused(device: str) -> str:
    with pytest.raises(HostLacks) as refusal:
        pool_device.refuse(device)
    assert refusal.value.next_step
    return str(refusal.value)


def test_an_empty_one_becomes_the_pool_and_is_none_afterwards(disk: str, tmp_path: Path) -> None:
    settings = default_settings(tmp_path)
    made = pool.on_device(disk, settings)
    assert (made["pool_device"], made["pool_bytes"]) == (disk, 1100 * MIB)
    uuid = str(made["pool_uuid"])
    assert (
        _run("blkid", "--probe", "--match-tag", "LABEL", "--output", "value", disk) == f"wadah-{settings.mark}"
    )
    assert pool_device.found(disk, uuid) == disk
    assert "btrfs" in refused(disk)
    pool.let_go(Node(tmp_path, settings.model_copy(update=made)))
    assert pool_device.uuid_of(disk) == ""


def test_another_disk_of_the_same_name_is_not_taken_for_it(disk: str, tmp_path: Path) -> None:
    uuid = str(pool.on_device(disk, default_settings(tmp_path))["pool_uuid"])
    for other in _disk(tmp_path / "other", 1100 * MIB):
        pool.on_device(other, default_settings(tmp_path))
        assert pool_device.found(other, uuid) == disk  # the kernel numbered them anew
        pool_device.clear(disk)
        with pytest.raises(HostLacks, match=uuid):
            pool_device.found(other, uuid)


def test_what_holds_anything_is_refused_and_left_as_it_is(disk: str, tmp_path: Path) -> None:
    for words, said in (
        (("mkfs.ext4", "-q", disk), "ext4"),
        (("mkswap", disk), "swap"),
        (("mkfs.btrfs", "-q", "-f", disk), "btrfs"),
    ):
        _run(*words)
        before = _run("blkid", "--probe", "--output", "export", disk)
        assert said in refused(disk)
        assert _run("blkid", "--probe", "--output", "export", disk) == before
        _run("wipefs", "--quiet", "--all", disk)
    assert "zeros" in refused(disk)  # of file systems that were wiped, the rest is there
    _run("blkdiscard", "--zeroout", disk)
    with Path(disk).open("r+b") as raw:  # a table of partitions, and nothing else
        raw.seek(446)
        raw.write(bytes([0, 0, 2, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 0, 8, 0, 0]) + bytes(48) + b"\x55\xaa")
    assert "dos" in refused(disk)
    _run("blkdiscard", "--zeroout", disk)
    with Path(disk).open("r+b") as raw:
        raw.seek(-4096, os.SEEK_END)
        raw.write(b"something at its end")
    assert "zeros" in refused(disk)


def test_what_is_used_small_or_no_disk_is_refused(disk: str, tmp_path: Path) -> None:
    for small in _disk(tmp_path / "small", 100 * MIB):
        assert "100 MiB" in refused(small)
    for path in ("", "disk", "/dev/null", str(tmp_path / "disk"), "/dev/there-is-none"):
        assert "no block device" in refused(path)
    held = os.open(disk, os.O_RDWR | os.O_EXCL)  # as who mounts it
    try:
        assert "alone" in refused(disk)
    finally:
        os.close(held)


def test_a_file_that_is_written_whole_has_no_holes(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    changed = {"pool_bytes": 256 * MIB, "pool_is_written": True}
    node = Node(tmp_path, default_settings(tmp_path).model_copy(update=changed))
    pool._make_file(node)
    seen = node.pool_file.stat()
    assert seen.st_size == 256 * MIB
    assert seen.st_blocks * 512 >= 256 * MIB
    assert pool._options(node) == "nodiscard"
