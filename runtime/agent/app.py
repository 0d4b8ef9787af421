"""The agent's HTTP and WebSocket routes, on a unix socket."""

import json
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from runtime.agent.auth import Forbidden, Gate
from runtime.console.exec import NotRunning, run_command
from runtime.contract import Purpose
from runtime.errors import RuntimeFault
from runtime.node import Node

MAX_BODY_BYTES = 2 * 2**20


class ExecRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    command: list[str] = Field(min_length=1, max_length=1000)
    timeout_s: float = Field(default=60, gt=0, le=3600)
    stdin: str = Field(default="", max_length=MAX_BODY_BYTES)


def problem(status: int, fault: RuntimeFault) -> JSONResponse:
    return JSONResponse(
        {"code": fault.code, "message": str(fault), "next_step": fault.next_step}, status_code=status
    )


def create_app(node: Node, more: list[BaseRoute] | None = None) -> Starlette:
    gate = Gate(node)

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def execute(request: Request) -> Response:
        try:
            environment_id = UUID(request.path_params["id"])
            gate.admit(request.headers.get("authorization", ""), environment_id, {Purpose.EXEC})
            wanted = ExecRequest.model_validate_json(await _body(request))
            outcome = await run_in_threadpool(
                run_command,
                node,
                environment_id,
                wanted.command,
                timeout_s=wanted.timeout_s,
                stdin=wanted.stdin.encode(),
            )
        except Forbidden as refused:
            return problem(403, refused)
        except NotRunning as refused:
            return problem(409, refused)
        except (ValidationError, ValueError) as bad:
            return problem(422, RuntimeFault(f"the request is not understood: {bad}"[:500], code="invalid"))
        except RuntimeFault as fault:
            return problem(500, fault)
        answer: dict[str, Any] = {
            "exit_code": outcome.exit_code,
            "stdout": outcome.stdout.decode(errors="replace"),
            "stderr": outcome.stderr.decode(errors="replace"),
            "truncated": outcome.truncated,
            "timed_out": outcome.timed_out,
        }
        return Response(json.dumps(answer), media_type="application/json")

    routes: list[BaseRoute] = [
        Route("/healthz", healthz),
        Route("/v1/environments/{id}/exec", execute, methods=["POST"]),
        *(more or []),
    ]
    app = Starlette(routes=routes)
    app.state.gate = gate
    return app


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ValueError(f"larger than {MAX_BODY_BYTES} bytes")
    return body
