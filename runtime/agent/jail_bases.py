"""The agent's address for the base of a jail: which build it is of, and what the newest would change."""

from typing import TYPE_CHECKING
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.contract import Purpose
from runtime.state import Records
from runtime.storage.base_difference import difference
from runtime.storage.bases import Bases

if TYPE_CHECKING:
    from runtime.agent.app import Agent


class JailBaseRoutes:
    def __init__(self, agent: "Agent"):
        self.agent = agent

    def routes(self, at: str) -> list[Route]:
        return [Route(f"{at}/base", self.base)]

    async def base(self, request: Request) -> Response:
        ticket = self.agent.ticket(request, Purpose.KERNEL)
        environment_id: UUID = request.path_params["id"]
        node = self.agent.node

        def work() -> dict[str, object]:
            spec = Records(node, environment_id).wanted()
            image = spec.image if spec is not None else ""
            return difference(Bases(node), node.root_volume(environment_id), image)

        return JSONResponse(await self.agent.look_long(environment_id, ticket.payer, work))
