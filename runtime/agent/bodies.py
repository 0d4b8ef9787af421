"""Bodies of requests, bounded, and who still waits for an answer."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Any

from starlette.requests import ClientDisconnect, Request

from runtime.contract.words import agent
from runtime.errors import RuntimeFault


async def body_of(request: Request, most_bytes: int) -> bytes:
    """Raises `RuntimeFault` (`bad_command`) for a longer one."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > most_bytes:
            raise RuntimeFault(agent.body_too_long(most_bytes), code="bad_command")
    return body


async def hung_up(request: Request) -> None:
    """Waits until who asked is gone. Of a request whose body was read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def entered(request: Request, undo: AsyncExitStack, *turns: AbstractAsyncContextManager[Any]) -> None:
    """Has its turn in each of them, one after the other, and `undo` gives them back. Raises `ClientDisconnect`
    when who asked goes away before: nobody waits for what is done then, and it isn't what he was told."""

    async def enter() -> None:
        for one in turns:
            await undo.enter_async_context(one)

    waiting, gone = asyncio.ensure_future(enter()), asyncio.ensure_future(hung_up(request))
    try:
        await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ClientDisconnect
    finally:
        gone.cancel()
        waiting.cancel()
        with suppress(asyncio.CancelledError, RuntimeFault):
            await waiting
    await waiting
