"""One installation for all end-to-end tests."""

import os
from collections.abc import Iterator

import pytest

from tests.e2e.support import Installation, installation


@pytest.fixture(scope="session")
def wadah() -> Iterator[Installation]:
    if os.geteuid() != 0:
        pytest.skip("the whole stack needs root")
    with installation() as made:
        yield made


@pytest.fixture
def environment(wadah: Installation) -> Iterator[str]:
    """A running busybox environment, deleted after the test."""
    made = wadah.create()
    yield made
    wadah.delete(made)
