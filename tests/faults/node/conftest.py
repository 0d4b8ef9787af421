"""A test node as the host tests have it, and environments whose worker is killed at a chosen step."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import faults
from runtime.engine import Engine
from runtime.host import libc
from runtime.node import Node
from tests.host.conftest import busybox, engine, make, node, reports, specs

__all__ = ["busybox", "engine", "make", "node", "reports", "specs"]


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


@pytest.fixture(autouse=True)
def no_fault_stays(node: Node) -> Iterator[None]:
    """Each test begins and ends without fail points, and with a node that has nothing to repair."""
    faults.file_of(node).unlink(missing_ok=True)
    yield
    faults.file_of(node).unlink(missing_ok=True)
    Engine(node).reconcile()
