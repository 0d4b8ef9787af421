"""Places of a node's work on trees: whoever keeps one for long gives it to who waits, and nobody else does."""

import asyncio
from collections.abc import Sequence

import pytest

from runtime.agent.app import _STATUS
from runtime.agent.tree_places import Place, TreePlaces
from runtime.storage.trees import _SAID


async def _work(places: TreePlaces, place: Place, ended: asyncio.Event, seconds: float = 20) -> str:
    async with places.of(place):
        place.begun(ended.set)
        try:
            async with asyncio.timeout(seconds):
                await ended.wait()
        except TimeoutError:
            return "done"
        return "gave way"


async def _begun(places: TreePlaces, number: int) -> tuple[Sequence[Place], Sequence["asyncio.Task[str]"]]:
    taken = [Place() for _ in range(number)]
    tasks = [asyncio.create_task(_work(places, one, asyncio.Event())) for one in taken]
    await asyncio.sleep(0.02)
    return taken, tasks


def test_the_longest_gives_way_to_who_has_waited() -> None:
    async def attack() -> None:
        places = TreePlaces(2, waits_s=0.05, share_s=0.1)
        taken, tasks = await _begun(places, 2)
        taken[1].since += 5
        async with asyncio.timeout(5):
            assert await _work(places, Place(), asyncio.Event(), seconds=0.01) == "done"
        assert [one.done() for one in tasks] == [True, False]
        assert tasks[0].result() == "gave way"
        tasks[1].cancel()

    asyncio.run(attack())


def test_who_has_just_begun_is_left_alone_and_nobody_gives_way_to_nobody() -> None:
    async def attack() -> None:
        places = TreePlaces(2, waits_s=0.02, share_s=30)
        _, tasks = await _begun(places, 2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await _work(places, Place(), asyncio.Event())
        assert not any(one.done() for one in tasks)
        for one in tasks:
            one.cancel()
        await asyncio.wait(tasks)
        places = TreePlaces(2, waits_s=0.02, share_s=0)
        _, tasks = await _begun(places, 2)
        await asyncio.sleep(0.2)
        assert not any(one.done() for one in tasks)
        for one in tasks:
            one.cancel()

    asyncio.run(attack())


def test_whoever_waits_and_goes_away_leaves_its_place_to_others() -> None:
    async def attack() -> None:
        places = TreePlaces(1, waits_s=0.02, share_s=30)
        _, (task,) = await _begun(places, 1)
        waiting = [asyncio.create_task(_work(places, Place(), asyncio.Event(), 0.01)) for _ in range(20)]
        await asyncio.sleep(0.05)
        for one in waiting[::2]:
            one.cancel()
        task.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait(waiting)
            assert await _work(places, Place(), asyncio.Event(), 0.01) == "done"
        assert [one.cancelled() for one in waiting] == [True, False] * 10

    asyncio.run(attack())


def test_each_refusal_of_the_program_is_the_askers_and_no_fault_of_the_node() -> None:
    assert {code: _STATUS.get(code, 500) for code in _SAID if not 400 <= _STATUS.get(code, 500) < 500} == {}
