"""What tests of disks share."""

from collections.abc import Iterator

import pytest

from runtime.engine import Engine
from runtime.node import Node
from tests.host.support.disks import Disks
from tests.host.support.node import Specs


@pytest.fixture
def disks(node: Node, engine: Engine, specs: Specs) -> Iterator[Disks]:
    made = Disks(node, engine, specs)
    yield made
    for volume in made.made:
        made.volumes.drop(volume)
