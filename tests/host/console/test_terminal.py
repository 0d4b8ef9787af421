"""A named terminal: a root shell that outlives its viewers and the agent."""

import asyncio
import os
import signal
from uuid import UUID

import pytest
from websockets.exceptions import InvalidStatus

from runtime.console.terminals import MAX_TERMINALS, list_terminals
from runtime.contract import DesiredState, Purpose
from runtime.engine import Engine
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.console.conftest import Client, Screen, in_loop, running_agent
from tests.host.support.node import Specs


@in_loop
async def test_it_is_a_root_shell_with_a_terminal(agent: Client, make: Make) -> None:
    spec = await asyncio.to_thread(make)
    async with agent.watch(spec.id, "main") as screen:
        start = await screen.message("start")
        assert start["offset"] == 0
        assert not start["read_only"]
        await screen.say(type="resize", cols=123, rows=45)
        # conmon reads sizes from another pipe than what is typed: either may come first
        wait = b"for i in $(seq 100); do stty size | grep -q 45 && break; sleep 0.1; done"
        await screen.type(wait + b"; id -u; pwd; stty size; echo end$((1+1))\n")
        said = await screen.until(b"end2\r\n")
        assert b"\r\n0\r\n/root\r\n45 123\r\n" in said


@in_loop
async def test_of_sizes_that_come_at_once_the_last_one_counts(agent: Client, make: Make, node: Node) -> None:
    """As when a window opens, or its edge is dragged: conmon alone would keep to the first of them."""
    spec = await asyncio.to_thread(make)
    async with agent.watch(spec.id, "main") as screen:
        await screen.message("start")
        await screen.type(b"echo up$((1+1))\n")
        await screen.until(b"up2\r\n")
        monitor = int((node.terminals(spec.id) / "main" / "monitor.pid").read_text())
        os.kill(monitor, signal.SIGSTOP)
        try:
            for columns in (90, 100, 123):
                await screen.say(type="resize", cols=columns, rows=45)
            await asyncio.sleep(0.1)
        finally:
            os.kill(monitor, signal.SIGCONT)
        await screen.type(
            b"for i in $(seq 40); do stty size | grep 123 && break; sleep 0.1; done; echo end$((1+1))\n"
        )
        assert b"\r\n45 123\r\n" in await screen.until(b"end2\r\n")


@in_loop
async def test_exit_is_told_and_closes(agent: Client, make: Make) -> None:
    spec = await asyncio.to_thread(make)
    async with agent.watch(spec.id, "main") as screen:
        await screen.message("start")
        await screen.type(b"exit 7\n")
        assert (await screen.message("exit"))["code"] == 7
        assert not await screen.pump()


@in_loop
async def test_it_outlives_its_viewer_and_resumes_by_offset(agent: Client, make: Make) -> None:
    spec = await asyncio.to_thread(make)
    async with agent.watch(spec.id, "main") as screen:
        await screen.message("start")
        await screen.type(b"x=kept; echo one$((1+1))\n")
        await screen.until(b"one2\r\n")
        await screen.everything(0.3)
        seen = screen.offset
    async with agent.watch(spec.id, "main", offset=seen) as screen:
        assert (await screen.message("start"))["offset"] == seen
        await screen.type(b"echo $x$((2+2))\n")
        said = await screen.until(b"kept4\r\n")
        assert b"one2" not in said


@in_loop
async def test_it_outlives_the_agent_with_nothing_lost_and_nothing_twice(
    agent: Client, make: Make, node: Node
) -> None:
    spec = await asyncio.to_thread(make)
    async with agent.watch(spec.id, "main") as screen:
        await screen.message("start")
        await screen.type(b"i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line-$i; usleep 5000; done\n")
        await screen.until(b"line-100\r\n")
        await screen.everything(0.001)
        seen, got = screen.offset, b"line-100\r\n" + bytes(screen.text)
    os.kill(agent.pid, 9)
    await asyncio.sleep(0.3)
    with running_agent(node):
        async with agent.watch(spec.id, "main", offset=seen) as screen:
            assert (await screen.message("start"))["offset"] == seen
            got += await screen.until(b"line-300\r\n")
            assert not [one for one in screen.messages if one["type"] == "gap"]
    lines = [line for line in got.split(b"\r\n") if line.startswith(b"line-")]
    assert lines == [b"line-%d" % number for number in range(100, 301)]


