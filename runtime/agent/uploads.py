"""The agent's addresses for files that come in parts."""

from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.agent.bodies import body_of
from runtime.agent.files import FileRoutes, bytes_of
from runtime.agent.handed import Handed, opened
from runtime.contract.words import agent as words
from runtime.errors import RuntimeFault
from runtime.storage.trees import Trees
from runtime.storage.uploads import Part, Uploads

if TYPE_CHECKING:
    from runtime.agent.app import Agent

_MOST_BODY = 64 * 1024


class PartHanded(BaseModel):
    model_config = ConfigDict(extra="forbid")

    handed: Handed
    part: Part


class UploadRoutes:
    """Trees have the turns and threads of other files: see `FileRoutes`."""

    def __init__(self, agent: "Agent", files: FileRoutes):
        self.agent, self._files = agent, files

    def routes(self, at: str) -> list[Route]:
        return [
            Route(f"{at}/uploads", self.take, methods=["POST"]),
            Route(f"{at}/uploads", self.unfinished, methods=["GET"]),
            Route(f"{at}/uploads/{{upload}}", self.discard, methods=["DELETE"]),
        ]

    async def take(self, request: Request) -> Response:
        """A part that was handed in, of the file `path`."""
        ticket = self._files.writing(request)
        environment_id, path = request.path_params["id"], bytes_of(request, "path")
        wanted = PartHanded.model_validate_json(await body_of(request, _MOST_BODY))

        def work(trees: Trees) -> dict[str, object]:
            with opened(self.agent.node, wanted.handed) as data:
                return Uploads(trees).take(environment_id, path, wanted.part, data).model_dump()

        return JSONResponse(await self._files.work(request, ticket, work))

    async def unfinished(self, request: Request) -> Response:
        """What has begun and isn't whole. Who only looks may have it swept."""
        ticket = self._files.looking(request)
        environment_id: UUID = request.path_params["id"]
        found = await self._files.work(request, ticket, lambda trees: Uploads(trees).unfinished(environment_id))
        return JSONResponse(found.model_dump())

    async def discard(self, request: Request) -> Response:
        ticket = self._files.writing(request)
        environment_id, upload = request.path_params["id"], request.path_params["upload"]
        if len(upload) != 32 or not set(upload) <= set("0123456789abcdef"):
            raise RuntimeFault(words.no_such_path(), code="not_found", retryable=False)
        await self._files.work(request, ticket, lambda trees: Uploads(trees).discard(environment_id, upload))
        return Response(status_code=204)
