"""A test node as the host tests have it, and environments whose worker is killed at a chosen step."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import faults
from runtime.contract import ImageSource, ImageSpec
from runtime.engine import Engine
from runtime.host import libc
from runtime.jobs.images import ensure_image
from runtime.node import Node
from tests.host.conftest import engine, make, reports
from tests.host.support.node import Specs, entered_test_node

__all__ = ["engine", "make", "reports"]


#: Where the tests were started, before any of them entered a node.
HOST = [
    (os.open(f"/proc/self/ns/{kind}", os.O_RDONLY), flag)
    for kind, flag in (("mnt", libc.CLONE_NEWNS), ("net", libc.CLONE_NEWNET))
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.root)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="fault tests of the node need root"))


@pytest.fixture(scope="package")
def node() -> Iterator[Node]:
    """This process is inside its namespaces, where tests of other directories can't do their work."""
    with entered_test_node() as one:
        yield one


@pytest.fixture(scope="package")
def specs(node: Node) -> Specs:
    return Specs(node)


@pytest.fixture(scope="package")
def busybox(node: Node) -> str:
    name = ImageSource.BUSYBOX.value
    ensure_image(node, ImageSpec(node=node.name, name=name, source=ImageSource.BUSYBOX), lambda _: None)
    assert node.image(name).is_dir()
    return name


@pytest.fixture(autouse=True)
def no_fault_stays(node: Node) -> Iterator[None]:
    """Each test begins and ends without fail points, and with a node that has nothing to repair."""
    faults.file_of(node).unlink(missing_ok=True)
    yield
    faults.file_of(node).unlink(missing_ok=True)
    Engine(node).reconcile()