@in_loop
async def test_a_second_viewer_sees_the_same(agent: Client, make: Make) -> None:
    spec = await asyncio.to_thread(make)
    async with agent.watch(spec.id, "main") as one:
        await one.message("start")
        async with agent.watch(spec.id, "main", read_only=True) as other:
            await _both(one, other)


async def _both(one: Screen, other: Screen) -> None:
    assert (await other.message("start"))["read_only"]
    assert (await other.message("viewers"))["count"] == 2
    await one.type(b"echo both$((1+1))\n")
    await one.until(b"both2")
    await other.until(b"both2")
    await other.type(b"echo never$((1+1))\n")
    assert (await other.message("error"))["code"] == "read_only"
    await one.type(b"echo after$((1+1))\n")
    assert b"never2" not in await one.until(b"after2")


@in_loop
async def test_list_and_close(agent: Client, make: Make, node: Node) -> None:
    spec = await asyncio.to_thread(make)
    path = f"/v1/environments/{spec.id}/terminals"
    async with agent.watch(spec.id, "work") as screen:
        await screen.message("start")
        await screen.type(b"trap '' HUP; echo r$((1+1))\n")
        await screen.until(b"r2")
        status, found = agent.request("GET", path, agent.ticket(spec.id, Purpose.TERMINAL))
        assert status == 200
        assert [(one["name"], one["running"], one["viewers"]) for one in found["terminals"]] == [
            ("work", True, 1)
        ]
        status, _ = agent.request("DELETE", f"{path}/work", agent.ticket(spec.id, Purpose.TERMINAL))
        assert status == 204
        await screen.message("exit")
    assert list_terminals(node, spec.id) == []
    assert b"sh -l" not in _processes(agent, spec.id)


def _processes(agent: Client, environment_id: UUID) -> bytes:
    _, done = agent.exec(environment_id, "ps", "-o", "args")
    return str(done["stdout"]).encode()


@in_loop
async def test_their_number_is_bounded(agent: Client, make: Make) -> None:
    from runtime.contract import Limits

    spec = await asyncio.to_thread(make, limits=Limits(cpu=1, memory_mb=256, disk_mb=256))
    for number in range(MAX_TERMINALS):
        async with agent.watch(spec.id, f"t{number}") as screen:
            await screen.message("start")
    async with agent.watch(spec.id, "one-more") as screen:
        error = await screen.message("error")
    assert error["code"] == "too_many_terminals"
    assert str(MAX_TERMINALS) in error["message"]


@pytest.mark.parametrize("name", ["..%2f..", "A", "-x", "a" * 64])
@in_loop
async def test_names_that_are_none_are_refused(agent: Client, make: Make, name: str) -> None:
    spec = await asyncio.to_thread(make)
    try:
        async with agent.watch(spec.id, name) as screen:
            assert (await screen.message("error"))["code"] == "bad_name"
    except InvalidStatus as refused:
        assert refused.response.status_code in (403, 404)


@in_loop
async def test_of_a_stopped_environment_it_is_refused(
    agent: Client, make: Make, engine: Engine, specs: Specs
) -> None:
    spec = await asyncio.to_thread(make)
    await asyncio.to_thread(engine.apply, specs.change(spec, desired=DesiredState.STOPPED, stop_timeout_s=0))
    async with agent.watch(spec.id, "main") as screen:
        assert (await screen.message("error"))["code"] == "not_running"
