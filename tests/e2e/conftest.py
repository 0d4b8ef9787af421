"""One installation for all end-to-end tests of a process; over two processes each has a part of them."""

import os
from collections.abc import Iterator

import pytest
from xdist import is_xdist_worker

from tests.conftest import AN_INSTALLATION, shared_by
from tests.e2e.support import Installation, installation, ready


@pytest.fixture(scope="session")
def wadah(request: pytest.FixtureRequest) -> Iterator[Installation]:
    """As people make it, or without Debian and the demo where this process has no test that needs them."""
    if os.geteuid() != 0:
        pytest.skip("the whole stack needs root")
    is_small = is_xdist_worker(request) and shared_by(os.environ["PYTEST_CURRENT_TEST"]) == AN_INSTALLATION
    with installation(*(("--no-demo", "--images", "busybox") if is_small else ())) as made:
        if is_small:
            ready(made)
        yield made


@pytest.fixture
def environment(wadah: Installation) -> Iterator[str]:
    """A running busybox environment, deleted after the test."""
    made = wadah.create()
    yield made
    wadah.delete(made)
