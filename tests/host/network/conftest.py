"""One lab per file; stand-ins made in a test are gone after it."""

from collections.abc import Iterator

import pytest

from tests.host.support.network import Lab, entered_lab


@pytest.fixture(scope="module")
def module_lab() -> Iterator[Lab]:
    with entered_lab() as one:
        yield one


@pytest.fixture
def lab(module_lab: Lab) -> Iterator[Lab]:
    yield module_lab
    module_lab.clear()
