"""A lane that stands back works also in a process that stands back further, as `nice -n 19 ./wadah up` does."""

import asyncio
import os

import pytest

from panel.serving.fair_queue import Asker
from panel.serving.lane import Lane


@pytest.mark.asyncio
async def test_a_thread_of_a_process_that_stands_back_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def set_as_the_kernel_does(_which: int, _who: int, nice: int) -> None:
        if nice < 19:  # coming forward takes CAP_SYS_NICE: setpriority(2)
            raise PermissionError

    monkeypatch.setattr(os, "getpriority", lambda _which, _who: 19)
    monkeypatch.setattr(os, "setpriority", set_as_the_kernel_does)
    lane = Lane("test", 1, nice=10)
    assert await asyncio.wait_for(lane.run(Asker("tree", "one"), lambda: "answered"), 20) == "answered"
