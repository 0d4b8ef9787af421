"""Asking a node's agent, over its unix socket, with a ticket for one environment and one purpose.

Awaited, never waited for by a thread: a command may take ten minutes, and the reader of a record his time.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import h11
from django.conf import settings
from django.utils.translation import gettext as _

from panel import words
from panel.errors import Conflict, NodeAway, Refused, TooMany
from panel.nodes.models import Node
from panel.said import read, shown
from runtime.contract import Purpose, Ticket
from runtime.contract.ways_in import WaysIn

_PIECE_BYTES = 64 * 1024
_CONNECT_S, _ANSWER_S = 5.0, 15.0


class _Exchange:
    """One request to the agent and its answer (h11 knows the protocol)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._protocol = h11.Connection(h11.CLIENT)

    async def ask(
        self, method: str, path: str, ticket: str, body: bytes = b"", kind: str = "application/json"
    ) -> int:
        """Sends it; the answer's status."""
        headers = [
            ("Host", "agent"),
            ("Authorization", f"Bearer {ticket}"),
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        request = self._protocol.send(h11.Request(method=method, target=path, headers=headers)) or b""
        rest = [self._protocol.send(event) or b"" for event in (h11.Data(data=body), h11.EndOfMessage())]
        self._writer.write(request + b"".join(rest))
        await self._writer.drain()
        while not isinstance(event := await self._next(), h11.Response):
            continue
        return event.status_code

    async def pieces(self) -> AsyncIterator[bytes]:
        while not isinstance(event := await self._next(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                yield bytes(event.data)

    async def _next(self) -> Any:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._protocol.receive_data(await self._reader.read(_PIECE_BYTES))
        return event


class Agent:
    def __init__(self, node: Node) -> None:
        self.node = node

    @cached_property
    def path(self) -> str:
        return str(settings.WADAH.agent_path)

    def ticket(
        self,
        environment_id: UUID,
        purpose: Purpose,
        user: str,
        *,
        read_only: bool = False,
        tenant_id: UUID | None = None,
    ) -> str:
        made = Ticket.issue(
            environment_id=environment_id,
            node=self.node.name,
            purpose=purpose,
            user=user,
            read_only=read_only,
            tenant_id=tenant_id,
        )
        return made.sign(settings.SECRETS.ticket_key)

    async def execute(
        self,
        environment_id: UUID,
        command: list[str],
        *,
        user: str,
        tenant_id: UUID,
        timeout_s: float,
        stdin: str,
        encoding: str = "text",
    ) -> dict[str, Any]:
        """`{"exit_code", "stdout", "stderr", "encoding", "lossy", "truncated", "timed_out"}`.

        Raises `Conflict` when it doesn't run, `TooMany` when as many commands run as may, `NodeAway` when the
        node can't be asked. Cancelled, it hangs up, and the agent ends the command.
        """
        body = {"command": command, "timeout_s": timeout_s, "stdin": stdin, "encoding": encoding}
        path = f"/v1/environments/{environment_id}/exec"
        ticket = self.ticket(environment_id, Purpose.EXEC, user, tenant_id=tenant_id)
        return await self._ask("POST", path, ticket, body, timeout_s=timeout_s + 10)

    async def terminals(self, environment_id: UUID, *, user: str, tenant_id: UUID) -> list[dict[str, Any]]:
        """`{"name", "running", "created_at", "exit_code", "viewers"}` of each, by age. Raises `NodeAway`."""
        ticket = self.ticket(environment_id, Purpose.TERMINAL, user, tenant_id=tenant_id)
        answer = await self._ask("GET", f"/v1/environments/{environment_id}/terminals", ticket)
        return list(answer["terminals"])

    async def close_terminal(self, environment_id: UUID, name: str, *, user: str, tenant_id: UUID) -> None:
        """Ends its shell and forgets what it printed; a no-op when there is none. Raises `NodeAway`."""
        ticket = self.ticket(environment_id, Purpose.TERMINAL, user, tenant_id=tenant_id)
        try:
            await self._ask("DELETE", f"/v1/environments/{environment_id}/terminals/{name}", ticket)
        except Refused as refusal:
            if refusal.code != "not_found":
                raise

    async def kernel(self, environment_id: UUID, *, user: str, tenant_id: UUID) -> dict[str, Any]:
        """`{"walls": {…} or None, "counters": {name: {…}}}`, as the kernel has them. Raises `NodeAway`."""
        ticket = self.ticket(environment_id, Purpose.KERNEL, user, read_only=True, tenant_id=tenant_id)
        return await self._ask("GET", f"/v1/environments/{environment_id}/kernel", ticket)

    async def processes(self, environment_id: UUID, *, user: str, tenant_id: UUID) -> dict[str, Any]:
        """`{"processes": [{…}], "total"}`. Raises `Conflict` when it doesn't run, and `NodeAway`."""
        ticket = self.ticket(environment_id, Purpose.KERNEL, user, read_only=True, tenant_id=tenant_id)
        return await self._ask("GET", f"/v1/environments/{environment_id}/processes", ticket)

    async def ways_in(self, environment_id: UUID, *, user: str, tenant_id: UUID) -> WaysIn:
        """Of root, and what stands before each. Raises `NodeAway`, and `Refused` where nothing was made yet."""
        ticket = self.ticket(environment_id, Purpose.KERNEL, user, read_only=True, tenant_id=tenant_id)
        answer = await self._ask("GET", f"/v1/environments/{environment_id}/ways-in", ticket)
        return WaysIn.model_validate(answer)

    async def jail_base(self, environment_id: UUID, *, user: str, tenant_id: UUID) -> dict[str, Any]:
        """Which build its base is, `now`, which is `newest`, and what that would change. Raises `NodeAway`."""
        ticket = self.ticket(environment_id, Purpose.KERNEL, user, read_only=True, tenant_id=tenant_id)
        return await self._ask("GET", f"/v1/environments/{environment_id}/base", ticket)

    async def attach(
        self, environment_id: UUID, *, stdin: str, timeout_s: float, user: str, tenant_id: UUID
    ) -> AsyncIterator[bytes]:
        """Types it at the console, and what the first process writes from then on, in pieces. Raises `Conflict`
        when it doesn't run, and `NodeAway`."""
        ticket = self.ticket(environment_id, Purpose.CONSOLE, user, tenant_id=tenant_id)
        body = json.dumps({"stdin": stdin, "timeout_s": timeout_s}).encode()
        path = f"/v1/environments/{environment_id}/attach"
        return await self.stream(path, ticket, method="POST", data=body)

    async def console_log(
        self, environment_id: UUID, form: str, *, user: str, tenant_id: UUID
    ) -> AsyncIterator[bytes]:
        """What its console printed, in pieces; `form`: `text` or `cast`. Raises `NodeAway` at once."""
        ticket = self.ticket(environment_id, Purpose.CONSOLE, user, read_only=True, tenant_id=tenant_id)
        path = f"/v1/environments/{environment_id}/console/log?format={form}"
        return await self.stream(path, ticket)

    async def log_lines(
        self, environment_id: UUID, some: Mapping[str, str], *, user: str, tenant_id: UUID
    ) -> AsyncIterator[bytes]:
        """Lines of what its console printed, with time and stream; `some`: as the agent's `LinesAsked`."""
        ticket = self.ticket(environment_id, Purpose.CONSOLE, user, read_only=True, tenant_id=tenant_id)
        query = urlencode({"format": "lines", **some})
        return await self.stream(f"/v1/environments/{environment_id}/console/log?{query}", ticket)

    async def stream(
        self, path: str, ticket: str, *, method: str = "GET", data: bytes = b"", timeout_s: float = _ANSWER_S
    ) -> AsyncIterator[bytes]:
        """What the agent answers, in pieces. Raises what it refused, and `NodeAway`, at once."""
        async with AsyncExitStack() as stack:
            with self._or_away():
                async with asyncio.timeout(timeout_s):
                    exchange = await stack.enter_async_context(self._exchange())
                    status = await exchange.ask(method, path, ticket, data)
                    text = b"" if status == 200 else b"".join([piece async for piece in exchange.pieces()])
                document = json.loads(text or b"{}")
            if status != 200:
                raise self._away() if status >= 500 else _refusal(status, document)
            return _with(stack.pop_all(), exchange.pieces())
        raise AssertionError  # for types: the stack swallows nothing

    @asynccontextmanager
    async def _exchange(self) -> AsyncIterator[_Exchange]:
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await asyncio.open_unix_connection(self.path, limit=2 * _PIECE_BYTES)
        try:
            yield _Exchange(reader, writer)
        finally:
            writer.close()

    @contextmanager
    def _or_away(self) -> Iterator[None]:
        """Whatever goes wrong on the way to the agent is a node that is away."""
        try:
            yield
        except (OSError, TimeoutError, h11.ProtocolError, ValueError) as error:
            raise self._away() from error

    def _away(self) -> NodeAway:
        return NodeAway(
            _("The node %(name)s can't be asked right now.") % {"name": self.node.name},
            next_step=_("Try again in a moment."),
        )

    async def ask_for(
        self, path: str, ticket: str, body: dict[str, Any], *, timeout_s: float = _ANSWER_S
    ) -> dict[str, Any]:
        """The agent's document about this. Raises what it refused, and `NodeAway`."""
        return await self._ask("POST", path, ticket, body, timeout_s=timeout_s)

    async def _ask(
        self,
        method: str,
        path: str,
        ticket: str,
        body: dict[str, Any] | None = None,
        *,
        timeout_s: float = _ANSWER_S,
    ) -> dict[str, Any]:
        data = b"" if body is None else json.dumps(body).encode()
        return await self.ask(method, path, ticket, data, timeout_s=timeout_s)

    async def ask(
        self, method: str, path: str, ticket: str, data: bytes = b"", *, timeout_s: float = _ANSWER_S
    ) -> dict[str, Any]:
        """The agent's document. Raises what it refused, and `NodeAway`."""
        with self._or_away():
            async with asyncio.timeout(timeout_s), self._exchange() as exchange:
                status = await exchange.ask(method, path, ticket, data)
                text = b"".join([piece async for piece in exchange.pieces()])
            document: dict[str, Any] = json.loads(text or b"{}")
        if status < 300:
            return document
        raise _refusal(status, document)


def _refusal(status: int, document: dict[str, Any]) -> Refused:
    message = shown(read(document.get("message", words.node_refused())))
    next_step = shown(read(document.get("next_step", "")))
    if status == 409:
        return Conflict(message, code="not_running", next_step=next_step)
    if status == 429:
        return TooMany(message, code=document.get("code", "too_many"), next_step=next_step)
    return Refused(message, code=document.get("code", "node_refused"), status=422 if status < 500 else 502)


async def _with(stack: AsyncExitStack, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces; the connection is closed after them, or when nobody wants them any more."""
    async with stack:
        async for piece in pieces:
            yield piece
