"""What a process stands on is not looked through again while people wait."""

import gc
from collections.abc import Iterator

import pytest

from panel.serving import gc_freeze


@pytest.fixture
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("collector")
def test_the_collector_leaves_what_was_loaded_alone() -> None:
    loaded = [[number] for number in range(1000)]
    gc_freeze.begin()
    assert gc.get_freeze_count() > len(loaded)
    later = [[number] for number in range(1000)]
    gc_freeze.asked(2)
    assert any(one is later for one in gc.get_objects()), "what came since is looked through"
    gc_freeze.asked(50)
    assert not any(one is later for one in gc.get_objects())
    assert gc.get_threshold()[0] >= 10_000
