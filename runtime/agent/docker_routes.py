"""The agent's addresses for what Docker's words ask of a container: top, diff, cp, attach; and the ways in."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.agent.bodies import body_of
from runtime.agent.files import FileRoutes, Streamed, bytes_of, number_of
from runtime.agent.handed import Handed, opened
from runtime.agent.stream import Stream, Viewer
from runtime.contract import Purpose
from runtime.contract.ways_in import WaysIn
from runtime.contract.words import agent as words
from runtime.errors import RuntimeFault
from runtime.state import Records
from runtime.storage.trees import MOST_CHANGES, Trees
from runtime.top import top
from runtime.ways_in.looking import look

if TYPE_CHECKING:
    from runtime.agent.app import Agent

_MOST_BODY = 256 * 1024
#: Typed at once, as what a terminal pastes.
_PIECE = 4096


class AttachRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    stdin: Annotated[str, Field(max_length=65_536)] = ""
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0


class LookRoutes:
    """Trees have the turns and threads of other files: see `FileRoutes`."""

    def __init__(self, agent: "Agent", files: FileRoutes):
        self.agent, self._files = agent, files

    def routes(self, at: str) -> list[Route]:
        return [
            Route(f"{at}/processes", self.processes),
            Route(f"{at}/ways-in", self.ways_in),
            Route(f"{at}/changes", self.changes),
            Route(f"{at}/unpack", self.unpack, methods=["POST"]),
            Route(f"{at}/attach", self.attach, methods=["POST"]),
        ]

    async def processes(self, request: Request) -> Response:
        """All that runs inside."""
        ticket = self.agent.ticket(request, Purpose.KERNEL)
        environment_id: UUID = request.path_params["id"]
        found = await self.agent.look(
            environment_id, ticket.payer, lambda: asdict(top(self.agent.node, environment_id))
        )
        return JSONResponse(found)

    async def ways_in(self, request: Request) -> Response:
        """By which ways root gets in, and what stands before the others."""
        ticket = self.agent.ticket(request, Purpose.KERNEL)
        environment_id: UUID = request.path_params["id"]

        def seen() -> WaysIn:
            spec = Records(self.agent.node, environment_id).standing()
            if spec is None:
                raise RuntimeFault(words.no_environment(), code="not_found", retryable=False)
            try:
                return look(self.agent.node, spec)
            except FileNotFoundError as gone:
                raise RuntimeFault(words.no_root(), code="not_found", retryable=False) from gone

        found: WaysIn = await self.agent.look(environment_id, ticket.payer, seen)
        return JSONResponse(found.model_dump(mode="json"))

    async def changes(self, request: Request) -> Response:
        """What is different from what it was made from."""
        ticket = self.agent.ticket(request, Purpose.FILES)
        environment_id, most = request.path_params["id"], number_of(request, "most", MOST_CHANGES)
        found = await self._files.work(
            request, ticket, lambda trees: trees.compare_with_image(environment_id, most=most).model_dump_json()
        )
        return Response(found, media_type="application/json")

    async def unpack(self, request: Request) -> Response:
        """The archive that was handed in, into the directory `path`."""
        ticket = self._files.writing(request)
        environment_id, path = request.path_params["id"], bytes_of(request, "path")
        handed = Handed.model_validate_json(await body_of(request, _MOST_BODY))

        def work(trees: Trees) -> dict[str, int]:
            with opened(self.agent.node, handed) as archive:
                return trees.unpack(environment_id, path, archive).model_dump()

        return JSONResponse(await self._files.work(request, ticket, work))

    async def attach(self, request: Request) -> Response:
        """Types what is given to its console, and streams what its first process writes from then on: until it
        ends, the time is over, or nobody listens any more."""
        ticket = self.agent.ticket(request, Purpose.CONSOLE)
        wanted = AttachRequest.model_validate_json(await body_of(request, _MOST_BODY))
        environment_id: UUID = request.path_params["id"]
        self.agent.streams.check_room(environment_id)
        console = self.agent.inside.console(environment_id)
        async with AsyncExitStack() as undo:
            stream = await undo.enter_async_context(
                self.agent.streams.watching(environment_id, None, console.log, console.keeper)
            )
            viewer = Viewer(stream, read_only=ticket.read_only)
            await stream.join(viewer, -1)
            undo.callback(stream.leave, viewer)
            if not stream.running:
                raise RuntimeFault(words.not_running(), code="not_running")
            stream.read_rest()
            viewer.sent(stream.log.end)
            typed = wanted.stdin.encode()
            for at in range(0, len(typed), _PIECE):
                if not stream.type(typed[at : at + _PIECE]):
                    raise RuntimeFault(words.typing_not_taken(), code="not_running")
            pieces = _printed(stream, viewer, time.monotonic() + wanted.timeout_s)
            return Streamed(pieces, undo.pop_all().aclose, media_type="application/octet-stream")
        raise AssertionError  # for types: the stack swallows nothing


async def _printed(stream: Stream, viewer: Viewer, until: float) -> AsyncIterator[bytes]:
    while (left := until - time.monotonic()) > 0:
        viewer.wake.clear()
        viewer.notices.clear()
        offset, piece = stream.piece(viewer.cursor) if not stream.closed else (0, b"")
        if piece:
            yield piece
            viewer.sent(offset + len(piece))
            continue
        if stream.closed or not stream.running:
            return
        try:
            async with asyncio.timeout(left):
                await viewer.wake.wait()
        except TimeoutError:
            return
