"""What a build says, as its node has it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponseBase, StreamingHttpResponse

from panel.builds.running import found_build
from panel.nodes.agent import Agent
from panel.rights.actor import Actor
from panel.serving.shares import DOWNLOADS, Place
from runtime.contract import Purpose


@dataclass(frozen=True)
class Said:
    answer: Callable[[], Awaitable[HttpResponseBase]]
    place: Place


def of(actor: Actor, source_id: UUID, number: int, *, after: int = 0, follows: bool = False) -> Said:
    """From a byte on, until the build has ended where it is followed. Who sees the source. Awaited:
    `NodeAway`."""
    build = found_build(actor, source_id, number)
    tenant = build.source.tenant
    agent = Agent(build.node)
    place = DOWNLOADS.take(actor, tenant.pk, tenant.path)
    is_followed = "1" if follows and build.operation.is_open else ""
    asked = {"source": source_id, "job": build.operation_id, "after": after, "follow": is_followed}
    query = urlencode(asked)

    async def answer() -> HttpResponseBase:
        ticket = agent.ticket(build.pk, Purpose.BUILD, actor.name, read_only=True, tenant_id=tenant.payer)
        pieces = await agent.stream(f"/v1/builds/{build.pk}/log?{query}", ticket)
        made = StreamingHttpResponse(pieces, content_type="text/plain; charset=utf-8")
        made["Content-Security-Policy"] = "sandbox; default-src 'none'"
        made["X-Accel-Buffering"] = "no"
        return made

    return Said(answer, place)
