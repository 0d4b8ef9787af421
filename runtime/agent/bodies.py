"""Bodies of requests, bounded."""

from starlette.requests import Request

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
