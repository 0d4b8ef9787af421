"""The agent's address for what an image says of itself, before anything is made from it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.agent.bodies import body_of
from runtime.agent.locks import Locks
from runtime.agent.tickets import TicketRefused
from runtime.contract import AppOptions, Purpose, RegistryAccess
from runtime.contract.words import agent as words
from runtime.images.oci.registry import Registry

if TYPE_CHECKING:
    from runtime.agent.app import Agent

_MOST_BODY: Final = 128 * 1024
#: At once on a node, each a container of a moment; one of a payer.
_AT_ONCE: Final = 3
_WITHIN_S: Final = 20.0


class InspectRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    image: Annotated[str, Field(min_length=1, max_length=400)]
    registry: RegistryAccess = RegistryAccess()


class ImageRoutes:
    def __init__(self, agent: "Agent"):
        self.agent = agent
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="inspect")
        self._of_payer = Locks(1)

    def routes(self) -> list[Route]:
        return [Route("/v1/images/{id:uuid}/inspect", self.inspect, methods=["POST"])]

    async def inspect(self, request: Request) -> Response:
        """Digest, size and configuration of what a reference leads to; signatures aren't looked at."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            raise TicketRefused(words.no_ticket())
        tenant_id: UUID = request.path_params["id"]
        ticket = self.agent.tickets.check(token, tenant_id, Purpose.INSPECT)
        asked = InspectRequest.model_validate_json(await body_of(request, _MOST_BODY))
        app = AppOptions(image=asked.image, registry=asked.registry)
        async with self._of_payer.of(ticket.payer):
            found = await asyncio.get_running_loop().run_in_executor(self._threads, self._look, app)
        return JSONResponse(found)

    def _look(self, app: AppOptions) -> dict[str, Any]:
        registry = Registry(self.agent.node, app)
        found = registry.resolve(within_s=_WITHIN_S)
        return {
            "image": str(registry.reference),
            "digest": found.digest,
            "bytes": found.packed_bytes,
            "layers": len(found.layers),
            "config": found.config.model_dump(mode="json"),
        }
