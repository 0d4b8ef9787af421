"""One installation for all fault tests of the stack; after each test everything adds up again."""

import os
from collections.abc import Iterator

import pytest

from tests.e2e.support import Installation, installation, ready
from tests.faults.support.invariants import check_invariants
from tests.faults.support.stack import Stack, stack

#: The database lies on a disk of its own, so that a test can fill it.
PANEL_DISK_MB = 96


@pytest.fixture(scope="session")
def wadah() -> Iterator[Installation]:
    if os.geteuid() != 0:
        pytest.skip("the whole stack needs root")
    with installation("--no-demo", "--images", "busybox", panel_disk_mb=PANEL_DISK_MB) as made:
        ready(made)
        yield made


@pytest.fixture(scope="session")
def whole(wadah: Installation) -> Iterator[Stack]:
    with stack(wadah) as made:
        yield made


@pytest.fixture(autouse=True)
def adds_up_after(whole: Stack) -> Iterator[None]:
    """No leak, nothing stuck, sums right: after every test, whatever it broke."""
    yield
    check_invariants(whole)


@pytest.fixture
def environment(wadah: Installation) -> Iterator[str]:
    """A running busybox environment, deleted after the test."""
    made = wadah.create()
    yield made
    wadah.delete(made)
