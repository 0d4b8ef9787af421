"""E03: small files that would become large are stopped by bytes, entries, ratio, memory and time."""

import gzip
import io
import lzma
import resource
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator

import pytest

from runtime.contract import EnvironmentSpec
from runtime.node import Node
from tests.host.images.conftest import ROOT, HandIn, file, tar_of
from tests.host.support.audit import nothing_left

MIB = 2**20
Caps = Callable[..., None]


@pytest.fixture(autouse=True)
def audited(node: Node, resident: EnvironmentSpec) -> Iterator[None]:
    with nothing_left(node):
        yield
        shutil.rmtree(node.home / "panel", ignore_errors=True)


def _zeros(mebibytes: int) -> bytes:
    """A tar whose one file is zeros, packed by gzip: a thousandth of it."""
    buffer = io.BytesIO()
    with gzip.open(buffer, "wb", compresslevel=1) as packed:
        info = tarfile.TarInfo("zeros")
        info.size = mebibytes * MIB
        packed.write(info.tobuf())
        for _ in range(mebibytes):
            packed.write(bytes(MIB))
        packed.write(bytes(1024))
    return buffer.getvalue()


def test_e03_a_thousandfold_ratio_is_stopped(hand_in: HandIn) -> None:
    data = _zeros(180)
    assert len(data) < MIB
    hand_in.refused(data, "too much for its size")


def test_e03_more_bytes_than_allowed_are_stopped(hand_in: HandIn, caps: Caps) -> None:
    caps(tree_bytes=32 * MIB)
    hand_in.refused(_zeros(48), "MiB")


def test_e03_more_entries_than_allowed_are_stopped(hand_in: HandIn, caps: Caps) -> None:
    caps(entries=2000)
    hand_in.refused(gzip.compress(tar_of(*ROOT, *(file(f"./{n}", b"") for n in range(3000)))), "2000 entries")


def test_e03_a_long_window_is_refused(hand_in: HandIn) -> None:
    """A frame of zstd (RFC 8878, 3.1.1) that asks for a window of 2 GiB, as `--long=31` makes it."""
    window = bytes([0, (31 - 10) << 3])
    empty_block = bytes([1, 0, 0])
    hand_in.refused(b"\x28\xb5\x2f\xfd" + window + empty_block, "128 MiB of memory")


def test_e03_a_hungry_xz_is_refused(hand_in: HandIn) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 * MIB}]
    hand_in.refused(lzma.compress(tar_of(*ROOT), filters=filters), "128 MiB of memory")


def test_e03_a_header_that_asks_for_much_memory_is_stopped(hand_in: HandIn) -> None:
    """A pax header of 90 MiB, which a reader takes as a whole."""
    info = tarfile.TarInfo("PaxHeaders/x")
    info.type, info.size = tarfile.XHDTYPE, 90 * MIB
    record = b"%d comment=%s\n"
    body = record % (90 * MIB, b"a" * (90 * MIB - len(record % (90 * MIB, b""))))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    hand_in(gzip.compress(info.tobuf() + body + tar_of(*ROOT), compresslevel=1))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024
    assert not list(hand_in.node.mounts.glob("import-*"))
    hand_in(b"x", name=hand_in.spec.name, wanted=False)


def test_e03_the_time_has_an_end(hand_in: HandIn, caps: Caps) -> None:
    caps(seconds=0.05)
    began = time.monotonic()
    hand_in.refused(_zeros(90), "within 0.05 s")
    assert time.monotonic() - began < 60
