"""Looks of an agent at terminals and files: however many of a tenant's wait, another's is answered."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from runtime.agent.app import LOOKS, Agent
from runtime.node import Node, default_settings

ATTACKER, NEIGHBOUR = uuid4(), uuid4()
Look = Callable[[Agent, UUID, UUID, Callable[[], object]], asyncio.Future[object]]


@contextmanager
def _agent(home: Path) -> Iterator[tuple[Agent, threading.Event]]:
    """With an event on which the attacker's looks wait, as those at an environment that doesn't answer."""
    open_again = threading.Event()
    with ThreadPoolExecutor(1) as execs, ThreadPoolExecutor(LOOKS) as looks:
        try:
            yield Agent(Node(home, default_settings(home)), execs, looks), open_again
        finally:
            open_again.set()


@pytest.mark.parametrize("long", [False, True], ids=["terminals", "directories"])
def test_who_makes_the_agent_wait_holds_up_no_other_tenant(tmp_path: Path, long: bool) -> None:
    """A terminal in an environment whose /bin says nothing takes 20 s to be given up; a directory of 200,000
    names one of two places."""

    async def attack(agent: Agent, shut: threading.Event) -> None:
        look = agent.look_long if long else agent.look
        waiting = [
            asyncio.ensure_future(look(environment, ATTACKER, shut.wait))
            for environment in (uuid4() for _ in range(8))
            for _ in range(8)
        ]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(look(uuid4(), NEIGHBOUR, lambda: "seen"), 30) == "seen"
        assert not any(one.done() for one in waiting)
        shut.set()
        await asyncio.gather(*waiting)

    with _agent(tmp_path) as (agent, shut):
        asyncio.run(attack(agent, shut))


def test_a_look_that_waits_in_its_own_environment_keeps_no_place_of_a_directory(tmp_path: Path) -> None:
    """Places of directories are few: who has one is at work."""

    async def attack(agent: Agent, shut: threading.Event) -> None:
        environments = [uuid4(), uuid4()]
        waiting = [
            asyncio.ensure_future(agent.look(one, payer, shut.wait))
            for one, payer in zip(environments, (ATTACKER, uuid4()), strict=True)
            for _ in range(8)
        ]
        await asyncio.sleep(0)
        waiting += [
            asyncio.ensure_future(agent.look_long(one, payer, lambda: None))
            for one, payer in zip(environments, (ATTACKER, uuid4()), strict=True)
        ]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(agent.look_long(uuid4(), NEIGHBOUR, lambda: "seen"), 30) == "seen"
        shut.set()
        await asyncio.gather(*waiting)

    with _agent(tmp_path) as (agent, shut):
        asyncio.run(attack(agent, shut))


def test_readers_of_one_tenant_make_one_piece_at_a_time(tmp_path: Path) -> None:
    """Eight threads that compute kept Python's lock, and a neighbour's command took half a second longer."""
    at_work, most = [0], [0]

    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
            threading.Event().wait(0.001)
            at_work[0] -= 1
            yield b"x"

    async def attack(agent: Agent) -> None:
        async def read(payer: UUID) -> bytes:
            return b"".join([piece async for piece in agent.in_turns(payer, pieces())])

        assert await asyncio.gather(*(read(ATTACKER) for _ in range(8))) == [b"x" * 20] * 8

    with _agent(tmp_path) as (agent, _):
        asyncio.run(attack(agent))
    assert most[0] == 1


def test_a_reader_who_takes_nothing_holds_up_no_other(tmp_path: Path) -> None:
    async def attack(agent: Agent) -> None:
        unread = [agent.in_turns(ATTACKER, iter([b"x"] * 5)) for _ in range(LOOKS + 1)]
        for one in unread:
            await anext(one)
        for payer in (ATTACKER, NEIGHBOUR):
            got = [piece async for piece in agent.in_turns(payer, iter([b"y"] * 5))]
            assert got == [b"y"] * 5

    with _agent(tmp_path) as (agent, _):
        asyncio.run(attack(agent))
