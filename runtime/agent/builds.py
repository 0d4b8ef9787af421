"""The agent's address for what a build says, while it goes on and afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from runtime.agent.tickets import TicketRefused
from runtime.builds.places import BuildPlaces
from runtime.contract import Purpose
from runtime.contract.words import agent as words
from runtime.contract.words import builds
from runtime.errors import RuntimeFault
from runtime.jobs.records import JobRecords

if TYPE_CHECKING:
    from runtime.agent.app import Agent

_PIECE, _LOOK_S = 64 * 1024, 0.3
#: A build that waits for its turn may be followed for so long.
_FOLLOWED_S = 3600.0


class BuildRoutes:
    def __init__(self, agent: "Agent"):
        self.agent = agent

    def routes(self) -> list[Route]:
        return [Route("/v1/builds/{id:uuid}/log", self.log)]

    async def log(self, request: Request) -> Response:
        """From the byte `after` on; with `follow` until it has ended."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            raise TicketRefused(words.no_ticket())
        build_id: UUID = request.path_params["id"]
        self.agent.tickets.check(token, build_id, Purpose.BUILD)
        try:
            source_id, job_id = (UUID(request.query_params.get(name, "")) for name in ("source", "job"))
        except ValueError as odd:
            raise RuntimeFault(builds.no_log(), code="not_found", retryable=False) from odd
        after, path = (
            request.query_params.get("after", "0"),
            BuildPlaces(self.agent.node, source_id).log(build_id),
        )
        follows = request.query_params.get("follow") == "1"
        if not follows and not path.exists():
            raise RuntimeFault(builds.no_log(), code="not_found", retryable=False)
        at = int(after) if after.isdecimal() and len(after) < 12 else 0
        pieces = self._pieces(path, job_id, at, follows=follows)
        return StreamingResponse(pieces, media_type="application/octet-stream")

    async def _pieces(self, path: Path, job_id: UUID, at: int, *, follows: bool) -> AsyncIterator[bytes]:
        until = time.monotonic() + _FOLLOWED_S
        while True:
            is_over = not follows or time.monotonic() > until or self._has_ended(job_id)
            while piece := await asyncio.to_thread(_read, path, at):
                at += len(piece)
                yield piece
            if is_over:
                return
            await asyncio.sleep(_LOOK_S)

    def _has_ended(self, job_id: UUID) -> bool:
        """Of one that is on its way here nothing is known yet."""
        records = JobRecords(self.agent.node, job_id)
        return records.wanted() is not None and records.state().outcome is not None


def _read(path: Path, at: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(at)
            return file.read(_PIECE)
    except FileNotFoundError:
        return b""
