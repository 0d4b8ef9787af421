"""B14: writes under a limit of the disk's rate; what is only later written by the kernel is told apart."""

import pytest

from runtime.contract import EnvironmentSpec, Limits
from runtime.host import cgroup
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.support.laboratory import inside

MIB = 2**20
RATE_BYTES_S = 5 * MIB


@pytest.fixture
def held(make: Make, image: str) -> EnvironmentSpec:
    limits = Limits(cpu=1, memory_mb=128, disk_mb=256, disk_write_bytes_s=RATE_BYTES_S)
    return make(image=image, limits=limits)


def _write(how: str, mebibytes: int) -> float:
    """Seconds until they are on the disk, random ones, since zeros may be compressed."""
    import mmap
    import os
    import time

    page = mmap.mmap(-1, 2**20)
    page.write(os.urandom(2**20))
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | (os.O_DIRECT if how == "direct" else 0)
    file = os.open("/root/written", flags)
    began = time.monotonic()
    for _ in range(mebibytes):
        os.write(file, page)
    if how == "later":
        os.sync()
    else:
        os.fsync(file)
    return time.monotonic() - began


@pytest.mark.parametrize("how", ["direct", "synced"])
def test_b14_direct_and_synced_writes_are_held_to_the_rate(node: Node, held: EnvironmentSpec, how: str) -> None:
    took_s = inside(node, held, _write, how, 10)
    assert 10 * MIB / took_s <= 1.1 * RATE_BYTES_S


@pytest.mark.skipif(cgroup.version() == 1, reason="cgroup v1 counts what the kernel writes later for nobody")
def test_b14_writes_that_the_kernel_does_later_are_held_too(node: Node, held: EnvironmentSpec) -> None:
    took_s = inside(node, held, _write, "later", 10)
    assert 10 * MIB / took_s <= 1.1 * RATE_BYTES_S
